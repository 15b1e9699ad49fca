# SPDX-License-Identifier: MIT
"""One of four workers is killed with -9 every two seconds and started again: clients see nothing but 200 and 202."""
from kit.nemesis import periodic
from kit.trial import Trial


class KillWorker(Trial):
    name = "T1"
    limits = dict(gap_s=20)  # expected: below 1 s

    def plan(self, random, seconds):
        return periodic(random, seconds, 1 if seconds < 10 else 2, "crash", [f"worker-{n}" for n in range(4)])


TRIAL = KillWorker()
