# SPDX-License-Identifier: MIT
"""The two ways in, each from its specification: HTTP (proto/openapi.yaml, raw sockets and keep-alive) and the ZeroMQ door
(proto/PROTOCOL.md, frames made by python3-msgpack, not by our codec)."""
import http.client
import json
import os
import socket
import time

import msgpack
import zmq

from . import pcs as reference
from .process import SLOW

PATH = "/v1/pcs/submit"
HELLO, WELCOME, READY, SUBMIT, WORK, VERDICT, UNAVAILABLE, BUSY, PING, PONG, GOODBYE = range(1, 12)
PROTOCOL = 1
DUPLICATE, CONFLICT, DEAD_LETTER = 1, 2, 4


class Answer:
    """The answer, the same for both doors: `body` as the HTTP door prints it."""

    def __init__(self, status, headers, raw, body=None):
        self.status, self.headers, self.raw = status, headers, raw
        self.body = body
        kind = headers.get("content-type", "")
        if body is None and "ndjson" in kind:
            self.body = [json.loads(line) for line in raw.splitlines()]
        elif body is None and "json" in kind:
            self.body = json.loads(raw)

    @property
    def retry_after(self):
        return int(self.headers["retry-after"]) if "retry-after" in self.headers else None

    def outcome(self):
        """The part that must be the same for ever: all but whether this was a duplicate."""
        return {"status": self.status, **{key: value for key, value in self.body.items()
                                          if key not in ("duplicate", "conflict")}}

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.raw[:300]!r}>"


def predicted(pcs):
    """The outcome that the cluster owes this PCS at first sight, by the reference."""
    verdict = reference.verdict(pcs)
    accepted = verdict["status"] == 200
    return dict(status=verdict["status"], accepted=accepted, escalated=not accepted, pcs_id=pcs["pcs_id"],
                recomputed_D_hat=verdict["d_hat"], recomputed_budget=verdict["budget"], budget=pcs["budget"],
                regime=verdict["regime"], reasons=verdict["reasons"], policy_version="default-1")


# ---- HTTP

def _answer(response):
    raw = response.read()
    return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, raw)


def http_get(address, path, headers=None, method="GET", body=None, seconds=10):
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection(*address, timeout=seconds * SLOW)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        return _answer(connection.getresponse())
    finally:
        connection.close()


def http_raw(address, data, seconds=10, half_close=False):
    """Sends bytes as they are and reads one response; None when the server closed without any."""
    with socket.create_connection(address, seconds * SLOW) as sock:
        try:
            sock.sendall(data)
            if half_close:
                sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # refused before all was read: the answer may be there already
        response = http.client.HTTPResponse(sock)
        try:
            response.begin()
            return _answer(response)
        except (http.client.HTTPException, ConnectionResetError):
            return None


class HttpDoor:
    """Keep-alive client; one thread owns it."""

    name = "http"

    def __init__(self, address, seconds=20):
        self.address, self.seconds, self.connection = address, seconds, None

    def submit(self, pcs):
        return self.post(reference.encode(pcs))

    def batch(self, lines):
        """PCS as objects or bytes, in one request; an object for each."""
        body = b"\n".join(line if isinstance(line, bytes) else reference.encode(line) for line in lines)
        return self.post(body, "application/x-ndjson", "/v1/pcs/batch")

    def post(self, body, content_type="application/json", path=PATH, method="POST", **headers):
        if content_type:
            headers["Content-Type"] = content_type
        if self.connection is None:
            self.connection = http.client.HTTPConnection(*self.address, timeout=self.seconds * SLOW)
        try:
            self.connection.request(method, path, body=body, headers=headers)
            answer = _answer(self.connection.getresponse())
        except BaseException:
            self.close()
            raise
        if answer.headers.get("connection", "").lower() == "close":
            self.close()
        return answer

    def close(self):
        if self.connection:
            self.connection.close()
            self.connection = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


# ---- ZeroMQ

def pack(kind, identity, *fields, protocol=PROTOCOL):
    return msgpack.packb([protocol, kind, identity, *fields])


