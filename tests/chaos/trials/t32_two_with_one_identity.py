# SPDX-License-Identifier: MIT
"""Two peers come as one worker, each with the other's instance, and give their deliveries back: no delivery is lost or answered twice."""
import threading
import time

from harness import doors
from harness.fakes import FakeWorker
from harness.process import SLOW
from kit.judge import verdict
from kit.trial import Trial


class TwoWithOneIdentity(Trial):
    name = "T32"
    cluster = dict(workers=2, threads=1)
    limits = dict(gap_s=30, answers=(200, 202, 503))
    seconds, short_seconds = 15, 4

    def faults(self, run):
        """The documented winner is the last that said READY: the other one's deliveries are handed out again, without blame."""
        run.taken, stop = [0, 0], threading.Event()
        twins = [threading.Thread(target=self.twin, args=(run, number, stop)) for number in range(2)]
        for twin in twins:
            twin.start()
        time.sleep(run.seconds)  # the length of the phase
        stop.set()
        for twin in twins:
            twin.join(20 * SLOW)
        run.nemesis.count = 2

    def twin(self, run, number, stop):
        with FakeWorker(run.cluster.broker.backend, name=f"twin-{number}") as worker:
            worker.instance = run.seed.to_bytes(16, "big")
            while not stop.is_set():
                worker.send(doors.pack(doors.READY, worker.instance, 4, f"twin-{number}"))
                work = worker.work(0.2 / SLOW)
                if work:
                    run.taken[number] += 1
                    worker.unavailable(work)
            worker.goodbye()

    def finish(self, run):
        run.dead_letters = run.cluster.broker.metrics().total("flk_broker_dead_letters_total")

    def extra(self, run, history, ledger):
        run.extra_figures["taken_by_twins"] = run.taken
        blamed = [f"{run.dead_letters:g} dead letters of innocents"] if run.dead_letters else []
        return {"no blame": verdict(blamed), "hit": verdict([] if min(run.taken) else [f"the twins took {run.taken}"])}


TRIAL = TwoWithOneIdentity()
