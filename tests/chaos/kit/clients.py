# SPDX-License-Identifier: MIT
"""Clients on both doors of every gateway, open loop: a due submission is sent, however slow the answers are.

A lane is one door of one gateway with a schedule of its own. An operation whose fate is unknown (or that was refused a connection)
is sent again after a pause, by any lane, as an agent would do it.
"""
import heapq
import http.client
import os
import threading
import time

import zmq

from harness import doors, pcs as reference
from harness.process import SLOW

from .payload import Payload, WRONG_SIGNATURE
from .recorder import from_frame

ATTEMPTS = 6
STALE_S = 2.0      # a submission that could not be sent for so long is left out
HTTP_SECONDS = 70  # above the gateway's own deadline
SENT_AT_ONCE = 64  # then a ZeroMQ client listens again
GOODBYE = "goodbye"  # the error of a submission that the door will not answer, and said so
SILENCE_S = 10    # a ZeroMQ door that says nothing for so long is connected to anew


class Retries:
    """Submissions to send again, with their times; shared by all lanes."""

    def __init__(self, random):
        self.random, self.heap, self.number, self.lock = random, [], 0, threading.Lock()

    def put(self, payload, attempt, pause_s=None):
        if attempt >= ATTEMPTS:
            return
        pause_s = pause_s if pause_s is not None else 0.1 * 2 ** attempt
        with self.lock:
            self.number += 1
            heapq.heappush(self.heap, (time.monotonic() + pause_s * self.random.uniform(0.5, 1), self.number, payload, attempt + 1))

    def take(self, now):
        with self.lock:
            if self.heap and self.heap[0][0] <= now:
                due, _, payload, attempt = heapq.heappop(self.heap)
                return due, payload, attempt
        return None


class Source:
    """The next submission of a lane. Every `duplicate_every`-th PCS is an earlier one, every `refuse_every`-th has a wrong signature."""

    def __init__(self, factory, retries, duplicate_every=6, refuse_every=50):
        self.factory, self.retries, self.duplicate_every, self.refuse_every = factory, retries, duplicate_every, refuse_every
        self.lock, self.rate, self.next_due, self.made, self.earlier, self.left_out = threading.Lock(), 0.0, 0.0, 0, [], 0

    def set_rate(self, rate):
        """Operations a second from now on; 0 is none, infinity as fast as they are taken."""
        with self.lock:
            self.rate, self.next_due = rate, time.monotonic()

    def is_idle(self):
        return self.rate == 0 or self.next_due > time.monotonic()

    def take(self):
        """(due, payload, attempt) of one that is due now, or None."""
        now = time.monotonic()
        again = self.retries.take(now)
        if again:
            return again
        with self.lock:
            if self.rate == 0 or self.next_due > now:
                return None
            if now - self.next_due > STALE_S:
                missed = int((now - self.next_due - STALE_S) * self.rate) + 1 if self.rate != float("inf") else 0
                self.left_out += missed
                self.next_due = now - STALE_S if missed else now
            due = self.next_due
            self.next_due += 1 / self.rate
            return due, self._make(), 1

    def _make(self):
        self.made += 1
        if self.duplicate_every and self.made % self.duplicate_every == 0 and self.earlier:
            return self.factory.random.choice(self.earlier)
        if self.refuse_every and self.made % self.refuse_every == 0:
            return Payload(self.factory.make(sig=WRONG_SIGNATURE))
        payload = Payload(self.factory.make())
        if len(self.earlier) < 500:
            self.earlier.append(payload)
        else:
            self.earlier[self.factory.random.randrange(500)] = payload
        return payload


