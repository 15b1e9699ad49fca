# SPDX-License-Identifier: MIT
"""Negative controls: real clusters with a promise broken on purpose. The judge must go red, each time in the invariant named."""
import http.client
import shutil
import signal

from kit import TOOLS
from kit.payload import Payload
from kit.trial import Trial

from harness import pcs as reference


class Control(Trial):
    """Short phases: there is nothing to measure. `red` has the invariants that must not hold."""

    cluster = dict(workers=2, threads=1)
    warm_s, base_s, after_s, seconds, short_seconds = 0.3, 1, 1, 0.5, 0.5
    rate, red = 300, ""


class StoreWiped(Control):
    """Outcomes that were answered are gone from the store."""

    name, red = "store-wiped", "I1"

    def finish(self, run):
        for worker in run.cluster.workers:
            worker.stop()
        shutil.rmtree(run.cluster.directory / "store")
        run.nemesis.start(run.cluster.workers)
        run.cluster.wait_ready()


class DedupOff(Control):
    """Each worker remembers for itself alone."""

    name, red = "dedup-off", "I1 I2"
    cluster = dict(workers=3, threads=1, env={"DEDUP_BACKEND": "memory"})
    clients = dict(duplicate_every=2)

    def prepare(self, run):
        for worker in run.cluster.workers:
            worker.env["FLK_DATA_DIR"] = run.cluster.directory / worker.name


class Uninvited(Control):
    """A submission that no recorder saw."""

    name, red = "uninvited", "I3"

    def finish(self, run):
        with run.cluster.http() as door:
            assert door.submit(reference.Factory(run.seed, "uninvited").make()).status in (200, 202)


class InfiniteLiveness(Control):
    """A worker hangs, and is believed to live for longer than anybody waits: its deliveries are not given to another one."""

    name, red = "infinite-liveness", "I4 I7"
    cluster = dict(workers=2, threads=1, env={"FLK_HEARTBEAT_MS": 5000}, gateway_env={"FLK_REQUEST_TIMEOUT_MS": 1000})
    limits = dict(answers=(200, 202, 503))
    drain_s = 2

    def plan(self, random, seconds):
        return [(0, "pause", "worker-0")]

    def heal(self, run):
        """Nobody does."""

    def finish(self, run):
        run.cluster.workers[0].kill()
        run.cluster.gateway.kill()  # else its drain would settle the records to be found


class Altered(Control):
    """A client sends something else than it says."""

    name, red = "altered", "I5"

    def finish(self, run):
        pcs = reference.Factory(run.seed, "altered").make()
        with run.cluster.http() as door:
            op = run.recorder.send(Payload(pcs), "http", 0)
            run.recorder.done(op, door.submit({**pcs, "sent_at": "2026-01-02T00:00:00Z"}))


class Synced(Control):
    """The control of the next one: with its syncs, the same trace is green."""

    name, red, rate, traced = "synced", "", 100, True


class SyncOff(Synced):
    """fsync and fdatasync do nothing."""

    name, red = "sync-off", "I6"

    def prepare(self, run):
        run.cluster.gateway.env["LD_PRELOAD"] = TOOLS / "libchaos-nosync.so"


class Away(Control):
    """Nobody answers for longer than is allowed."""

    name, red, limits = "away", "I7", dict(gap_s=1, answers=(200, 202, 503))

    def plan(self, random, seconds):
        return [(0, "pause", "gateway-0"), (1.5, "resume", "gateway-0")]


class Leak(Control):
    """Connections that are never closed."""

    name, red = "leak", "I8"

    def faults(self, run):
        for _ in range(60):
            connection = http.client.HTTPConnection(*run.cluster.gateway.http)
            connection.connect()
            run.at_end.append(connection.close)


class Crash(Control):
    """A worker ends by a signal that nobody sent for the trial's sake."""

    name, red = "crash", "I9"

    def finish(self, run):
        worker = run.cluster.worker
        worker.signal(signal.SIGSEGV)
        worker.child.wait()


class Unallowed(Control):
    """503, where the trial allows none."""

    name, red = "unallowed", "answers"
    cluster = dict(workers=1, threads=1, gateway_env={"FLK_REQUEST_TIMEOUT_MS": 200})

    def plan(self, random, seconds):
        return [(0, "kill", "workers"), (1, "start", "workers")]


CONTROLS = [control() for control in (StoreWiped, DedupOff, Uninvited, InfiniteLiveness, Altered, Synced, SyncOff, Away, Leak, Crash, Unallowed)]


def verdict_on(control, result):
    """The fault of this control; None when it is as red as it must be, and nowhere else."""
    red = {name for name, found in result["verdicts"].items() if found["holds"] is False}
    wanted = set(control.red.split())
    if control.red == "" and result["verdicts"]["I6"]["holds"] is not True:
        return f"I6: {result['verdicts']['I6']}"
    if red == wanted:
        return None
    return f"red in {' '.join(sorted(red)) or 'nothing'}, not in {control.red or 'nothing'}"
