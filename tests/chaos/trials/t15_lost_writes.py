# SPDX-License-Identifier: MIT
"""The disk refuses write-backs and forgets their bytes, then works again, then the gateway is killed: every answered record is there."""
from harness.process import wait_for
from trials.t14_sync_fails import SyncFails


class LostWrites(SyncFails):
    """As with a block device that has errors: the failed sync says EIO once, the page cache is dropped, zeros are where the data
    should be. They stay in the middle of the log, since cutting them off fails as well. A real device of that kind takes nbdkit, a
    loop device and a mount, which are not to be had in a container."""

    name = "T15"
    rule = "lose 0"

    def faults(self, run):
        super().faults(run)
        self.restart(run)
        for _ in range(2):
            self.disk.set("fdatasync lose 0 1 1", "ftruncate error 5 0 0")
            ok = run.recorder.results["ok"]
            wait_for(lambda: run.recorder.results["ok"] > ok + 100, 30, "it goes on behind the zeros")
            self.disk.heal()
            self.restart(run)

    def restart(self, run):
        run.nemesis.act("kill", "gateway-0")
        run.nemesis.act("start", "gateway-0")
        run.cluster.gateway.wait_ready()

    def extra(self, run, history, ledger):
        run.extra_figures.update(healed_s=self.healed_s, failed_syncs=self.failed)
        return {}


TRIAL = LostWrites()
