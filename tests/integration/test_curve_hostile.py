# SPDX-License-Identifier: MIT
"""Strangers' bytes and strangers in masses at every CURVE port: the cluster's own traffic goes on, and memory stays where it was."""
import os
import random
import resource
import socket
import threading
import time

import pytest

from harness import doors
from harness.cluster import Cluster
from harness.load import Load, first_answers, statuses
from harness.process import LONG, SLOW, sanitized, sized, wait_for
from harness.strangers import address_of, corpora

RSS_GROWTH_MAX = 64 << 20  # of any process, however many strangers have come
PATIENT = {"FLK_REQUEST_TIMEOUT_MS": 60000}  # a busy machine is no fault of the cluster
MASS, SILENT = 5000, 2000  # connections at one port
GARBAGE_RATE, GARBAGE_SECONDS, P99_GROWTH_MAX = 1000, 10, 5  # T29: at each port, and the bound on the others' p99
CHURN_SECONDS = sized(10, 300)  # T30


def ports(cluster):
    return {"frontend": cluster.broker.frontend, "backend": cluster.broker.backend, "door": cluster.gateway.zmq}


def rss(daemon):
    return daemon.metrics().total("process_resident_memory_bytes")


def open_fds(daemon):
    return daemon.metrics().total("process_open_fds")


def say(address, data, seconds=20):
    """Says it, and waits until the other side hangs up or has nothing more to say within its handshake time."""
    with socket.create_connection(address, 20 * SLOW) as peer:
        peer.settimeout(seconds * SLOW)
        try:
            peer.sendall(data)
            while peer.recv(65536):
                pass
        except ConnectionError:
            pass


class Strangers:
    """Threads that connect, say something, and leave; `count` connections in all, as fast as they can or `rate` a second."""

    def __init__(self, endpoint, rng, count, threads=8, rate=None):
        self.address, self.count, self.made, self.lock, self.rate_wanted = address_of(endpoint), count, 0, threading.Lock(), rate
        self.said = [data for data in corpora(rng).values()] + [rng.randbytes(97)] * 10
        self.began = time.monotonic()
        self.threads = [threading.Thread(target=self.run, args=(random.Random(rng.random()),)) for _ in range(threads)]
        for thread in self.threads:
            thread.start()

    def run(self, rng):
        while True:
            with self.lock:
                if self.made >= self.count:
                    return
                self.made += 1
                due = self.began + self.made / self.rate_wanted if self.rate_wanted else 0
            time.sleep(max(0.0, due - time.monotonic()))  # the rate of the fault
            try:
                with socket.create_connection(self.address, 20 * SLOW) as peer:
                    peer.sendall(rng.choice(self.said))
            except ConnectionError:
                pass  # refused in the middle of it

    def join(self):
        for thread in self.threads:
            thread.join()
        self.rate = self.count / (time.monotonic() - self.began)
        return self


def must_be_unharmed(cluster, submissions, before):
    assert set(statuses(submissions)) <= {200, 202}, statuses(submissions)
    first_answers(submissions)
    for daemon, bytes_before in before.items():
        bytes_now = rss(daemon)
        print(f"{daemon.name}: {bytes_before / 2**20:.1f} MiB before, {bytes_now / 2**20:.1f} MiB after")
        assert sanitized() or bytes_now < bytes_before + RSS_GROWTH_MAX


# Each of the corpora at each port, whole and cut short, while the cluster works: each connection is ended by the handshake's deadline at the
# latest, every submission is answered as ever, nothing falls over.
def test_hostile_bytes(seed):
    rng = random.Random(seed)
    with Cluster(workers=2, threads=1, curve=True, gateway_env=PATIENT) as cluster:
        before = {daemon: rss(daemon) for daemon in (cluster.broker, cluster.gateway)}
        with Load(cluster, seed, http=1, zmq=1, pause=0.002, seconds=70) as load:
            wait_for(lambda: len(load.answered()) > 20, 20, "load does not run")
            threads = [threading.Thread(target=say, args=(address_of(endpoint), data[:cut]))
                       for endpoint in ports(cluster).values() for data in corpora(rng).values()
                       for cut in {len(data), rng.randrange(len(data) + 1)}]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            submissions = load.stop()
        must_be_unharmed(cluster, submissions, before)


# 5000 connections at each port, as fast as eight threads make them, from peers that say something of the corpora and leave; then
# 5000 more, which must not cost more memory than the first. The cluster's own load never notices.
def test_masses_of_strangers(seed):
    rng = random.Random(seed)
    with Cluster(workers=2, threads=1, curve=True, gateway_env=PATIENT) as cluster:
        before = {daemon: rss(daemon) for daemon in (cluster.broker, cluster.gateway)}
        with Load(cluster, seed, http=1, zmq=1, pause=0.005, seconds=70) as load:
            wait_for(lambda: len(load.answered()) > 20, 20, "load does not run")
            for _ in range(2):
                for name, endpoint in ports(cluster).items():
                    print(f"{name}: {Strangers(endpoint, rng, MASS).join().rate:.0f} connections/s")
            submissions = load.stop()
        slowest = sorted(s.returned - s.invoked for s in submissions)
        print(f"{len(slowest)} submissions, p50 {slowest[len(slowest) // 2] * 1e3:.1f} ms, "
              f"p99 {slowest[len(slowest) * 99 // 100] * 1e3:.1f} ms")
        must_be_unharmed(cluster, submissions, before)
        for daemon in (cluster.broker, cluster.gateway):
            assert daemon.metrics().total("flk_curve_refused_total", reason="handshake") > 1000


