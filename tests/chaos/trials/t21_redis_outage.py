# SPDX-License-Identifier: MIT
"""Redis is stopped, and hangs, again and again: 503 with Retry-After, and every record gets its outcome by itself once it is back."""
from kit.stores import StoreFaults, outages
from kit.trial import Trial


class RedisOutage(StoreFaults, Trial):
    name = "T21"
    limits = dict(gap_s=60, answers=(200, 202, 503))  # expected: the outage and three seconds
    seconds, short_seconds = 30, 6

    def plan(self, random, seconds):
        return outages(random, seconds, 3 if seconds < 10 else 8, 1.2 if seconds < 10 else 4)

    def faults(self, run):
        super().faults(run)
        self.mend(run)


TRIAL = RedisOutage()
