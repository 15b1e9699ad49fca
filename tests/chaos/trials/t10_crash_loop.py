# SPDX-License-Identifier: MIT
"""A worker that dies soon after each start, twice a second, beside healthy ones: the broker stays cheap and forgets it."""
import random
import time

from harness.cluster import Daemon
from harness.process import free_port
from kit.judge import verdict
from kit.ledger import scrape
from kit.trial import Trial

CPU_MAX = 0.20  # of a core, more than the broker takes for the same load without


class CrashLoop(Trial):
    name = "T10"
    cluster = dict(workers=3, threads=1)
    limits = dict(gap_s=20)
    rate = 500

    def prepare(self, run):
        template, admin = run.cluster.worker, ("127.0.0.1", free_port())
        run.dying = Daemon("worker-dying", "flk-worker", {**template.env, "FLK_ADMIN_LISTEN": "%s:%d" % admin}, run.cluster.directory, admin)

    def cpu_of_broker(self, run):
        return scrape(run.cluster.broker).total("process_cpu_seconds_total"), time.monotonic()

    def faults(self, run):
        """A quarter of the time without the fault, to compare with."""
        pick, broker = random.Random(run.seed), self.cpu_of_broker
        calm = broker(run)
        time.sleep(run.seconds / 4)
        begin, end = broker(run), time.monotonic() + run.seconds * 3 / 4
        while time.monotonic() < end:
            run.dying.start()
            time.sleep(pick.uniform(0, 0.6))  # dies before, while, and after it introduces itself
            run.dying.kill()
            run.recorder.fault("crash", "worker-dying")
            run.nemesis.count += 1
        done = broker(run)

        def share(first, last):
            return (last[0] - first[0]) / (last[1] - first[1])
        run.extra_figures.update(broker_cpu_calm=round(share(calm, begin), 3), broker_cpu_faults=round(share(begin, done), 3))

    def extra(self, run, history, ledger):
        more = run.extra_figures["broker_cpu_faults"] - run.extra_figures["broker_cpu_calm"]
        return {"cpu": verdict([f"the broker takes {more:.2f} cores more while a worker crashes"] if more > CPU_MAX else [])}


TRIAL = CrashLoop()
