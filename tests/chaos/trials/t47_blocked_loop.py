# SPDX-License-Identifier: MIT
"""A loop hangs while its process's other threads go on: the watchdog of a supervisor, here as systemd is one, starts it again."""
import pathlib
import socket
import time

from harness.process import SLOW
from kit import TOOLS
from kit.judge import verdict
from kit.trial import Trial

WATCHDOG_S = 2 * SLOW
LOOPS = {"gateway-0": "flk-relay", "broker-0": "flk-loop"}  # by the thread's name


class Watched:
    """One daemon with its notification socket: when it last said WATCHDOG=1, and the file that holds one of its threads up."""

    def __init__(self, daemon, directory):
        self.daemon, self.stall = daemon, directory / f"{daemon.name}.stall"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(directory / f"{daemon.name}.notify"))
        self.socket.setblocking(False)
        self.alive_at = None
        daemon.env.update(LD_PRELOAD=str(TOOLS / "libchaos-stall.so"), CHAOS_STALL=str(self.stall),
                          NOTIFY_SOCKET=self.socket.getsockname(), WATCHDOG_USEC=int(WATCHDOG_S * 1e6))

    def listen(self):
        while True:
            try:
                if b"WATCHDOG=1" in self.socket.recv(4096):
                    self.alive_at = time.monotonic()
            except BlockingIOError:
                return

    def is_overdue(self):
        return self.alive_at is not None and time.monotonic() - self.alive_at > WATCHDOG_S


class BlockedLoop(Trial):
    name = "T47"
    cluster = dict(workers=2, threads=1, env={"FLK_HEARTBEAT_MS": 300}, gateway_env={"FLK_REQUEST_TIMEOUT_MS": 2000})
    limits = dict(gap_s=30, answers=(200, 202, 503))  # expected: the watchdog's time and a second
    rate = 500
    seconds, short_seconds = 30, 7

    def prepare(self, run):
        directory = pathlib.Path(run.cluster.directory)
        run.watched = {daemon.name: Watched(daemon, directory) for daemon in run.cluster.daemons() if daemon.name in LOOPS}
        run.held, run.restarted = [], []

    def faults(self, run):
        """One loop after the other, each once the last one was started again."""
        begin, victims = time.monotonic(), sorted(LOOPS)
        run.random.shuffle(victims)
        while time.monotonic() < begin + run.seconds or len(run.held) < len(LOOPS):
            if len(run.held) == len(run.restarted) and all(daemon.ready() for daemon in run.cluster.daemons()):
                name = victims[len(run.held) % len(victims)]
                run.recorder.fault("hold", f"{name} {LOOPS[name]}")
                run.held.append(name)
                run.watched[name].stall.write_text(LOOPS[name])
            if time.monotonic() > begin + run.seconds + 30 * SLOW:
                break
            self.supervise(run)
            time.sleep(0.05)  # between two looks
        end = time.monotonic() + 10 * WATCHDOG_S
        while len(run.restarted) < len(run.held) and time.monotonic() < end:
            self.supervise(run)
            time.sleep(0.05)  # between two looks
        for watched in run.watched.values():
            watched.stall.unlink(missing_ok=True)

    def supervise(self, run):
        for name, watched in run.watched.items():
            watched.listen()
            if watched.is_overdue():
                watched.stall.unlink(missing_ok=True)
                run.nemesis.act("crash", name)
                watched.alive_at = None
                run.restarted.append(name)

    def extra(self, run, history, ledger):
        run.extra_figures.update(held=len(run.held), restarted=len(run.restarted))
        print(f"        held up {run.held}, started again {run.restarted}")
        wrong = [] if run.held == run.restarted else [f"held up {run.held}, started again {run.restarted}"]
        return {"restarted": verdict(wrong), "hit": verdict([f"{name} was never held up" for name in LOOPS if name not in run.held])}


TRIAL = BlockedLoop()
