# SPDX-License-Identifier: MIT
"""A real broker and gateway against workers that fail in ways a true worker seldom does; frames by the letter of PROTOCOL.md."""
import os
import socket
import threading
import time

import pytest
import zmq

from harness import doors, pcs as reference
from harness.cluster import Cluster
from harness.fakes import FakeWorker
from harness.process import SLOW, wait_for


@pytest.fixture
def cluster():
    """No worker of ours: the tests bring their own. Deadlines are long, so that nothing but the test decides."""
    with Cluster(workers=0, env={"FLK_HEARTBEAT_MS": 300}, gateway_env={"FLK_REQUEST_TIMEOUT_MS": int(20000 * SLOW)}) as running:
        yield running


def broker_total(cluster, name):
    return cluster.broker.metrics().total(f"flk_broker_{name}")


def serve(worker, stop, poison=()):
    """Answers as a true worker would, and is killed by each PCS of `poison`; comes back until told to stop."""
    while not stop.is_set():
        work = worker.work(0.1)
        if work is None:
            continue
        if work.pcs["pcs_id"] in poison:
            worker.crash()
            worker.enter()
        else:
            worker.answer(work)
    worker.crash()


class Serving:
    """Fake workers on threads of their own."""

    def __init__(self, cluster, number, **options):
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(cluster.broker.backend, options)) for _ in range(number)]

    def run(self, endpoint, options):
        serve(FakeWorker(endpoint), self.stop, **options)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()


# A PCS that takes each worker with it becomes a dead letter (202) after five of them, and no innocent PCS goes with it; sent again it is
# answered by the gateway itself, also after the gateway's restart.
def test_poison_becomes_a_dead_letter(cluster, seed):
    factory = reference.Factory(seed)
    poison, innocent = factory.make(), [factory.make() for _ in range(40)]
    with cluster.zmq(seconds=30) as zmq_door:
        with Serving(cluster, 3, poison={poison["pcs_id"]}):
            sent = {zmq_door.post(pcs): pcs for pcs in [*innocent[:20], poison, *innocent[20:]]}
            for identity, pcs in sent.items():
                answer = zmq_door.wait(identity)
                if pcs is poison:
                    assert answer.status == 202 and answer.body["reasons"] == ["dead_letter"] and answer.body["duplicate"] is False, answer
                else:
                    assert answer.outcome() == doors.predicted(pcs), answer
            assert broker_total(cluster, "dead_letters_total") == 1
            assert broker_total(cluster, "workers_lost_total") == 5
        # No worker is there any more.
        answer = zmq_door.submit(poison)
        assert answer.status == 202 and answer.body["reasons"] == ["dead_letter"] and answer.body["duplicate"] is True, answer
        assert answer.body["pcs_id"] == poison["pcs_id"] and answer.body["escalated"] is True, answer
        wait_for(lambda: cluster.gateway.metrics().total("flk_wal_unacked") == 0, 10, "every record is acked")
    cluster.gateway.stop()
    cluster.gateway.start()
    cluster.gateway.wait_ready()
    with cluster.zmq(seconds=30) as zmq_door:
        answer = zmq_door.submit(poison)
        assert answer.status == 202 and answer.body["reasons"] == ["dead_letter"] and answer.body["duplicate"] is True, answer


# A store outage is no worker loss: the client gets 503 with Retry-After at once, the record stays, and the gateway drives it again by itself
# until there is an outcome.
def test_unavailable_is_driven_again(cluster, seed):
    factory = reference.Factory(seed)
    sent = [factory.make() for _ in range(4)]
    with FakeWorker(cluster.broker.backend, credit=16) as worker, cluster.http(seconds=30) as http, cluster.zmq(seconds=30) as zmq_door:
        submissions = {}
        for number, pcs in enumerate(sent):
            door, got = (http, zmq_door)[number % 2], []
            thread = threading.Thread(target=lambda door=door, pcs=pcs, got=got: got.append(door.submit(pcs)))
            thread.start()
            work = worker.work()
            while work.pcs["pcs_id"] != pcs["pcs_id"]:  # an earlier one, driven again
                worker.unavailable(work)
                work = worker.work()
            submissions[pcs["pcs_id"]] = work.submission
            worker.unavailable(work, retry_ms=700)
            thread.join()
            assert got[0].status == 503 and got[0].retry_after == 1, got
        assert cluster.gateway.metrics().total("flk_wal_unacked") == len(sent)
        outages, settled = 6, set()
        while len(settled) < len(sent):
            work = worker.work(20)
            assert work, f"not driven again; {len(settled)} of {len(sent)} are settled"
            assert work.submission == submissions[work.pcs["pcs_id"]], "driven again under another id"
            if outages > 0:
                outages -= 1
                worker.unavailable(work)
            else:
                worker.answer(work)
                settled.add(work.pcs["pcs_id"])
        wait_for(lambda: cluster.gateway.metrics().total("flk_wal_unacked") == 0, 10, "every record is acked")
        assert broker_total(cluster, "dead_letters_total") == 0 and broker_total(cluster, "redeliveries_total") == 0


