# SPDX-License-Identifier: MIT
"""Trials on a shared store: a real server for the run, and the faults for it."""
from harness.process import wait_for
from harness.servers import BY_NAME


class StoreFaults:
    """Base of a trial: `store` names the server, which is in run.server. Actions: pause_store, resume_store, restart_store."""

    store = "redis"
    workers = 2

    def settings(self, run):
        run.server = BY_NAME[self.store]()
        run.at_end.append(lambda: run.server.__exit__(None, None, None))
        run.server.start()
        return dict(workers=self.workers, threads=1, env=run.server.env)

    def do_pause_store(self, run, target):
        run.server.pause()

    def do_resume_store(self, run, target):
        run.server.resume()

    def do_stop_store(self, run, target):
        run.server.stop()

    def do_start_store(self, run, target):
        run.server.start()

    def mend(self, run):
        """The server runs, and the workers say so."""
        if run.server.child.poll() is None:
            run.server.resume()
        else:
            run.server.start()
        wait_for(lambda: all(worker.ready() for worker in run.cluster.workers), 60, "the workers have their store again")


def outages(random, seconds, period, length):
    """A plan: the store is stopped, or hangs, for `length` each period."""
    plan, at = [], 0.2
    while at + length < seconds:
        begin, end = random.choice([("pause_store", "resume_store"), ("stop_store", "start_store")])
        plan += [(round(at, 3), begin, "store"), (round(at + length, 3), end, "store")]
        at += period * random.uniform(0.8, 1.2)
    return plan
