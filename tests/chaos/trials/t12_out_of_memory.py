# SPDX-License-Identifier: MIT
"""One in N allocations of gateway, broker and workers fails while they serve: 503 where it hits a record, no crash, no wrong word."""
import pathlib
import signal
import struct
import time

from kit import TOOLS
from kit.judge import verdict
from kit.trial import Trial

KINDS = ("gateway", "broker", "worker")


class Control:
    """The file through which failmalloc.c is armed, and in which it counts."""

    def __init__(self, path):
        self.path = path
        path.write_bytes(bytes(16))

    def arm(self, one_in, seed):
        with open(self.path, "r+b") as file:
            file.write(struct.pack("<II", one_in, seed))

    def failed(self):
        return struct.unpack("<Q", self.path.read_bytes()[8:])[0]


class OutOfMemory(Trial):
    name = "T12"
    cluster = dict(workers=2, threads=1, gateway_env={"FLK_REQUEST_TIMEOUT_MS": 2000})
    limits = dict(gap_s=60, answers=(200, 202, 503))
    seconds, short_seconds = 24, 6
    rate = 500

    def prepare(self, run):
        run.controls = {kind: Control(pathlib.Path(run.cluster.directory) / f"malloc-{kind}") for kind in KINDS}
        for daemon in run.cluster.daemons():
            control = run.controls[daemon.name.split("-")[0]]
            daemon.env.update(LD_PRELOAD=TOOLS / "libchaos-failmalloc.so", CHAOS_MALLOC=control.path)

    def plan(self, random, seconds):
        """One kind at a time, then all; rarer and more often."""
        turns = [*KINDS, "all"]
        random.shuffle(turns)
        rates = [random.choice([20, 50, 200]) for _ in turns]
        return [(round(n * seconds / len(turns), 3), f"fail_1_in_{rates[n]}", kind) for n, kind in enumerate(turns)]

    def __getattr__(self, name):
        if not name.startswith("do_fail_1_in_"):
            raise AttributeError(name)
        return lambda run, kind: self.arm(run, kind, int(name.rsplit("_", 1)[1]))

    def arm(self, run, kind, one_in):
        for other, control in run.controls.items():
            control.arm(one_in if kind in (other, "all") else 0, run.seed % 1000)

    def faults(self, run):
        """A process may end for want of memory, cleanly; then it is started again, as a supervisor would."""
        run.ends, begin, plan = [], time.monotonic(), sorted(run.plan)
        while time.monotonic() < begin + run.seconds:
            while plan and plan[0][0] <= time.monotonic() - begin:
                run.nemesis.act(*plan.pop(0)[1:])
            for daemon in run.cluster.daemons():
                if not daemon.alive():
                    run.ends.append((daemon.name, daemon.child.returncode))
                    run.nemesis.ended.add(daemon.name)
                    daemon.start()
            time.sleep(0.02)  # between two looks
        for control in run.controls.values():
            control.arm(0, 0)
        run.extra_figures.update(failed_allocations={kind: control.failed() for kind, control in run.controls.items()}, ended=len(run.ends))

    def extra(self, run, history, ledger):
        """An exit with a status is clean; a signal is not, SIGABRT of an assertion neither."""
        print(f"        failed allocations {run.extra_figures['failed_allocations']}, ends {run.ends}")
        crashes = [f"{name} ended by {signal.Signals(-status).name}" for name, status in run.ends if status < 0]
        quiet = [f"no allocation of the {kind} failed" for kind, control in run.controls.items() if control.failed() == 0]
        return {"no crash": verdict(crashes), "hit": verdict(quiet)}


TRIAL = OutOfMemory()
