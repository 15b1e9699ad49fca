# SPDX-License-Identifier: MIT
"""Every process is told to stop, ends cleanly and is started again, one after the other: 200, 202, and 503 with Retry-After."""
from kit.trial import Trial


class RollingRestart(Trial):
    name = "T7"
    cluster = dict(gateways=2, brokers=2, workers=2, threads=1)
    limits = dict(gap_s=30, answers=(200, 202, 503), answers_only=True)  # expected: below 1 s
    seconds, short_seconds = 12, 1

    def plan(self, random, seconds):
        order = ["brokers", "workers", "gateways"]
        random.shuffle(order)
        return [(round(turn * 3.0, 3), "roll", group) for turn in range(max(1, int(seconds / 9))) for group in order]


TRIAL = RollingRestart()