class Frame:
    """One message from the gateway; `fields` after [protocol, kind, id]."""

    def __init__(self, parts):
        self.parts = parts
        self.protocol, self.kind, self.id, *self.fields = msgpack.unpackb(parts[0])
        self.body = msgpack.unpackb(parts[1]) if len(parts) > 1 and parts[1] else None
        assert self.protocol == PROTOCOL and len(parts) <= 2, parts

    def answer(self):
        """The Answer that the HTTP door would give for the same thing."""
        raw = self.parts[1] if len(self.parts) > 1 else b""
        if self.kind == VERDICT:
            _, status, flags = self.fields[:3]
            if status not in (200, 202):
                return Answer(status, {}, raw, {"status": status, **self.body})
            body = dict(accepted=status == 200, escalated=status == 202, pcs_id=self.body["pcs_id"],
                        recomputed_D_hat=self.body["d_hat"], recomputed_budget=self.body["budget"],
                        budget=self.body["budget_claimed"], regime=self.body["regime"], reasons=self.body["reasons"],
                        policy_version=self.body["policy_version"], duplicate=bool(flags & DUPLICATE))
            if flags & CONFLICT:
                body["conflict"] = True
            return Answer(status, {}, raw, body)
        assert self.kind in (UNAVAILABLE, BUSY), f"kind {self.kind} answers no submission"
        retry_ms, reason = self.fields[-2:]
        status = 429 if self.kind == BUSY else 503
        return Answer(status, {"retry-after": str(-(-retry_ms // 1000))}, raw, {"status": status, "detail": reason})

    def __repr__(self):
        return f"<frame {self.kind} {self.id.hex()} {self.fields} {self.body}>"


def dealer(curve=None):
    """A DEALER; with `curve` (server's key, own public key, own secret key, in Z85) a client of that server."""
    socket = zmq.Context.instance().socket(zmq.DEALER)
    socket.linger = 0
    if curve:
        socket.curve_serverkey, socket.curve_publickey, socket.curve_secretkey = (key.encode() for key in curve)
    return socket


class ZmqDoor:
    """A DEALER as an agent has it; one thread owns it. HELLO is sent at once."""

    name = "zmq"

    def __init__(self, endpoint, seconds=20, hello=True, curve=None, instance=None):
        self.seconds, self.instance = seconds, instance or os.urandom(16)
        self.socket = dealer(curve)
        self.socket.connect(endpoint)
        self.credit, self.answers = None, {}
        if hello:
            self.hello()

    def hello(self):
        self.send(pack(HELLO, self.instance, "itest"))
        welcome = self.receive_kind(WELCOME)
        self.credit, self.heartbeat_ms = welcome.fields[:2]

    def send(self, *parts):
        self.socket.send_multipart(parts)

    def receive(self, seconds=None):
        """The next frame; None when none came in time."""
        wait = (self.seconds if seconds is None else seconds) * SLOW
        return Frame(self.socket.recv_multipart()) if self.socket.poll(wait * 1000) else None

    def receive_kind(self, kind):
        end = time.monotonic() + self.seconds * SLOW
        while time.monotonic() < end:
            frame = self.receive()
            assert frame, f"no frame of kind {kind} in time"
            if frame.kind == kind:
                return frame
            self.take(frame)
        raise AssertionError(f"no frame of kind {kind} in time")

    def take(self, frame):
        if frame.kind == PING:
            self.send(pack(PONG, self.instance, True))
        elif frame.kind in (VERDICT, UNAVAILABLE, BUSY):
            assert frame.id not in self.answers, f"answered twice: {frame}"
            self.answers[frame.id] = frame

    def post(self, pcs, identity=None):
        """Sends a SUBMIT and returns its id; `pcs` may be packed already."""
        identity = identity or os.urandom(16)
        self.send(pack(SUBMIT, identity), pcs if isinstance(pcs, bytes) else msgpack.packb(pcs))
        return identity

    def wait(self, identity, seconds=None):
        end = time.monotonic() + (self.seconds if seconds is None else seconds) * SLOW
        while identity not in self.answers:
            left = end - time.monotonic()
            frame = self.receive(left / SLOW) if left > 0 else None
            if frame is None:
                raise TimeoutError(f"no answer to {identity.hex()}")
            self.take(frame)
        return self.answers.pop(identity).answer()

    def submit(self, pcs):
        return self.wait(self.post(pcs))

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
