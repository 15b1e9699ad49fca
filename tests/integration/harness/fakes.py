# SPDX-License-Identifier: MIT
"""Peers of a broker, made from PROTOCOL.md alone: a worker that does as the test says, and a bare connection."""
import os
import time

import msgpack
import zmq

from . import doors
from .process import SLOW


class Work:
    """One delivery in the hand of a fake worker."""

    def __init__(self, frame):
        self.frame, self.submission, self.pcs = frame, frame.id, frame.body
        self.delivery, self.attempt = frame.fields[:2]


def outcome(work):
    """The outcome that a true worker would store for this PCS."""
    want = doors.predicted(work.pcs)
    return msgpack.packb(dict(pcs_id=want["pcs_id"], status=want["status"], reasons=want["reasons"], d_hat=want["recomputed_D_hat"],
                              budget=want["recomputed_budget"], budget_claimed=want["budget"], regime=want["regime"],
                              policy_version=want["policy_version"], origin=work.submission, digest=bytes(32)))


class FakeWorker:
    """A worker thread's DEALER. crash() leaves as a killed process does: without a word."""

    def __init__(self, endpoint, credit=4, name="fake"):
        self.endpoint, self.credit, self.name = endpoint, credit, name
        self.socket = None
        self.enter()

    def enter(self):
        """Comes (back) with a new connection and a new instance."""
        self.instance = os.urandom(16)
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.connect(self.endpoint)
        self.send(doors.pack(doors.READY, self.instance, self.credit, self.name))
        welcome = self.receive_kind(doors.WELCOME)
        self.granted, self.heartbeat_ms = welcome.fields[:2]

    def send(self, *parts):
        self.socket.send_multipart(parts)

    def receive(self, seconds=10, answer_pings=True):
        """The next frame other than a PING, which is answered; None when there was none in time."""
        end = time.monotonic() + seconds * SLOW
        while (left := end - time.monotonic()) > 0:
            if not self.socket.poll(left * 1000):
                return None
            frame = doors.Frame(self.socket.recv_multipart())
            if frame.kind != doors.PING:
                return frame
            if answer_pings:
                self.send(doors.pack(doors.PONG, self.instance, True))
        return None

    def receive_kind(self, kind, seconds=10):
        end = time.monotonic() + seconds * SLOW
        while time.monotonic() < end:
            frame = self.receive(seconds)
            assert frame, f"no frame of kind {kind} in time"
            if frame.kind == kind:
                return frame
        raise AssertionError(f"no frame of kind {kind} in time")

    def work(self, seconds=10):
        """The next delivery; None when none came in time."""
        frame = self.receive(seconds)
        while frame and frame.kind != doors.WORK:
            frame = self.receive(seconds)
        return Work(frame) if frame else None

    def is_idle(self, seconds=0.3):
        """True when no delivery comes for so long; a short time however slow the build is, for silence costs liveness."""
        return self.work(seconds / SLOW) is None

    def answer(self, work):
        self.send(doors.pack(doors.VERDICT, work.submission, work.delivery, doors.predicted(work.pcs)["status"], 0), outcome(work))

    def unavailable(self, work, retry_ms=1000, reason="store unavailable"):
        self.send(doors.pack(doors.UNAVAILABLE, work.submission, work.delivery, retry_ms, reason))

    def goodbye(self):
        self.send(doors.pack(doors.GOODBYE, self.instance))

    def crash(self):
        if self.socket:
            self.socket.close()
            self.socket = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.crash()
