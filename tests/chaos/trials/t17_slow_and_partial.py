# SPDX-License-Identifier: MIT
"""Writes to the log are half done or interrupted, a sync takes two seconds: answers come later, none is wrong, and it is quick again by itself."""
from disk import FaultyDisk, missing
from disk.journal import read
from disk.order import audit
from harness.process import wait_for
from kit.recorder import read as read_history
from kit.trial import Trial

STAGES = (("pwritev short 0 0 200",), ("pwritev error 4 0 200",), ("fdatasync delay 2000 3 1",))


class SlowAndPartial(Trial):
    name = "T17"
    cluster = dict(workers=2, threads=1)
    limits = dict(gap_s=60, answers=(200, 202, 503))
    seconds, short_seconds = 12, 5

    def missing(self):
        return missing()

    def prepare(self, run):
        self.disk = FaultyDisk(run.cluster.gateway, run.cluster.gateway.env["FLK_DATA_DIR"] / "inbox", run.directory, journal=True)

    def faults(self, run):
        for stage in STAGES:
            run.recorder.fault(stage[0], "gateway-0")
            self.disk.set(*stage)
            ok = run.recorder.results["ok"]
            wait_for(lambda: run.recorder.results["ok"] > ok + 400, 60, "it goes on")
        self.disk.heal()

    def finish(self, run):
        run.recorder.file.flush()
        run.ledger["syscalls"], _ = audit(read(self.disk.journal), read_history(run.recorder.path), run.recorder.began)


TRIAL = SlowAndPartial()
