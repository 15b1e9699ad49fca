# SPDX-License-Identifier: MIT
"""One of two brokers is killed with -9, now this, now that one, and is away for a second: its submissions go by the other."""
from kit.trial import Trial


class OneOfTwoBrokers(Trial):
    name = "T3b"
    cluster = dict(brokers=2, workers=2, threads=1)
    limits = dict(gap_s=20, answers=(200, 202, 503))  # expected: below 1 s

    def plan(self, random, seconds):
        plan, at = [], 0.3
        while at < seconds - 1.5:
            victim = random.choice(["broker-0", "broker-1"])
            plan += [(round(at, 3), "kill", victim), (round(at + 1, 3), "start", victim)]
            at += random.uniform(1.8, 3)
        return plan


TRIAL = OneOfTwoBrokers()
