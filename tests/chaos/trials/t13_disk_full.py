# SPDX-License-Identifier: MIT
"""The disk under the log is full, first when it comes to a new segment, then to everybody's eyes, and has space again: 503, nothing lost, no restart."""
from disk import FaultyDisk, missing
from harness.process import wait_for
from kit import judge
from kit.archive import Archive
from kit.trial import Trial

STAGES = (("fallocate error 28 0 0",), ("fallocate error 28 0 0", "statvfs full 0 0 0"))


class DiskFull(Trial):
    name = "T13"
    cluster = dict(workers=2, threads=1, gateway_env={"FLK_WAL_SEGMENT_BYTES": 131072})
    limits = dict(gap_s=60, answers=(200, 202, 503))
    seconds, short_seconds = 16, 5

    def missing(self):
        return missing()

    def prepare(self, run):
        self.disk = FaultyDisk(run.cluster.gateway, run.cluster.gateway.env["FLK_DATA_DIR"] / "inbox", run.directory)
        self.refused, self.healed_s = [], []
        inbox = run.cluster.gateway.env["FLK_DATA_DIR"] / "inbox"
        self.archive = Archive(inbox, run.cluster.directory / "kept")
        self.archive.start()

    def faults(self, run):
        gateway = run.cluster.gateway
        for stage in STAGES:
            run.recorder.fault("full", "gateway-0")
            self.disk.set(*stage)
            wait_for(lambda: not gateway.ready(), 30, "a gateway without space is not ready")
            self.refused.append(run.recorder.results["info"])
            wait_for(lambda: run.recorder.results["info"] > self.refused[-1] + 20, 30, "submissions are put off")
            began = run.recorder.now()
            self.disk.heal()
            run.recorder.fault("space again", "gateway-0")
            wait_for(gateway.ready, 30, "the gateway is ready again by itself")
            self.healed_s.append(round(run.recorder.now() - began, 2))
            ok = run.recorder.results["ok"]
            wait_for(lambda: run.recorder.results["ok"] > ok + 20, 30, "submissions are answered again")

    def stopped(self, run):
        run.extra_figures["given_up"] = len(self.archive.give_back())

    def extra(self, run, history, ledger):
        run.extra_figures["healed_s"] = self.healed_s
        return {"no-restart": judge.verdict(["the gateway ended"] if "gateway-0" in ledger["ended"] else [])}


TRIAL = DiskFull()
