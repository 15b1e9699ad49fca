# SPDX-License-Identifier: MIT
"""Clients that are slow, idle, or many, beside legitimate load: T36 (slowhttptest), T37, and the bounds of the HTTP door."""
import os
import resource
import shutil
import socket
import subprocess
import time

import pytest

from harness import doors, pcs as reference
from harness.cluster import Cluster
from harness.load import Load
from harness.process import LONG, SLOW, sized, wait_for

SLOW_CONNECTIONS = int(os.environ.get("FLK_TEST_SLOW_CONNECTIONS", "1000"))
SECONDS = int(os.environ.get("FLK_TEST_SLOW_SECONDS", sized(8, 60)))
IDLE = sized(1000, 10000)  # T37
HEAD = b"POST /v1/pcs/submit HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.fixture(autouse=True)
def descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20000), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def report(name, submissions):
    times = sorted(s.returned - s.invoked for s in submissions)
    good = sum(s.status in (200, 202) for s in submissions)
    print(f"{name}: {good} of {len(submissions)} answered, p50 {times[len(times) // 2] * 1e3:.1f} ms, "
          f"p99 {times[len(times) * 99 // 100] * 1e3:.1f} ms, longest {times[-1] * 1e3:.0f} ms")
    return good


# T36. slowhttptest with 1000 connections, slow in the head, in the body, in reading: at least 99.9 % of the legitimate submissions are answered 200 or
# 202, over connections that are new and ones that are kept.
@pytest.mark.long
@pytest.mark.parametrize("mode", ["-H", "-B", "-X"])
def test_slowhttptest(mode, seed):
    if shutil.which("slowhttptest") is None:
        pytest.skip("slowhttptest is not installed")
    with Cluster() as cluster:
        url = "http://%s:%d/healthz" % cluster.gateway.http if mode == "-X" else "http://%s:%d/v1/pcs/submit" % cluster.gateway.http
        command = ["slowhttptest", mode, "-c", str(SLOW_CONNECTIONS), "-r", "300", "-i", "1", "-l", str(SECONDS), "-u", url, "-p", "3"]
        command += {"-H": ["-x", "24"], "-B": ["-s", "4096", "-x", "10", "-t", "POST", "-f", "application/json"],
                    "-X": ["-w", "8", "-y", "16", "-n", "2", "-z", "8", "-k", "3"]}[mode]
        load = Load(cluster, seed, http=4, zmq=1, window=4, pause=0.01)
        with load:
            wait_for(lambda: len(load.answered()) > 20, 20, "answers before the attack")
            attack = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
            try:
                end = time.monotonic() + SECONDS + 2
                while attack.poll() is None and time.monotonic() < end:
                    time.sleep(0.1)
            finally:
                attack.kill()
                attack.wait()
            during = len(load.answered())
            wait_for(lambda: len(load.answered()) > during + 20, 60, "answers after the attack")
            load.stopping.set()
        submissions = load.join()
        good = report(mode, submissions)
        page = cluster.gateway.metrics()
        print({label: page.total("flk_http_cut_total", reason=label) for label in ("head", "idle", "reader")})
        assert good >= 0.999 * len(submissions), [s for s in submissions if s.status not in (200, 202)][:5]


