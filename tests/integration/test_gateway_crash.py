# SPDX-License-Identifier: MIT
"""The gateway is killed with -9: its answers stand, its records get their outcomes without anybody's help."""
import http.client
import random
import time

from harness import doors, pcs as reference
from harness.cluster import Cluster
from harness.load import Load, first_answers, statuses
from harness.process import wait_for

ROUNDS = 4


def unacked(cluster):
    return cluster.gateway.metrics().total("flk_wal_unacked")


# kill -9 under load over both doors, again and again on the same data directory: everything that was answered is a duplicate with
# the same outcome when it is sent again, and every un-acked record of the log gets its outcome by itself.
def test_kill_the_gateway_under_load(seed):
    pick, submissions = random.Random(seed), []
    with Cluster(workers=2, threads=1) as cluster:
        for turn in range(ROUNDS):
            with Load(cluster, seed + turn, http=4, zmq=1, window=32, duplicate_every=5, seconds=4) as load:
                wait_for(lambda: len(load.answered()) > 150, 20, "load runs")
                time.sleep(pick.uniform(0, 0.3))  # the instant of the kill
                cluster.gateway.kill()
                load.stopping.set()
                cluster.gateway.start()
                submissions += load.stop()
            cluster.gateway.wait_ready(20)
            wait_for(lambda: unacked(cluster) == 0, 30, lambda: f"{unacked(cluster)} records are still un-acked")
        cut = sum(s.answer is None for s in submissions)
        print(f"{ROUNDS} kills, {len(submissions)} submissions {statuses(submissions)}, {cut} cut off")
        assert set(statuses(submissions)) <= {200, 202, 503, None}, statuses(submissions)
        outcomes = first_answers(submissions)
        by_id = {s.id: s.pcs for s in submissions}
        with cluster.zmq() as zmq, cluster.http() as http:
            for number, (pcs_id, pcs) in enumerate(by_id.items()):
                answer = (http if number % 2 else zmq).submit(pcs)
                assert answer.outcome() == doors.predicted(pcs), answer
                if pcs_id in outcomes:
                    assert answer.body["duplicate"] is True, f"answered before, and forgotten: {answer}"


# Records that were logged while no worker was there survive the kill and get their outcome after the restart, without a client.
def test_unacked_records_get_their_outcome(seed):
    factory, connections, sent = reference.Factory(seed, "orphan"), [], []
    with Cluster(workers=1, gateway_env={"FLK_REQUEST_TIMEOUT_MS": 60000}) as cluster:
        cluster.worker.stop()
        with cluster.zmq() as zmq:
            for number in range(60):
                pcs = factory.make()
                sent.append(pcs)
                if number % 2:
                    zmq.post(pcs)
                else:
                    connection = http.client.HTTPConnection(*cluster.gateway.http)
                    connection.request("POST", doors.PATH, reference.encode(pcs), {"Content-Type": "application/json"})
                    connections.append(connection)
            wait_for(lambda: unacked(cluster) == len(sent), 20, lambda: f"{unacked(cluster)} of {len(sent)} in the log")
            cluster.gateway.kill()
        for connection in connections:
            connection.close()
        cluster.worker.start()
        cluster.gateway.start()
        cluster.wait_ready()
        wait_for(lambda: unacked(cluster) == 0, 30, lambda: f"{unacked(cluster)} records are still un-acked")
        with cluster.http() as door:
            for pcs in sent:
                answer = door.submit(pcs)
                assert answer.body["duplicate"] is True and answer.outcome() == doors.predicted(pcs), answer


# A body that is no PCS is never logged; a record that can never have an outcome (wrong signature) is acked, not driven for ever.
def test_refused_records_are_settled(seed):
    factory = reference.Factory(seed)
    with Cluster() as cluster, cluster.http() as http, cluster.zmq() as zmq:
        assert http.post(b"{").status == 400
        assert zmq.wait(zmq.post(b"\x80")).status == 400
        for door in (http, zmq):
            assert door.submit(factory.make(sig="A" * 44)).status == 401
        wait_for(lambda: unacked(cluster) == 0, 10, lambda: f"{unacked(cluster)} records are still un-acked")


# Everything is killed at once, under load, and started again: the same promise.
def test_kill_everything_at_once(seed):
    with Cluster(workers=2, threads=1) as cluster:
        with Load(cluster, seed, http=4, zmq=1, window=32, seconds=4) as load:
            wait_for(lambda: len(load.answered()) > 300, 20, "load runs")
            for daemon in cluster.daemons():
                daemon.kill()
            load.stopping.set()
            for daemon in [*cluster.brokers, *cluster.workers, *cluster.gateways]:
                daemon.start()
            submissions = load.stop()
        cluster.wait_ready(20)
        wait_for(lambda: unacked(cluster) == 0, 30, lambda: f"{unacked(cluster)} records are still un-acked")
        outcomes = first_answers(submissions)
        with cluster.http() as http:
            for submission in {s.id: s for s in submissions}.values():
                answer = http.submit(submission.pcs)
                assert answer.outcome() == doors.predicted(submission.pcs), answer
                assert answer.body["duplicate"] or submission.id not in outcomes, f"forgotten: {answer}"