def p99_ms(submissions, since, until):
    """Of those that were sent between two moments."""
    times = sorted(s.returned - s.invoked for s in submissions if since <= s.invoked < until)
    return times[len(times) * 99 // 100] * 1e3


# T29 in full: a thousand connections a second at each port for ten seconds, beside load at both doors: every submission gets its outcome, their p99
# stays below five times the value without strangers (the worse of before and after), and memory stays where it is.
@pytest.mark.long
@pytest.mark.skipif(not LONG, reason="judges latencies, so it wants the machine for itself: ./run test long")
def test_garbage_at_a_rate(seed):
    rng = random.Random(seed)
    with Cluster(workers=2, threads=1, curve=True, gateway_env=PATIENT) as cluster:
        before, judged, quiet = {daemon: rss(daemon) for daemon in (cluster.broker, cluster.gateway)}, [], []
        with Load(cluster, seed, http=2, zmq=1, pause=0.005, seconds=70) as load:
            for name, endpoint in ports(cluster).items():
                quiet.append(time.monotonic())
                time.sleep(GARBAGE_SECONDS / 2)  # the value without them
                began = time.monotonic()
                rate = Strangers(endpoint, rng, GARBAGE_RATE * GARBAGE_SECONDS, rate=GARBAGE_RATE).join().rate
                judged.append((name, rate, began, time.monotonic()))
            quiet.append(time.monotonic())
            time.sleep(GARBAGE_SECONDS / 2)
            submissions = load.stop()
        bases = [p99_ms(submissions, since, since + GARBAGE_SECONDS / 2) for since in quiet]
        for number, (name, rate, since, until) in enumerate(judged):
            base, during = max(bases[number:number + 2]), p99_ms(submissions, since, until)
            print(f"{name}: {rate:.0f} connections/s beside {sum(since <= s.invoked < until for s in submissions) / (until - since):.0f} submissions/s: "
                  f"p99 {bases[number]:.1f} ms before, {during:.1f} during, {bases[number + 1]:.1f} after")
            assert rate > 0.9 * GARBAGE_RATE and during <= P99_GROWTH_MAX * base, name
        must_be_unharmed(cluster, submissions, before)


# Two thousand connections at each port that never say a word, beside the load: they are ended by the handshake's deadline, their
# descriptors and memory come back, and no peer with a key waits for them.
def test_silent_strangers(seed):
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    with Cluster(workers=2, threads=1, curve=True, gateway_env=PATIENT) as cluster:
        daemons = (cluster.broker, cluster.gateway)
        before, fds = {daemon: rss(daemon) for daemon in daemons}, {daemon: open_fds(daemon) for daemon in daemons}
        with Load(cluster, seed, http=1, zmq=1, pause=0.005, seconds=70) as load:
            wait_for(lambda: len(load.answered()) > 20, 20, "load does not run")
            for name, endpoint in ports(cluster).items():
                silent = [socket.create_connection(address_of(endpoint), 20 * SLOW) for _ in range(SILENT)]
                daemon = cluster.gateway if name == "door" else cluster.broker
                print(f"{name}: {(rss(daemon) - before[daemon]) / 1024 / SILENT:.1f} KiB a connection, {open_fds(daemon):.0f} descriptors")
                wait_for(lambda: open_fds(daemon) < fds[daemon] + 50, 30, lambda: f"{open_fds(daemon)} descriptors are open")
                for peer in silent:
                    peer.close()
            submissions = load.stop()
        must_be_unharmed(cluster, submissions, before)


# T30. Workers come and go, fifty a second, each with a key that is let in: connect, READY, gone without a word. The broker's tables and
# descriptors return to where they were, and the workers that stay answer everything.
@pytest.mark.long
def test_peer_churn(seed):
    with Cluster(workers=1, threads=1, curve=True, gateway_env=PATIENT) as cluster:
        broker, curve = cluster.broker, cluster.keys.client("worker", "worker-0", "broker", "broker-0")
        fds = broker.metrics().total("process_open_fds")
        admitted, peers = broker.metrics().total("flk_curve_admitted_total"), 0
        with Load(cluster, seed, http=1, zmq=1, pause=0.005, seconds=70) as load:
            wait_for(lambda: len(load.answered()) > 20, 20, "load does not run")
            end = time.monotonic() + CHURN_SECONDS
            while time.monotonic() < end:
                began = time.monotonic()
                clients = [doors.dealer(curve) for _ in range(25)]
                for client in clients:
                    client.connect(broker.backend)
                    client.send(doors.pack(doors.READY, os.urandom(16), 0, "churn"))
                for client in clients[::2]:  # half of them stay until they are welcomed
                    client.poll(2000 * SLOW)
                for client in clients:
                    client.close()
                peers += len(clients)
                time.sleep(max(0.0, 0.5 - (time.monotonic() - began)))  # the rate of the fault
            submissions = load.stop()
        wait_for(lambda: broker.metrics().total("flk_broker_workers") == 1, 20, broker.log_tail)
        wait_for(lambda: broker.metrics().total("process_open_fds") <= fds + 4, 20, "descriptors are left over")
        print(f"{peers} peers in {CHURN_SECONDS} s, {broker.metrics().total('flk_curve_admitted_total') - admitted:.0f} let in; "
              f"{len(submissions)} submissions; {open_fds(broker) - fds:+.0f} descriptors; RSS {rss(broker) / 2**20:.0f} MiB")
        assert broker.metrics().total("flk_curve_admitted_total") > admitted + peers / 4
        assert set(statuses(submissions)) <= {200, 202}, statuses(submissions)
        first_answers(submissions)
