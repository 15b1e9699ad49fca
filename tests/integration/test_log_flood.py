# SPDX-License-Identifier: MIT
"""A peer that causes one event after another does not fill the log of any program."""
import collections
import os
import re
import time

import msgpack
import pytest
import zmq

from harness import doors
from harness.cluster import Cluster
from harness.process import SLOW, wait_for

BURST, FLOOD = 64, 3000
EVENT = re.compile(r"^\S+ (?:DEBUG|INFO|WARN|ERROR) \S+ (\w+)")


@pytest.fixture
def cluster():
    with Cluster(workers=1, threads=1, env={"FLK_LOG_LEVEL": "debug"}) as running:
        yield running


def flood(endpoint, frames):
    """Sends all frames over one connection and waits until the other side has read them: it answers the PING behind them."""
    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    socket.linger = 0
    socket.connect(endpoint)
    try:
        for number, parts in enumerate(frames):
            socket.send_multipart(parts)
            if number % 500 == 499:
                pong(socket)
        pong(socket)
    finally:
        context.destroy()


def pong(socket):
    token = os.urandom(16)
    socket.send(doors.pack(doors.PING, token, b""))
    deadline = time.monotonic() + 20 * SLOW
    while time.monotonic() < deadline:
        if socket.poll(1000) and msgpack.unpackb(socket.recv_multipart()[0])[1] == doors.PONG:
            return
    raise AssertionError("no PONG")


def count_events(daemon):
    return collections.Counter(match[1] for match in map(EVENT.match, daemon.log().splitlines()) if match)


def check_log(daemon, began, expected=None):
    """No event has more lines than its burst and one a second since `began`."""
    events = count_events(daemon)
    limit = BURST + 2 + (time.monotonic() - began)
    assert all(lines <= limit for lines in events.values()), f"{daemon.name}: {events}, {limit}"
    if expected:
        assert events[expected] >= BURST, f"{daemon.name} never said {expected}: {events}"


# A worker's READY with an instance that changes each time, at the broker: two events each.
def test_changing_workers_at_the_broker(cluster):
    began = time.monotonic()
    flood(cluster.broker.backend, ([doors.pack(doors.READY, os.urandom(16), 1, f"w{n}")] for n in range(FLOOD)))
    check_log(cluster.broker, began, "worker_lost")
    check_log(cluster.broker, began, "worker_ready")
    wait_for(lambda: flood(cluster.broker.backend, [[doors.pack(doors.READY, os.urandom(16), 1, "late")]])
             or "lines_left_out" in cluster.broker.log(), 20, lambda: "nobody is told what was left out")


# The same by HELLO and GOODBYE at the broker's other side and at the gateway's door, with frames that nobody can read among them.
@pytest.mark.parametrize("where", ["broker", "gateway"])
def test_changing_senders(cluster, where):
    def frames():
        for number in range(FLOOD):
            yield [doors.pack(doors.HELLO, os.urandom(16), f"g{number}")]
            yield [os.urandom(12)]
            yield [doors.pack(doors.SUBMIT, os.urandom(16)), b"\xc1"]
            yield [doors.pack(doors.GOODBYE, os.urandom(16))]
    began = time.monotonic()
    flood(cluster.broker.frontend if where == "broker" else cluster.gateway.zmq, frames())
    for daemon in cluster.daemons():
        check_log(daemon, began)


# Requests that the HTTP door refuses, each on a connection of its own.
def test_bad_requests(cluster):
    began = time.monotonic()
    for number in range(300):
        doors.http_raw(cluster.gateway.http, b"POST /%d HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n" % number)
        doors.http_raw(cluster.gateway.http, b"\x16\x03\x01 %d\r\n\r\n" % number)
    check_log(cluster.gateway, began)
