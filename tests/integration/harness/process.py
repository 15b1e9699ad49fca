# SPDX-License-Identifier: MIT
"""One program of ours under test: start, signal, wait, and the lines that its log must not hold.

Processes are only ever signalled by their own pid, and die with the test run (PDEATHSIG), also when ctest kills it.
"""
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import threading
import time

from .pcs import PLANTED

ROOT = pathlib.Path(__file__).resolve().parents[3]
BIN_DIR = pathlib.Path(os.environ.get("FLK_BIN_DIR", ROOT / "build" / "bin")).resolve()
SLOW = float(os.environ.get("FLK_TEST_SLOW", "1"))  # factor on every deadline, for sanitizer builds
SEED = int(os.environ.get("FLK_TEST_SEED", "20260101"))
LONG = os.environ.get("FLK_TEST_LONG") == "1"  # trials in their full size, and their timed bounds judged: ./run test long

SANITIZER_EXIT = 97
SANITIZER_ENV = {
    "ASAN_OPTIONS": f"exitcode={SANITIZER_EXIT}:halt_on_error=1:detect_leaks=1:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": f"exitcode={SANITIZER_EXIT}:halt_on_error=1:print_stacktrace=1",
    "LSAN_OPTIONS": f"exitcode={SANITIZER_EXIT}",
    "TSAN_OPTIONS": f"exitcode={SANITIZER_EXIT}:halt_on_error=0:second_deadlock_stack=1",
}
REPORT = re.compile(r"(ERROR|WARNING): (Address|Leak|Thread|Memory)Sanitizer|runtime error:|AddressSanitizer:DEADLYSIGNAL"
                    r"|assertion failed|Assertion `|\*\*\* stack smashing")
TSAN_SUPPRESSIONS = ROOT / "tests" / "tsan.supp"
if TSAN_SUPPRESSIONS.exists():
    SANITIZER_ENV["TSAN_OPTIONS"] += f":suppressions={TSAN_SUPPRESSIONS}"


def sanitized():
    """True for binaries of the asan or tsan preset: they cannot run under strace's or valgrind's eyes."""
    program = BIN_DIR / "flk-gateway"
    return program.exists() and re.search(rb"__(asan|tsan)_init", program.read_bytes()) is not None


def sized(short, full):
    """The size of a trial: a few seconds' worth, or as the trial asks for."""
    return full if LONG else short


def wait_for(condition, seconds, what):
    """Polls until condition() is truthy and returns that; fails with the text `what` after seconds * SLOW."""
    end = time.monotonic() + seconds * SLOW
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds * SLOW:g} s: {what() if callable(what) else what}")
        time.sleep(0.02)


_ports_given = set()


def free_port():
    """A loopback port below the range of outgoing connections, so that none of those takes it before we bind."""
    pick = random.SystemRandom()
    while True:
        port = pick.randrange(12000, 32000)
        if port in _ports_given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _ports_given.add(port)
        return port


def environment(extra=None):
    """A clean environment: nothing of the caller's FLK_* or PCS_* leaks into a program under test."""
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", **SANITIZER_ENV}
    env.update({name: str(value) for name, value in (extra or {}).items() if value is not None})
    return env


def run(program, *args, env=None, seconds=20, stdin=None, cwd=None):
    """Runs one of our programs to its end. Returns CompletedProcess with text output."""
    done = subprocess.run([str(BIN_DIR / program), *map(str, args)], env=environment(env), timeout=seconds * SLOW,
                          input=stdin, capture_output=True, text=True, cwd=cwd)
    assert not REPORT.search(done.stderr), done.stderr
    return done


class Process:
    """A daemon with a log file. `wrap` is put before its command line (strace, valgrind)."""

    def __init__(self, name, program, env, directory, wrap=(), arguments=()):
        self.name, self.env, self.wrap, self.arguments = name, dict(env), list(wrap), list(arguments)
        self.program = pathlib.Path(program) if "/" in str(program) else BIN_DIR / program
        self.log_path = pathlib.Path(directory) / f"{name}.log"
        self.child, self.stopping, self.exits = None, False, []

    def start(self):
        # PDEATHSIG follows the starting thread: from a thread that ends, the child would die with it.
        assert threading.current_thread() is threading.main_thread()
        assert not self.alive(), f"{self.name} runs already"
        die_with_parent = ["setpriv", "--pdeathsig", "KILL"]
        below = die_with_parent if self.traced() else []
        command = [*die_with_parent, *self.wrap, *below, str(self.program), *self.arguments]
        with open(self.log_path, "ab") as log:
            self.child = subprocess.Popen(command, env=environment(self.env), stdin=subprocess.DEVNULL, stdout=log,
                                          stderr=log, cwd=self.log_path.parent, start_new_session=True)
        self.stopping = False
        return self

    def traced(self):
        """strace runs the program as its child; valgrind becomes the program."""
        return bool(self.wrap) and self.wrap[0] == "strace"

    @property
    def pid(self):
        """The program itself, below its wrapper."""
        pid = self.child.pid
        if self.traced():
            children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            pid = int(children[0]) if children else pid
        return pid

    def alive(self):
        return self.child is not None and self.child.poll() is None

    def signal(self, number):
        os.kill(self.pid, number)

    def kill(self):
        """kill -9 and reap."""
        self.stopping = True
        if self.alive():
            self.signal(signal.SIGKILL)
        return self.wait(10)

    def pause(self):
        self.signal(signal.SIGSTOP)

    def resume(self):
        self.signal(signal.SIGCONT)

    def terminate(self):
        self.stopping = True
        if self.alive():
            self.signal(signal.SIGTERM)

    def wait(self, seconds):
        """Exit status; fails when it is still there after seconds * SLOW."""
        try:
            status = self.child.wait(seconds * SLOW)
        except subprocess.TimeoutExpired:
            stacks = [task.read_text().strip() for task in pathlib.Path(f"/proc/{self.pid}/task").glob("*/wchan")]
            raise AssertionError(f"{self.name} has not ended after {seconds * SLOW:g} s; it waits in {stacks}\n"
                                 f"{self.log_tail()}") from None
        self.exits.append(status)
        return status

    def stop(self, seconds=15):
        """SIGTERM; it must drain and exit 0."""
        if self.child is None or self.stopping and not self.alive():
            return
        self.terminate()
        status = self.wait(seconds)
        assert status == 0, f"{self.name} ended with {status} on SIGTERM\n{self.log_tail()}"

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def log_tail(self, lines=25):
        return f"--- {self.log_path.name}\n" + "\n".join(self.log().splitlines()[-lines:])

    def check(self):
        """No sanitizer report, no failed assertion, nothing of a payload, and not ended unless the test ended it."""
        text = self.log()
        assert PLANTED not in text, f"{self.name} logs payload:\n{[line for line in text.splitlines() if PLANTED in line][:3]}"
        report = REPORT.search(text)
        assert not report, f"{self.name} reports:\n{text[max(0, report.start() - 200):report.start() + 4000]}"
        if self.child is not None and not self.stopping:
            assert self.alive(), f"{self.name} ended by itself with {self.child.returncode}\n{self.log_tail()}"
