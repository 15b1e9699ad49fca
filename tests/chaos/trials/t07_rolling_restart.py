# SPDX-License-Identifier: MIT
"""Every process is told to stop, ends cleanly and is started again, one after the other: 200, 202, and 503 with Retry-After."""
from kit.trial import Trial


class RollingRestart(Trial):
    name = "T7"
    cluster = dict(gateways=2, brokers=2, workers=2, threads=1)
    # No client that is told keeps a connection; but HTTP lets a server close one that was silent while a request is on
    # its way there.
    limits = dict(gap_s=30, answers=(200, 202, 503), unanswered_max=5)  # expected: below 1 s, none
    seconds, short_seconds = 12, 1

    def plan(self, random, seconds):
        order = ["brokers", "workers", "gateways"]
        random.shuffle(order)
        return [(round(turn * 3.0, 3), "roll", group) for turn in range(max(1, int(seconds / 9))) for group in order]

    def extra(self, run, history, ledger):
        run.extra_figures["slowest_stop_s"] = round(run.nemesis.slowest_stop_s, 2)
        return {}


TRIAL = RollingRestart()
