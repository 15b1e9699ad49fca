# SPDX-License-Identifier: MIT
"""Redis closes connections that were idle for a second (`timeout 1`), between bursts: no 503, the first requests after a pause neither."""
import time

from harness.process import wait_for
from kit.stores import StoreFaults
from kit.trial import Trial


class RedisIdle(StoreFaults, Trial):
    name = "T21b"
    limits = dict(gap_s=60, answers=(200, 202))
    seconds, short_seconds = 20, 6

    def faults(self, run):
        closed = 0
        run.server.cli("CONFIG", "SET", "timeout", "1")
        until = time.monotonic() + run.seconds
        while time.monotonic() < until:
            run.clients.set_rate(0)
            wait_for(lambda: len(run.server.cli("CLIENT", "LIST").splitlines()) == 1, 10, "the server closed what was idle")
            closed += 1
            run.clients.set_rate(run.rate)
            time.sleep(0.5)  # the burst's length
        run.extra_figures["closed"] = closed
        run.server.cli("CONFIG", "SET", "timeout", "0")


TRIAL = RedisIdle()
