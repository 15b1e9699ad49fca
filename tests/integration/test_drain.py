# SPDX-License-Identifier: MIT
"""SIGTERM drains: a process that stops finishes its work, says so, and ends with 0; clients see 200, 202, or 503 with Retry-After."""
import http.client
import json
import signal
import threading
import time

import pytest

from harness import doors, pcs as reference
from harness.cluster import Cluster
from harness.load import Load, first_answers, statuses
from harness.process import SLOW, wait_for


def check_only_good_answers(submissions, allowed):
    bad = [s for s in submissions if s.status not in allowed]
    assert not bad, (statuses(submissions), bad[:3])
    for submission in submissions:
        assert submission.status != 503 or submission.answer.retry_after >= 1, submission
    first_answers(submissions)


# A worker that is told to stop under load, with many deliveries in hand, finishes them and exits 0; its colleague goes on and no
# client notices.
def test_worker_drains(seed):
    with Cluster(workers=2, threads=2) as cluster:
        with Load(cluster, seed, http=2, zmq=2, window=512) as load:
            for worker in cluster.workers:
                before = len(load.answered())
                wait_for(lambda: len(load.answered()) > before + 200, 20, "load runs")
                worker.stop(seconds=10)
                worker.start()
                worker.wait_ready()
            submissions = load.stop()
        check_only_good_answers(submissions, {200, 202})
        metrics = cluster.broker.metrics()
        assert metrics.total("flk_broker_redeliveries_total") == 0, "a draining worker let deliveries fall"


# A worker that is told to stop while it holds four hundred deliveries answers all of them before it exits 0.
def test_worker_finishes_what_is_in_hand(seed):
    factory = reference.Factory(seed)
    with Cluster(workers=1, threads=1, env={"FLK_HEARTBEAT_MS": 5000}, worker_env={"FLK_WORKER_CREDIT": 400},
                 gateway_env={"FLK_REQUEST_TIMEOUT_MS": int(20000 * SLOW)}) as cluster, cluster.zmq(seconds=30) as door:
        cluster.worker.pause()
        sent = {door.post(pcs): pcs for pcs in (factory.make() for _ in range(400))}
        wait_for(lambda: cluster.broker.metrics().total("flk_broker_inflight") == len(sent), 20, "all are in its hand")
        cluster.worker.terminate()
        cluster.worker.resume()
        assert cluster.worker.wait(15) == 0, cluster.worker.log_tail()
        for identity, pcs in sent.items():
            assert door.wait(identity).outcome() == doors.predicted(pcs)
        assert cluster.broker.metrics().total("flk_broker_redeliveries_total") == 0


# A worker that was the last one drains too; submissions then get 503 with Retry-After, and their outcome later by themselves.
def test_last_worker_drains(seed):
    with Cluster(workers=1, gateway_env={"FLK_REQUEST_TIMEOUT_MS": 1500}) as cluster:
        with Load(cluster, seed, http=4, zmq=1, window=32, pause=0.001) as load:
            wait_for(lambda: len(load.answered()) > 200, 20, "load runs")
            cluster.worker.stop(seconds=10)
            wait_for(lambda: 503 in statuses(load.answered()), 10, "503 without a worker")
            cluster.worker.start()
            load.stopping.set()
            submissions = load.stop()
        check_only_good_answers(submissions, {200, 202, 503})
        wait_for(lambda: cluster.gateway.metrics().total("flk_wal_unacked") == 0, 40, "all records driven again")


# A gateway that is told to stop under load answers everything that had been sent before, then exits 0.
def test_gateway_drains_under_load(seed):
    with Cluster(workers=2, threads=1) as cluster:
        with Load(cluster, seed, http=4, zmq=1, window=32, pause=0.001, seconds=4) as load:
            wait_for(lambda: len(load.answered()) > 200, 20, "load runs")
            told = time.monotonic()
            cluster.gateway.terminate()
            assert cluster.gateway.wait(15) == 0, cluster.gateway.log_tail()
            load.stopping.set()
            submissions = load.stop()
        before = [s for s in submissions if s.invoked < told - 0.05]
        check_only_good_answers(before, {200, 202})
        check_only_good_answers([s for s in submissions if s.answer], {200, 202, 503})
        cluster.gateway.start()
        cluster.gateway.wait_ready()
        assert cluster.gateway.metrics().total("flk_wal_unacked") == 0, "a drain leaves no un-acked record"


