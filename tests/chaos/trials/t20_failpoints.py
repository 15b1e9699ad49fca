# SPDX-License-Identifier: MIT
"""A worker dies just before its outcomes are put, just after, and just before it answers: one outcome each, and every answer is that."""
import time

from kit import TOOLS
from kit.judge import verdict
from kit.stores import StoreFaults
from kit.trial import Trial

POINTS = ("put", "stored", "reply")


class Failpoints(StoreFaults, Trial):
    name = "T20"
    workers = 3
    limits = dict(gap_s=30)  # expected: below a second
    rate = 600
    seconds, short_seconds = 90, 5

    def prepare(self, run):
        run.deaths = dict.fromkeys(POINTS, 0)
        for worker in run.cluster.workers:
            worker.program = TOOLS / "flk-worker-failing"

    def faults(self, run):
        """A worker that died is started again, to die at another point; until each point had its deaths."""
        wanted, begin, next_point = 3 if run.short else 100, time.monotonic(), 0
        while min(run.deaths.values()) < wanted and time.monotonic() < begin + run.seconds * 2:
            for worker in run.cluster.workers:
                if worker.alive() and "CHAOS_FAILPOINT" in worker.env:
                    continue
                if worker.alive():
                    run.nemesis.act("kill", worker.name)
                else:
                    run.deaths[worker.env["CHAOS_FAILPOINT"].split()[0]] += 1
                point, next_point = POINTS[next_point % len(POINTS)], next_point + 1
                worker.env["CHAOS_FAILPOINT"] = f"{point} {run.random.randrange(1, 40)}"
                run.recorder.fault("failpoint", f"{worker.name} {worker.env['CHAOS_FAILPOINT']}")
                run.nemesis.ended.add(worker.name)
                worker.start()
            time.sleep(0.02)  # between two looks
        run.nemesis.count = sum(run.deaths.values())
        for worker in run.cluster.workers:
            del worker.env["CHAOS_FAILPOINT"]
            run.nemesis.act("crash", worker.name)

    def extra(self, run, history, ledger):
        run.extra_figures["deaths"] = run.deaths
        print(f"        deaths {run.deaths}")
        return {"hit": verdict([f"nobody died at {point}" for point, count in run.deaths.items() if count == 0])}


TRIAL = Failpoints()