# Over its queue limit by count the broker says BUSY: 503 with Retry-After at once; each submission, taken or refused,
# gets its outcome once a worker is there.
def test_full_queue_is_busy(seed):
    factory = reference.Factory(seed)
    with Cluster(workers=0, broker_env={"FLK_QUEUE_COUNT_MAX": 4}, gateway_env={"FLK_REQUEST_TIMEOUT_MS": int(15000 * SLOW)}) as cluster:
        with cluster.zmq(seconds=30) as zmq_door:
            sent = {zmq_door.post(pcs): pcs for pcs in (factory.make() for _ in range(12))}
            wait_for(lambda: cluster.broker.metrics().total("flk_broker_queue_depth") == 4, 10, "the queue is full")
            with Serving(cluster, 1):
                answers = {identity: zmq_door.wait(identity) for identity in sent}
                for answer in answers.values():
                    assert answer.status in (200, 202) or answer.status == 503 and answer.retry_after >= 1, answer
                wait_for(lambda: cluster.gateway.metrics().total("flk_wal_unacked") == 0, 20, "all are driven again")


# A worker never holds more than its credit, and gets the next only for an answer; deliveries come in the order of their submission.
def test_credit_and_order(cluster, seed):
    factory = reference.Factory(seed)
    sent = [factory.make() for _ in range(6)]
    with FakeWorker(cluster.broker.backend, credit=2) as worker, cluster.zmq(seconds=30) as door:
        assert worker.granted == 2
        identities = []
        for pcs in sent:
            identities.append(door.post(pcs))
            wait_for(lambda: cluster.broker.metrics().total("flk_broker_submitted_total") == len(identities), 10, "it is queued")
        hand = [worker.work(), worker.work()]
        assert worker.is_idle(), "more than its credit"
        for number in range(len(sent)):
            work = hand.pop(0)
            assert work.pcs == sent[number] and work.attempt == 1
            worker.answer(work)
            assert door.wait(identities[number]).outcome() == doors.predicted(sent[number])
            if number + 2 < len(sent):
                hand.append(worker.work())


# The deliveries of a lost worker go to the front, in order, with the attempt counted; its own late verdict is the only
# one when it comes first.
def test_redelivery_goes_to_the_front(cluster, seed):
    factory = reference.Factory(seed)
    sent = [factory.make() for _ in range(5)]
    with cluster.zmq(seconds=30) as door:
        lost = FakeWorker(cluster.broker.backend, credit=3)
        identities = []
        for pcs in sent:
            identities.append(door.post(pcs))
            wait_for(lambda: cluster.broker.metrics().total("flk_broker_submitted_total") == len(identities), 10, "it is queued")
        assert [lost.work().pcs for _ in range(3)] == sent[:3]
        lost.crash()
        wait_for(lambda: broker_total(cluster, "redeliveries_total") == 3, 10, "they are queued again")
        with FakeWorker(cluster.broker.backend, credit=5) as worker:
            works = [worker.work() for _ in range(5)]
            assert [work.pcs for work in works] == sent and [work.attempt for work in works] == [2, 2, 2, 1, 1]
            for work, identity in zip(works, identities):
                worker.answer(work)
                assert door.wait(identity).outcome() == doors.predicted(work.pcs)


# A verdict from a worker that was given up as lost still settles its delivery; the one that comes second is counted as stale and reaches nobody.
def test_first_verdict_wins(cluster, seed):
    pcs = reference.Factory(seed, escalate_every=0).make()
    with cluster.zmq(seconds=30) as door, FakeWorker(cluster.broker.backend) as slow:
        identity = door.post(pcs)
        held = slow.work()
        # silent for more than three periods: no PING of the broker is answered
        wait_for(lambda: broker_total(cluster, "workers_lost_total") == 1, 10, "the silent worker is lost")
        with FakeWorker(cluster.broker.backend) as other:
            again = other.work()
            assert again.submission == held.submission and again.attempt == 2
            slow.answer(held)
            answer = door.wait(identity)
            assert answer.status == 200
            other.answer(again)
            wait_for(lambda: broker_total(cluster, "stale_verdicts_total") == 1, 10, "the second verdict is stale")
            assert door.receive(0.3) is None or not door.answers
        # the broker tells the slow one that it is not known any more
        slow.send(doors.pack(doors.PING, slow.instance, b""))
        assert slow.receive_kind(doors.PONG).fields[0] is False


# A worker that says GOODBYE gets nothing more, and hears GOODBYE when its deliveries are answered.
def test_goodbye(cluster, seed):
    factory = reference.Factory(seed)
    with cluster.zmq(seconds=30) as door, FakeWorker(cluster.broker.backend, credit=2) as worker:
        first = door.post(factory.make())
        work = worker.work()
        worker.goodbye()
        wait_for(lambda: broker_total(cluster, "inflight") == 1, 5, "it still holds one")
        second = door.post(factory.make())
        assert worker.is_idle(), "work after GOODBYE"
        worker.answer(work)
        assert door.wait(first).status in (200, 202)
        worker.receive_kind(doors.GOODBYE)
        with FakeWorker(cluster.broker.backend) as other:
            other.answer(other.work())
            assert door.wait(second).status in (200, 202)
        assert broker_total(cluster, "workers_lost_total") <= 1 and broker_total(cluster, "redeliveries_total") == 0