# From the moment of SIGTERM /readyz says 503 while /healthz says 200; new work is refused with 503 and Retry-After; requests in
# flight are still answered; then the gateway exits 0.
def test_gateway_says_not_ready_while_it_drains(seed):
    factory = reference.Factory(seed)
    with Cluster(workers=1, gateway_env={"FLK_REQUEST_TIMEOUT_MS": int(8000 * SLOW)}) as cluster:
        cluster.worker.stop()
        pcs = factory.make()
        pending = http.client.HTTPConnection(*cluster.gateway.http, timeout=30 * SLOW)
        pending.request("POST", doors.PATH, reference.encode(pcs), {"Content-Type": "application/json"})
        idle = cluster.http()
        assert idle.post(b"x").status == 400
        with cluster.zmq() as zmq:
            other = factory.make()
            identity = zmq.post(other)
            wait_for(lambda: cluster.gateway.metrics().total("flk_wal_unacked") == 2, 10, "two in flight")
            cluster.gateway.terminate()
            wait_for(lambda: cluster.gateway.get("/readyz").status == 503, 2, "/readyz says 503")
            assert cluster.gateway.get("/healthz").status == 200
            try:
                answer = idle.submit(factory.make())
                assert answer.status == 503 and answer.retry_after >= 1 and idle.connection is None, answer
            except (http.client.HTTPException, ConnectionError):
                pytest.fail("an open connection was cut at the start of the drain")
            assert cluster.gateway.alive(), "it left with submissions in flight"
            cluster.worker.start()
            answer = zmq.wait(identity)
            assert answer.outcome() == doors.predicted(other), answer
        response = pending.getresponse()
        body = json.loads(response.read())
        assert response.status == doors.predicted(pcs)["status"] and body["pcs_id"] == pcs["pcs_id"], body
        assert cluster.gateway.wait(15) == 0, cluster.gateway.log_tail()


# Clients that keep their connections open while the gateway stops are told 503 and that the connection ends; none is cut. Agents
# at the ZeroMQ door are told GOODBYE.
def test_gateway_sends_its_clients_away(seed):
    factory = reference.Factory(seed)
    with Cluster(workers=1) as cluster, cluster.zmq() as zmq:
        open_ones = [cluster.http() for _ in range(6)]
        for door in open_ones:
            assert door.submit(factory.make()).status in (200, 202)
        cluster.gateway.terminate()
        left = list(open_ones)
        while left:
            for door in list(left):
                answer = door.submit(factory.make())  # raises when it was cut
                if door.connection is None:
                    assert answer.status in (200, 202) or answer.retry_after >= 1, answer
                    left.remove(door)
        assert cluster.gateway.wait(15) == 0, cluster.gateway.log_tail()
        zmq.receive_kind(doors.GOODBYE)


# Over a gateway's SIGTERM each request on a kept connection is answered, at any moment, and no connection is reset.
# Connections are sent away after three seconds, or one of silence: most requests go out around the third second.
def test_gateway_answers_on_kept_connections(seed):
    factory, lost = reference.Factory(seed), []
    told = threading.Event()

    def use(door, pause, pcs):
        try:
            told.wait()
            time.sleep(pause)
            answer = door.submit(pcs)
            assert answer.status == 503 and answer.retry_after >= 1, answer
        except Exception as error:
            lost.append((pause, repr(error)))

    with Cluster(workers=1) as cluster:
        doors_open = [cluster.http() for _ in range(100)]
        for door in doors_open:
            assert door.submit(factory.make()).status in (200, 202)
        pauses = [0.6, 1.2, 1.8, 2.4, *(2.95 + number / 1000 for number in range(96))]
        clients = [threading.Thread(target=use, args=(door, pause, factory.make())) for pause, door in zip(pauses, doors_open)]
        for client in clients:
            client.start()
        cluster.gateway.terminate()
        told.set()
        for client in clients:
            client.join()
        assert not lost, f"{len(lost)} of {len(clients)}: {lost[:3]}"
        assert cluster.gateway.wait(15) == 0, cluster.gateway.log_tail()


# A drain does not wait for ever: with nobody to answer, the gateway answers 503 by the deadline and exits 0.
def test_gateway_drain_ends(seed):
    factory = reference.Factory(seed)
    with Cluster(workers=1, gateway_env={"FLK_REQUEST_TIMEOUT_MS": 2000}) as cluster:
        cluster.worker.stop()
        pending = http.client.HTTPConnection(*cluster.gateway.http, timeout=30 * SLOW)
        pending.request("POST", doors.PATH, reference.encode(factory.make()), {"Content-Type": "application/json"})
        wait_for(lambda: cluster.gateway.metrics().total("flk_wal_unacked") == 1, 10, "one in flight")
        cluster.gateway.stop(seconds=8)
        response = pending.getresponse()
        assert response.status == 503 and int(response.headers["Retry-After"]) >= 1


# One of two brokers is told to stop under load: it exits 0, its submissions go by the other, and no client notices.
def test_broker_drains(seed):
    with Cluster(brokers=2, workers=2, threads=1) as cluster:
        with Load(cluster, seed, http=4, zmq=1, window=32, pause=0.001) as load:
            for broker in cluster.brokers:
                before = len(load.answered())
                wait_for(lambda: len(load.answered()) > before + 200, 20, "load runs")
                broker.stop(seconds=10)
                broker.start()
                cluster.wait_ready()
            submissions = load.stop()
        check_only_good_answers(submissions, {200, 202, 503})
        assert statuses(submissions).get(503, 0) <= len(submissions) // 100, statuses(submissions)


# Idle processes end at once, with 0, on SIGTERM and on SIGINT.
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_idle_processes_end(number):
    with Cluster() as cluster:
        for daemon in cluster.daemons():
            began = time.monotonic()
            daemon.stopping = True
            daemon.signal(number)
            assert daemon.wait(10) == 0, daemon.log_tail()
            assert time.monotonic() - began < 3 * SLOW, f"{daemon.name} took long to end"
