# SPDX-License-Identifier: MIT
"""The only broker is killed with -9 again and again: it kept nothing, the gateway sends its submissions again."""
from kit.nemesis import periodic
from kit.trial import Trial


class KillBroker(Trial):
    name = "T3"
    cluster = dict(workers=2, threads=1)
    limits = dict(gap_s=30, answers=(200, 202, 503))  # expected: below 1 s

    def plan(self, random, seconds):
        return periodic(random, seconds, 1.5 if seconds < 10 else 4, "crash", ["broker-0"])


TRIAL = KillBroker()
