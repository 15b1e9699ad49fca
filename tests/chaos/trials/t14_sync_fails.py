# SPDX-License-Identifier: MIT
"""An fdatasync of the log fails once, then every one for a while: no false answer, no descriptor synced again, 503 until the disk works, no restart."""
from disk import FaultyDisk, missing
from disk.journal import read
from disk.order import audit
from harness.process import wait_for
from kit import judge
from kit.recorder import read as read_history
from kit.trial import Trial


class SyncFails(Trial):
    name = "T14"
    cluster = dict(workers=2, threads=1)
    limits = dict(gap_s=60, answers=(200, 202, 503))
    seconds, short_seconds = 12, 4
    rule = "error 5"

    def missing(self):
        return missing()

    def prepare(self, run):
        self.inbox = run.cluster.gateway.env["FLK_DATA_DIR"] / "inbox"
        self.disk = FaultyDisk(run.cluster.gateway, self.inbox, run.directory, journal=True)

    def faults(self, run):
        gateway = run.cluster.gateway
        run.recorder.fault("one sync fails", "gateway-0")
        self.disk.set(f"fdatasync {self.rule} 2 1")
        wait_for(lambda: gateway.metrics().total("flk_wal_failures_total") >= 1, 30, "a sync has failed")
        ok = run.recorder.results["ok"]
        wait_for(lambda: run.recorder.results["ok"] > ok + 50, 30, "it goes on in a new segment")
        run.recorder.fault("every sync fails", "gateway-0")
        self.disk.set(f"fdatasync {self.rule} 0 0")
        wait_for(lambda: not gateway.ready(), 30, "a gateway that cannot sync is not ready")
        put_off = run.recorder.results["info"]
        wait_for(lambda: run.recorder.results["info"] > put_off + 50, 30, "submissions are put off")
        began = run.recorder.now()
        self.disk.heal()
        run.recorder.fault("the disk works", "gateway-0")
        wait_for(gateway.ready, 30, "the gateway is ready again by itself")
        self.healed_s = round(run.recorder.now() - began, 2)

    def finish(self, run):
        run.recorder.file.flush()
        entries = list(read(self.disk.journal))
        self.failed = sum(entry.failed for entry in entries)
        run.ledger["syscalls"], self.order = audit(entries, read_history(run.recorder.path), run.recorder.began)

    def extra(self, run, history, ledger):
        run.extra_figures.update(healed_s=self.healed_s, failed_syncs=self.failed, segments=self.order.segments)
        faults = [f"only {self.failed} syncs failed"] if self.failed < 3 else []
        return {"no-restart": judge.verdict(faults + (["the gateway ended"] if "gateway-0" in ledger["ended"] else []))}


TRIAL = SyncFails()