def resident(daemon):
    """Bytes; asked of the kernel, since a scrape would wait as every new client does."""
    with open(f"/proc/{daemon.pid}/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


def p99_ms(submissions):
    times = sorted(s.returned - s.invoked for s in submissions)
    return times[len(times) * 99 // 100] * 1e3


# T37. Far more idle keep-alive connections than threads: each was served once and ended when others waited, load over connections of before does not
# notice them, a new client has its turn behind them, and memory does not follow their number.
@pytest.mark.long
def test_idle_connections(seed):
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if descriptors < IDLE + 500:
        pytest.skip(f"{IDLE} connections need {IDLE + 500} descriptors, and ulimit -Hn is {descriptors}")
    with Cluster() as cluster:
        gateway, factory = cluster.gateway, reference.Factory(seed)
        memory, idle = resident(gateway), []
        load = Load(cluster, seed, http=2, zmq=1, window=4, pause=0.01)
        try:
            with load:
                wait_for(lambda: len(load.answered()) > sized(50, 1000), 60, "load does not run")
                before = load.answered()
                for number in range(IDLE):
                    sock = socket.socket()
                    sock.bind((f"127.0.0.{2 + number % 50}", 0))
                    sock.settimeout(30 * SLOW)
                    sock.connect(gateway.http)
                    sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                    idle.append(sock)
                grown = resident(gateway) - memory
                with cluster.http(seconds=60) as door:  # behind all those that wait for a thread
                    began = time.monotonic()
                    assert door.submit(factory.make()).status in (200, 202)
                    print(f"{IDLE} idle connections: a new client was served after {time.monotonic() - began:.2f} s")
                load.stopping.set()
            submissions = load.join()
            served = sum(sock.recv(4096).startswith(b"HTTP/1.1 200 ") for sock in idle)
        finally:
            for sock in idle:
                sock.close()
        base, during = p99_ms(before), p99_ms(submissions[len(before):])
        good = report("beside them", submissions)
        print(f"p99 {base:.1f} ms before, {during:.1f} ms during; RSS {grown / 2**20:+.1f} MiB; {served} of {IDLE} were served before they were ended")
        assert served == IDLE and grown < 200e6
        assert good >= 0.999 * len(submissions), [s for s in submissions if s.status not in (200, 202)][:5]
        assert not LONG or during <= 2 * base


def connect(address, data, bind=None):
    sock = socket.socket()
    if bind:
        sock.bind((bind, 0))
    sock.settimeout(20 * SLOW)
    sock.connect(address)
    sock.sendall(data)
    return sock


def ended_after(sock, drip=b"", seconds=30):
    """Seconds until the other side ends it, while we send `drip` twice a second."""
    began = time.monotonic()
    sock.settimeout(0.5)
    while time.monotonic() - began < seconds * SLOW:
        try:
            if sock.recv(65536) == b"":
                return time.monotonic() - began
        except socket.timeout:
            try:
                sock.sendall(drip)
            except OSError:
                return time.monotonic() - began
        except OSError:
            return time.monotonic() - began
    raise AssertionError("never ended")


# A head that drips, a body that drips (announced or chunked), and a connection that only is there: each ends by its deadline, and nothing of
# them is stored.
def test_drips_are_cut():
    with Cluster() as cluster:
        address = cluster.gateway.http
        before = cluster.gateway.metrics().total("flk_ingest_total")
        cases = {"head": (HEAD, b"X"), "announced body": (HEAD + b"Content-Length: 1000\r\n\r\n{", b" "),
                 "chunked body": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"), "silence": (b"", b"")}
        for name, (start, drip) in cases.items():
            print(f"{name}: ended after {ended_after(connect(address, start), drip):.1f} s")
        assert cluster.gateway.metrics().total("flk_ingest_total") == before


# Over the bound of one address its requests are answered 503 with Retry-After at once, and another address is served.
def test_connections_of_one_address(seed):
    with Cluster(gateway_env={"FLK_HTTP_PER_ADDRESS": 5}) as cluster:
        gateway, open_ones, statuses = cluster.gateway, [], []
        for _ in range(8):
            sock = connect(gateway.http, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "127.0.0.9")
            answer = sock.recv(4096)
            statuses.append(answer.split(b" ")[1])
            assert statuses[-1] == b"200" or b"\r\nRetry-After: " in answer, answer
            open_ones.append(sock)
        assert statuses == [b"200"] * 5 + [b"503"] * 3, statuses
        assert gateway.get("/healthz").status == 200
        open_ones.pop(0).close()
        wait_for(lambda: connect(gateway.http, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "127.0.0.9").recv(4096).split(b" ")[1]
                 == b"200", 20, "a place for this address")
        assert gateway.metrics().total("flk_http_overload_total") >= 3


# One request more than may run at once: 503 with Retry-After, not a wait for a thread.
def test_one_request_too_many(seed):
    factory = reference.Factory(seed)
    with Cluster(workers=0, gateway_env={"FLK_HTTP_THREADS": 4, "FLK_REQUEST_TIMEOUT_MS": 4000}) as cluster:
        def submit():
            body = reference.encode(factory.make())
            return connect(cluster.gateway.http, HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        waiting = [submit() for _ in range(4)]
        wait_for(lambda: b" 503 " in submit().recv(4096), 3, "a 503 before the first ones' deadline")
        for sock in waiting:
            assert b" 503 " in sock.recv(4096)
