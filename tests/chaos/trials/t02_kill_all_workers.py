# SPDX-License-Identifier: MIT
"""All workers are killed at once and stay away: the gateway goes on accepting, 503 where the deadline passes, then all is caught up."""
from kit.trial import Trial


class KillAllWorkers(Trial):
    name = "T2"
    cluster = dict(workers=3, threads=1, gateway_env={"FLK_REQUEST_TIMEOUT_MS": 1000})
    limits = dict(gap_s=120, answers=(200, 202, 503))  # expected: the outage
    seconds, short_seconds = 16, 4

    def plan(self, random, seconds):
        away = round(seconds * random.uniform(0.4, 0.6), 3)
        return [(0.2, "kill", "workers"), (0.2 + away, "start", "workers")]


TRIAL = KillAllWorkers()
