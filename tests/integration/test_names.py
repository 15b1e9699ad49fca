# SPDX-License-Identifier: MIT
"""Brokers that are met by name, and a name server that falls silent. The cluster runs in a network and a mount namespace of its own, with a
name server that the test plays: this file runs itself there."""
import fcntl
import os
import pathlib
import re
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest

from harness import pcs as reference
from harness.cluster import Cluster
from harness.process import SLOW, wait_for

INSIDE = os.environ.get("FLK_TEST_NAMESPACE") == "1"


class NameServer(threading.Thread):
    """Answers every A and AAAA question below flk.test from `addresses[name]`, or with nothing at all while it is silent."""

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 53))
        self.addresses, self.silent, self.unanswered = {}, False, 0
        self.start()

    def run(self):
        while True:
            question, client = self.socket.recvfrom(512)
            if self.silent:
                self.unanswered += 1
                continue
            labels, at = [], 12
            while question[at]:
                labels.append(question[at + 1:at + 1 + question[at]].decode())
                at += 1 + question[at]
            kind = struct.unpack(">H", question[at + 1:at + 3])[0]
            found = [address for address in self.addresses.get(".".join(labels), []) if kind == (28 if ":" in address else 1)]
            answer = question[:2] + struct.pack(">HHHHH", 0x8180, 1, len(found), 0, 0) + question[12:at + 5]
            for address in found:
                packed = socket.inet_pton(socket.AF_INET6 if kind == 28 else socket.AF_INET, address)
                answer += struct.pack(">HHHIH", 0xC00C, kind, 1, 1, len(packed)) + packed
            self.socket.sendto(answer, client)


def bring_loopback_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP


def named(cluster, name_server):
    """Everybody meets broker N by the name bN.flk.test."""
    for number in range(len(cluster.brokers)):
        name_server.addresses[f"b{number}.flk.test"] = ["127.0.0.1"]
    for daemon, setting in [(cluster.gateway, "FLK_FRONTENDS"), *((worker, "FLK_BACKENDS") for worker in cluster.workers)]:
        ends = daemon.env[setting].split(",")
        daemon.env[setting] = ",".join(re.sub("127.0.0.1", f"b{number}.flk.test", end) for number, end in enumerate(ends))
        daemon.env["FLK_PLAINTEXT"] = "1"


@pytest.fixture(scope="module")
def name_server():
    bring_loopback_up()
    return NameServer()


def gaps(http, factory, seconds):
    """Submits for so long, one after the other; the longest time without a verdict."""
    longest, last, end = 0, time.monotonic(), time.monotonic() + seconds
    while time.monotonic() < end:
        if http.submit(factory.make()).status == 200:
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
        time.sleep(0.02)
    return max(longest, time.monotonic() - last)


# All of this file, in namespaces of its own.
@pytest.mark.skipif(INSIDE or os.geteuid() != 0, reason="needs root, for a network namespace")
def test_in_a_namespace(tmp_path):
    resolv, hosts = tmp_path / "resolv.conf", tmp_path / "hosts"
    resolv.write_text("nameserver 127.0.0.1\noptions timeout:5 attempts:2\n")
    hosts.write_text("127.0.0.1 localhost\n")
    inner = (f"mount --bind {resolv} /etc/resolv.conf && mount --bind {hosts} /etc/hosts && "
             f"exec {sys.executable} -B -m pytest -q -p no:cacheprovider {pathlib.Path(__file__)} -k inside")
    done = subprocess.run(["unshare", "--mount", "--net", "sh", "-c", inner], env={**os.environ, "FLK_TEST_NAMESPACE": "1"},
                          capture_output=True, text=True, timeout=200 * SLOW)
    if "unshare failed" in done.stderr or "permission denied" in done.stderr.lower():
        pytest.skip(f"no namespaces here: {done.stderr.strip()}")
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout + done.stderr


# One broker is away and no name server answers: the other broker serves as before.
@pytest.mark.skipif(not INSIDE, reason="runs in the namespace")
def test_inside_a_silent_name_server(name_server, seed):
    factory = reference.Factory(seed, "silent")
    cluster = Cluster(brokers=2, workers=1)
    named(cluster, name_server)
    with cluster, cluster.http() as http:
        wait_for(lambda: cluster.gateway.metrics().total("flk_broker_link_up") == 2, 10, "two brokers are linked")
        assert gaps(http, factory, 1) < 1 * SLOW
        cluster.brokers[0].kill()
        name_server.silent = True
        wait_for(lambda: cluster.gateway.metrics().total("flk_broker_link_up") == 1, 10, "the loss is noticed")
        longest = gaps(http, factory, 12)
        assert longest < 1.5 * SLOW, f"{longest:.1f} s without a verdict"
        assert name_server.unanswered > 0, "nobody asked: the name server's silence was not felt"
        cluster.brokers[0].start()
        wait_for(lambda: cluster.gateway.metrics().total("flk_broker_link_up") == 2, 15, "found where it was, by the address of before")
        name_server.silent = False


# A name that moves: the link follows it to the new address.
@pytest.mark.skipif(not INSIDE, reason="runs in the namespace")
def test_inside_a_name_that_moves(name_server, seed):
    factory = reference.Factory(seed, "moves")
    cluster = Cluster(brokers=1, workers=1)
    named(cluster, name_server)
    with cluster, cluster.http() as http:
        assert http.submit(factory.make()).status == 200
        broker = cluster.broker
        broker.stop()
        for setting in ("FLK_FRONTENDS", "FLK_BACKENDS"):
            broker.env[setting] = broker.env[setting].replace("127.0.0.1", "127.0.0.2")
        name_server.addresses["b0.flk.test"] = ["127.0.0.2"]
        broker.start()
        cluster.wait_ready()
        wait_for(lambda: http.submit(factory.make()).status == 200, 15, "a verdict by the broker's new address")


# A name with several addresses, of which one is dead: the link tries the next.
@pytest.mark.skipif(not INSIDE, reason="runs in the namespace")
def test_inside_a_name_of_several_addresses(name_server, seed):
    factory = reference.Factory(seed, "several")
    cluster = Cluster(brokers=1, workers=1)
    named(cluster, name_server)
    name_server.addresses["b0.flk.test"] = ["127.0.0.9", "127.0.0.1"]
    with cluster, cluster.http() as http:
        wait_for(lambda: http.submit(factory.make()).status == 200, 20, "a verdict by the address that lives")


# A broker that listens on every address, and whose name has IPv6 alone, as in a cluster of Kubernetes without IPv4.
@pytest.mark.skipif(not INSIDE or not os.path.exists("/proc/net/if_inet6"), reason="runs in the namespace, with IPv6")
def test_inside_a_name_of_ipv6(name_server, seed):
    factory = reference.Factory(seed, "ipv6")
    cluster = Cluster(brokers=1, workers=1)
    named(cluster, name_server)
    for setting in ("FLK_FRONTENDS", "FLK_BACKENDS"):
        cluster.broker.env[setting] = cluster.broker.env[setting].replace("127.0.0.1", "*")
    cluster.broker.env["FLK_PLAINTEXT"] = "1"
    name_server.addresses["b0.flk.test"] = ["::1"]
    with cluster, cluster.http() as http:
        assert http.submit(factory.make()).status == 200
