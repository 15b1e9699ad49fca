# SPDX-License-Identifier: MIT
"""Ten thousand requests: each answer came after a sync of its record, each segment's name was synced before its use; without fdatasync this is red."""
from disk import FaultyDisk, missing
from disk.journal import read
from disk.order import audit
from harness.process import wait_for
from kit import judge
from kit.recorder import read as read_history
from kit.trial import Trial

REQUESTS, SHORT_REQUESTS = 10000, 1000


class SyncOrder(Trial):
    name = "T19"
    cluster = dict(workers=2, threads=1, gateway_env={"FLK_WAL_SEGMENT_BYTES": 262144})
    seconds, short_seconds = 12, 3

    def missing(self):
        return missing()

    def prepare(self, run):
        self.disk = FaultyDisk(run.cluster.gateway, run.cluster.gateway.env["FLK_DATA_DIR"] / "inbox", run.directory, journal=True)

    def faults(self, run):
        """None: the load alone is watched, until there is enough of it."""
        enough = SHORT_REQUESTS if run.short else REQUESTS
        wait_for(lambda: run.recorder.results["ok"] >= enough, 600, "enough is answered")

    def finish(self, run):
        run.recorder.file.flush()
        self.entries, self.history = list(read(self.disk.journal)), read_history(run.recorder.path)
        run.ledger["syscalls"], self.order = audit(self.entries, self.history, run.recorder.began)

    def extra(self, run, history, ledger):
        lying, _ = audit([entry for entry in self.entries if entry.call != "fdatasync"], self.history, run.recorder.began)
        unnamed, _ = audit([entry for entry in self.entries if entry.call != "fsync"], self.history, run.recorder.began)
        run.extra_figures.update(answered=len(judge.Operations(history).ok), segments=self.order.segments, syncs=sum(map(len, self.order.syncs.values())))
        return {"order-control": judge.verdict([] if lying["violations"] and unnamed["violations"] else ["syncs left out were not missed"])}


TRIAL = SyncOrder()
