# SPDX-License-Identifier: MIT
"""The gateway's clock is a day ahead for a while, then right again: records written meanwhile go when their time has come, not a day later."""
import struct
import time

from harness.process import wait_for
from kit import TOOLS
from kit.archive import Archive
from kit.judge import verdict
from kit.trial import Trial

AHEAD_S, RETENTION_S = 86400, 2


class ClockWasAhead(Trial):
    name = "T42c"
    cluster = dict(workers=2, threads=1, gateway_env={"FLK_WAL_SEGMENT_BYTES": 65536, "FLK_WAL_RETENTION_S": RETENTION_S})
    limits = dict(gap_s=30)
    seconds, short_seconds = 8, 3

    def prepare(self, run):
        gateway = run.cluster.gateway
        self.clock = run.cluster.directory / "gateway-0.clock"
        self.clock.write_bytes(struct.pack("=q", AHEAD_S))
        gateway.env.update(LD_PRELOAD=TOOLS / "libchaos-clock.so", CHAOS_CLOCK=self.clock)
        self.inbox = gateway.env["FLK_DATA_DIR"] / "inbox"
        self.archive = Archive(self.inbox, run.cluster.directory / "kept")
        self.archive.start()

    def segments(self):
        return {path.name for path in self.inbox.glob("wal-*.seg")}

    def faults(self, run):
        """In place: the process has the clock's file mapped."""
        time.sleep(run.seconds / 2)
        ahead = self.segments()
        run.recorder.fault("clock back", "gateway-0")
        with open(self.clock, "r+b") as file:
            file.write(struct.pack("=q", 0))
        began = run.recorder.now()
        wait_for(lambda: not ahead & self.segments(), 30, lambda: f"segments of before stay: {sorted(ahead & self.segments())[:3]}")
        run.extra_figures["gone_s"], self.ahead = round(run.recorder.now() - began, 2), len(ahead)

    def stopped(self, run):
        self.archive.give_back()

    def extra(self, run, history, ledger):
        return {"hit": verdict([] if self.ahead > 0 else ["no segment was written while the clock was ahead"])}


TRIAL = ClockWasAhead()
