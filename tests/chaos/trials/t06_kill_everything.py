# SPDX-License-Identifier: MIT
"""Gateway, broker and all workers are killed at the same instant, again and again, also while they recover: the same promise."""
from kit.nemesis import periodic
from kit.trial import Trial


class KillEverything(Trial):
    name = "T6"
    cluster = dict(workers=2, threads=1)
    limits = dict(gap_s=60, answers=(200, 202, 503))  # expected: below 2 s
    seconds, short_seconds = 30, 6

    def plan(self, random, seconds):
        return periodic(random, seconds, 1.5, "crash", ["all"], jitter=0.9)


TRIAL = KillEverything()