class Clients:
    """`http` connections and one ZeroMQ connection to each gateway. Starts idle; set_rate() makes them go."""

    def __init__(self, cluster, recorder, seed, random, http=12, window=256, duplicate_every=6, refuse_every=50):
        self.recorder, self.window, self.retries = recorder, window, Retries(random)
        self.stopping, self.faults, self.threads, self.sources = threading.Event(), [], [], []
        for gate, gateway in enumerate(cluster.gateways):
            lanes = [("zmq", [self._zmq])] + ([("http", [self._http] * http)] if http else [])
            for door, runs in lanes:
                factory = reference.Factory(seed * 100 + len(self.sources), f"{door}{gate}")
                source = Source(factory, self.retries, duplicate_every, refuse_every)
                self.sources.append(source)
                self.threads += [threading.Thread(target=self._guard, args=(run, source, gateway, gate), daemon=True) for run in runs]

    def start(self):
        for thread in self.threads:
            thread.start()
        return self

    def set_rate(self, rate):
        for source in self.sources:
            source.set_rate(rate / len(self.sources))

    def stop(self):
        """Every operation that was begun has ended when this returns."""
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        if self.faults:
            raise RuntimeError(f"a client broke: {self.faults[0]}")

    def left_out(self):
        return sum(source.left_out for source in self.sources)

    def _guard(self, run, *arguments):
        try:
            run(*arguments)
        except BaseException as fault:  # a fault of the harness: the trial must not pass with a client gone
            self.faults.append(repr(fault))
            raise

    def _due(self, due):
        return round(due - self.recorder.began, 6)

    def _end(self, op, payload, attempt, answer=None, error=None, sent=True):
        result = self.recorder.done(op, answer, error, sent)
        if result == "info" or not sent:
            self.retries.put(payload, attempt, answer.retry_after if answer is not None else None)

    # ---- HTTP

    def _http(self, source, gateway, gate):
        door = doors.HttpDoor(gateway.http, seconds=HTTP_SECONDS)
        while not self.stopping.is_set():
            item = source.take()
            if item is None:
                self.stopping.wait(0.004)
                continue
            due, payload, attempt = item
            op = self.recorder.send(payload, "http", gate, self._due(due), attempt)
            try:
                answer = door.post(payload.body)
                self._end(op, payload, attempt, answer)
                if answer.status == 503 and door.connection is None:
                    self.stopping.wait(answer.retry_after)  # sent away: this client comes back when it was told to
            except ConnectionRefusedError as error:
                self._end(op, payload, attempt, error=repr(error), sent=False)
                self.stopping.wait(0.05)  # a door that is down is not hammered
            except (OSError, http.client.HTTPException) as error:
                self._end(op, payload, attempt, error=repr(error))
        door.close()

    # ---- ZeroMQ

    def _zmq(self, source, gateway, gate):
        while not self.stopping.is_set():
            Link(self, source, gateway, gate, self.window).run()


class Link:
    """One connection to a ZeroMQ door, until it is lost or nothing more is to be sent. One thread."""

    def __init__(self, clients, source, gateway, gate, window):
        self.clients, self.source, self.gate, self.wanted = clients, source, gate, window
        self.instance, self.flying, self.window, self.lost, self.leave_at = os.urandom(16), {}, 0, None, None
        self.heard = self.pinged = self.greeted = time.monotonic()
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.reconnect_ivl_max = 1000
        self.socket.connect(gateway.zmq)
        self._say(doors.HELLO, "chaos")

    def run(self):
        while self.turn(0 if not self.source.is_idle() and self.window > len(self.flying) else 4):
            pass
        self.close()

    def turn(self, wait_ms):
        """Sends due submissions, takes answers; false when this link is at its end."""
        now = time.monotonic()
        if self.clients.stopping.is_set():
            self.leave_at = self.leave_at or now + HTTP_SECONDS * SLOW
            if not self.flying or now > self.leave_at:
                return False
        elif self.window:
            self._submit()
        if self.window == 0 and now - self.greeted > 0.5:
            self.greeted = now
            self._say(doors.HELLO, "chaos")
        if now - self.pinged > 0.5:
            self.pinged = now
            self._say(doors.PING, b"")
        if now - self.heard > SILENCE_S * SLOW:
            self.lost = "the door is silent"
        if self.socket.poll(wait_ms):
            self._receive()
        return self.lost is None

    def close(self):
        """A submission without an answer is unknown."""
        for op, payload, attempt in self.flying.values():
            self.clients._end(op, payload, attempt, error=self.lost or "no answer in time")
        self.flying.clear()
        self.socket.close()

    def _say(self, kind, field):
        try:
            self.socket.send(doors.pack(kind, self.instance, field), zmq.DONTWAIT)
        except zmq.Again:
            pass  # nobody reads: silence will tell

    def _submit(self):
        for _ in range(min(SENT_AT_ONCE, self.window - len(self.flying))):
            item = self.source.take()
            if item is None:
                return
            due, payload, attempt = item
            identity = os.urandom(16)
            op = self.clients.recorder.send(payload, "zmq", self.gate, self.clients._due(due), attempt)
            self.flying[identity] = op, payload, attempt
            try:
                self.socket.send_multipart([doors.pack(doors.SUBMIT, identity), payload.packed], zmq.DONTWAIT)
            except zmq.Again:
                del self.flying[identity]
                self.clients._end(op, payload, attempt, error="nobody takes it", sent=False)
                return

    def _receive(self):
        while True:
            try:
                frame = doors.Frame(self.socket.recv_multipart(zmq.DONTWAIT))
            except zmq.Again:
                return
            self.heard = time.monotonic()
            if frame.kind == doors.WELCOME:
                self.window = min(self.wanted, frame.fields[0])
            elif frame.kind == doors.PING:
                self._say(doors.PONG, True)
            elif frame.kind == doors.PONG and self.window and not frame.fields[0]:
                self.lost = "the gateway is another one"
            elif frame.kind == doors.GOODBYE:
                self.lost = GOODBYE
            elif frame.kind in (doors.VERDICT, doors.UNAVAILABLE, doors.BUSY) and frame.id in self.flying:
                self.clients._end(*self.flying.pop(frame.id), from_frame(frame))
