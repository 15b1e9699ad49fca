# SPDX-License-Identifier: MIT
"""The gateway is killed with -9 again and again on the same log: its answers stand, its records get their outcomes."""
from kit.nemesis import periodic
from kit.trial import Trial


class KillGateway(Trial):
    name = "T5"
    cluster = dict(workers=2, threads=1)
    limits = dict(gap_s=60, answers=(200, 202, 503))  # expected: below 2 s

    def plan(self, random, seconds):
        return periodic(random, seconds, 1.5 if seconds < 10 else 5, "crash", ["gateway-0"])


TRIAL = KillGateway()
