# SPDX-License-Identifier: MIT
"""The wall clock of every process jumps an hour, forth and back: no timer, lease or outcome is touched."""
import email.utils
import struct
import time

from kit import TOOLS
from kit.judge import verdict
from kit.trial import Trial


class ClockJumps(Trial):
    name = "T42"
    cluster = dict(workers=2, threads=1)
    limits = dict(gap_s=30)
    jumps = (3600, -3600)
    seconds, short_seconds = 16, 4

    def prepare(self, run):
        for daemon in run.cluster.daemons():
            self.set(run, daemon.name, 0)
            daemon.env.update(LD_PRELOAD=TOOLS / "libchaos-clock.so", CHAOS_CLOCK=self.clock(run, daemon.name))

    @staticmethod
    def clock(run, name):
        return run.cluster.directory / f"{name}.clock"

    def set(self, run, name, seconds):
        """In place: the processes have it mapped."""
        path = self.clock(run, name)
        with open(path, "r+b" if path.exists() else "w+b") as file:
            file.write(struct.pack("=q", seconds))

    def plan(self, random, seconds):
        """Each process jumps at a time of its own."""
        names = ["gateway-0", "broker-0", "worker-0", "worker-1"]
        return [(round(random.uniform(number, number + 1) * seconds / len(self.jumps), 3), "jump", f"{name} {jump:+d}")
                for number, jump in enumerate(self.jumps) for name in names]

    def do_jump(self, run, target):
        name, jump = target.split()
        self.set(run, name, int(jump))
        if name == "gateway-0":
            stated = email.utils.parsedate_to_datetime(run.cluster.gateway.get("/healthz").headers["date"]).timestamp()
            run.__dict__.setdefault("seen", []).append(abs(stated - time.time() - int(jump)) < 600)

    def extra(self, run, history, ledger):
        return {"hit": verdict([] if run.seen and all(run.seen) else [f"the gateway's clock was seen off: {run.seen}"])}


TRIAL = ClockJumps()