# A SUBMIT that the broker holds already is not queued twice; its answer goes to where it came from last.
def test_submit_twice_is_queued_once(cluster, seed):
    pcs = reference.Factory(seed, escalate_every=0).make()
    instance = os.urandom(16)  # one gateway that comes over another connection
    first, second = (doors.ZmqDoor(cluster.broker.frontend, instance=instance) for _ in range(2))
    with first, second, FakeWorker(cluster.broker.backend) as worker:
        identity = os.urandom(16)
        first.post(pcs, identity)
        work = worker.work()
        second.post(pcs, identity)
        wait_for(lambda: broker_total(cluster, "resubmitted_total") == 1, 5, "the second is known")
        assert worker.is_idle(), "queued twice"
        worker.answer(work)
        assert second.wait(identity).status == 200
        assert first.receive(0.3) is None or not first.answers


GARBAGE = [[b""], [b"\xc1"], [b"GET / HTTP/1.1\r\n\r\n"], [doors.pack(99, bytes(16))], [doors.pack(doors.SUBMIT, b"short"), b"\x80"],
           [doors.pack(doors.VERDICT, bytes(16), 2 ** 63, 200, 0), b"\x80"], [doors.pack(doors.VERDICT, bytes(16), 1, 200, 0)],
           [doors.pack(doors.READY, bytes(16), 2 ** 32 - 1, "x" * 65)], [doors.pack(doors.READY, bytes(16))],
           [doors.pack(doors.PING, bytes(16), b"x" * 17)], [doors.pack(doors.PING, bytes(16), b"x" * 16 * 1024)], [b"a"] * 50,
           [doors.pack(doors.WELCOME, bytes(16), 2 ** 32 - 1, 0)], [doors.pack(doors.GOODBYE, bytes(16))], [b"\x91" * 10000],
           [doors.pack(doors.UNAVAILABLE, bytes(16), 0, 2 ** 32 - 1, "\x01")], [doors.pack(doors.PONG, bytes(16), 7)]]


# Malformed, unknown and unexpected frames on both of the broker's sockets are counted and ignored; work goes on.
def test_broker_survives_garbage(cluster, seed):
    factory = reference.Factory(seed)
    before = broker_total(cluster, "malformed_total") + broker_total(cluster, "unknown_total")
    sockets = []
    for endpoint in (cluster.broker.frontend, cluster.broker.backend):
        peer = zmq.Context.instance().socket(zmq.DEALER)
        peer.linger = 1000
        peer.connect(endpoint)
        sockets.append(peer)
        for parts in GARBAGE:
            peer.send_multipart(parts)
        host, port = endpoint.removeprefix("tcp://").split(":")
        for data in (b"GET / HTTP/1.1\r\n\r\n", os.urandom(2000), b"\xff" + b"\0" * 8 + b"\x01\x7f\x03\0NULL" + b"\xff" * 60):
            with socket.create_connection((host, int(port)), 5) as raw:
                raw.sendall(data)
    wait_for(lambda: broker_total(cluster, "malformed_total") + broker_total(cluster, "unknown_total") >= before + len(GARBAGE), 10,
             "the broker counts them")
    with Serving(cluster, 1), cluster.zmq(seconds=30) as door, cluster.http(seconds=30) as http:
        for pcs in (factory.make() for _ in range(20)):
            assert door.submit(pcs).outcome() == doors.predicted(pcs)
            assert http.submit(factory.make()).status in (200, 202)
    for peer in sockets:
        peer.close()


# Bodies that are no PCS, sent straight to the broker, are refused by the worker (400); one over the limit ends that connection. Nobody else
# is harmed.
def test_bad_bodies_behind_the_gateway(seed):
    factory = reference.Factory(seed)
    with Cluster(workers=1) as cluster, doors.ZmqDoor(cluster.broker.frontend) as peer, cluster.zmq() as door:
        for body in (b"\xc1", b"\x80", b"x" * (1 << 20), os.urandom(1000)):
            assert peer.wait(peer.post(body)).status in (400, 413)
        peer.send(doors.pack(doors.SUBMIT, os.urandom(16)), b"x" * (8 << 20))
        for pcs in (factory.make() for _ in range(5)):
            assert door.submit(pcs).outcome() == doors.predicted(pcs)


# Workers that come and go in their hundreds leave nothing behind: no worker is listed, no descriptor is kept.
def test_churn_of_workers(cluster):
    open_before = cluster.broker.metrics().total("process_open_fds")
    for _ in range(150):
        with FakeWorker(cluster.broker.backend) as worker:
            assert worker.granted
    wait_for(lambda: broker_total(cluster, "workers") == 0, 10, "all are forgotten")
    wait_for(lambda: cluster.broker.metrics().total("process_open_fds") <= open_before + 8, 10, "descriptors are given back")
    began = time.monotonic()
    with FakeWorker(cluster.broker.backend):
        assert time.monotonic() - began < 5 * SLOW
