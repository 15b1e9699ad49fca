# SPDX-License-Identifier: MIT
"""Workers die under load and nobody notices: every submission answered, none lost, none with two outcomes."""
import random
import time

from harness import doors
from harness.cluster import Cluster
from harness.load import Load, first_answers, statuses
from harness.process import SLOW, wait_for

SECONDS = 20


def counters_must_agree(cluster, submissions):
    """Each submission was counted once by the gateway, however often the broker delivered it."""
    answered = [s for s in submissions if s.answer]
    fresh = [s for s in answered if s.status in (200, 202) and not s.answer.body["duplicate"]]
    want = {"flk_ingest_total": len(submissions),
            "flk_accepted": sum(s.status == 200 for s in fresh),
            "flk_escalated": sum(s.status == 202 for s in fresh),
            "flk_dedup_hits": sum(s.status in (200, 202) and s.answer.body["duplicate"] for s in answered)}
    metrics = cluster.gateway.metrics()
    assert {name: metrics.total(name) for name in want} == want


# kill -9 of a random worker out of 4 each second for 20 s, under load over both doors: every submission is answered 200 or 202,
# each id has one outcome (the predicted one) and was first exactly once, and the counters equal the clients' counts.
def test_kill_a_worker_every_second(seed):
    pick = random.Random(seed)
    with Cluster(workers=4, threads=1, gateway_env={"FLK_REQUEST_TIMEOUT_MS": int(15000 * SLOW)}) as cluster:
        with Load(cluster, seed, http=4, zmq=2, window=128, duplicate_every=4, pause=0.002, seconds=30) as load:
            end, kills = time.monotonic() + SECONDS, 0
            while time.monotonic() < end:
                time.sleep(1)  # the fault's period, not a wait for something
                victim = pick.choice(cluster.workers)
                victim.kill()
                kills += 1
                victim.start()
            submissions = load.stop()
        counts = statuses(submissions)
        print(f"{kills} kills, {len(submissions)} submissions: {counts}; longest "
              f"{max(s.returned - s.invoked for s in submissions):.2f} s; "
              f"redeliveries {cluster.broker.metrics().total('flk_broker_redeliveries_total'):g}")
        assert set(counts) == {200, 202}, [s for s in submissions if s.status not in (200, 202)][:5]
        assert len(submissions) > 500
        outcomes = first_answers(submissions)
        first = [s.id for s in submissions if not s.answer.body["duplicate"]]
        assert sorted(first) == sorted(outcomes), "an id was first never, or more than once"
        counters_must_agree(cluster, submissions)
        assert cluster.broker.metrics().total("flk_broker_dead_letters_total") == 0
        wait_for(lambda: cluster.gateway.metrics().total("flk_wal_unacked") == 0, 10, "every record is acked")
        cluster.wait_ready()
        with cluster.zmq() as zmq:  # the promise is kept
            sample = pick.sample(sorted(outcomes), min(300, len(outcomes)))
            by_id = {s.id: s.pcs for s in submissions}
            for pcs_id in sample:
                answer = zmq.submit(by_id[pcs_id])
                assert answer.body["duplicate"] and answer.outcome() == outcomes[pcs_id], answer


# All workers die at once and come back: submissions in flight are answered in time.
def test_kill_all_workers_at_once(seed):
    with Cluster(workers=3, threads=1, gateway_env={"FLK_REQUEST_TIMEOUT_MS": int(15000 * SLOW)}) as cluster:
        with Load(cluster, seed, http=3, zmq=1, window=32, pause=0.002, seconds=40) as load:
            wait_for(lambda: len(load.answered()) > 200, 20, "load runs")
            for worker in cluster.workers:
                worker.kill()
            for worker in cluster.workers:
                worker.start()
            before = len(load.answered())
            wait_for(lambda: len(load.answered()) > before + 200, 20, "load goes on")
            submissions = load.stop()
        assert set(statuses(submissions)) == {200, 202}, statuses(submissions)
        first_answers(submissions)
        counters_must_agree(cluster, submissions)


# A worker that hangs (SIGSTOP) is lost by its heartbeat; its deliveries are answered by the other, and its late answers
# change nothing. Should it have been stopped inside a write transaction, it holds LMDB's lock: then the other one fails
# closed, and says so.
def test_hung_worker(seed):
    with Cluster(workers=2, threads=1, env={"FLK_HEARTBEAT_MS": 300}, worker_env={"FLK_WORKER_CREDIT": 8},
                 gateway_env={"FLK_REQUEST_TIMEOUT_MS": int(15000 * SLOW)}) as cluster:
        with Load(cluster, seed, http=3, zmq=1, window=32, pause=0.002, seconds=40) as load:
            wait_for(lambda: len(load.answered()) > 200, 20, "load runs")
            cluster.worker.pause()
            before = len(load.answered())
            wait_for(lambda: cluster.broker.metrics().total("flk_broker_redeliveries_total") > 0, 20, "what it held is delivered again")
            wait_for(lambda: len(load.answered()) > before + 200, 20, "load goes on")
            cluster.worker.resume()
            cluster.worker.wait_ready()
            before = len(load.answered())
            wait_for(lambda: len(load.answered()) > before + 200, 20, "load goes on")
            submissions = load.stop()
            wait_for(lambda: cluster.gateway.metrics().total("flk_wal_unacked") == 0, 30 * SLOW, "all is settled")
        locked = any("a stopped process holds the lock" in worker.log() for worker in cluster.workers)
        assert set(statuses(submissions)) == ({200, 202, 503} if locked and 503 in statuses(submissions) else {200, 202}), statuses(submissions)
        answered = [s for s in submissions if s.answer.status != 503]
        outcomes = first_answers(answered)
        assert locked or sorted(s.id for s in answered if not s.answer.body["duplicate"]) == sorted(outcomes)
        if not locked:
            counters_must_agree(cluster, submissions)


# A broker that is killed and restarted under load: the gateway sends the submissions in flight there again; all are
# answered.
def test_kill_the_broker(seed):
    with Cluster(workers=2, threads=1, gateway_env={"FLK_REQUEST_TIMEOUT_MS": int(20000 * SLOW)}) as cluster:
        with Load(cluster, seed, http=3, zmq=1, window=32, pause=0.002, seconds=50) as load:
            for _ in range(3):
                before = len(load.answered())
                wait_for(lambda: len(load.answered()) > before + 150, 30, "load goes on")
                cluster.broker.kill()
                cluster.broker.start()
            before = len(load.answered())
            wait_for(lambda: len(load.answered()) > before + 150, 30, "load goes on")
            submissions = load.stop()
        bad = [s for s in submissions if s.status not in (200, 202)]
        assert not bad, (statuses(submissions), bad[:3])
        outcomes = first_answers(submissions)
        assert sorted(s.id for s in submissions if not s.answer.body["duplicate"]) == sorted(outcomes)


# One of two brokers dies for good: its submissions go by the other.
def test_lose_one_of_two_brokers(seed):
    with Cluster(brokers=2, workers=2, threads=1, gateway_env={"FLK_REQUEST_TIMEOUT_MS": int(20000 * SLOW)}) as cluster:
        with Load(cluster, seed, http=3, zmq=1, window=32, pause=0.002, seconds=50) as load:
            wait_for(lambda: len(load.answered()) > 200, 20, "load runs")
            cluster.broker.kill()
            before = len(load.answered())
            wait_for(lambda: len(load.answered()) > before + 200, 30, "load goes on")
            submissions = load.stop()
        bad = [s for s in submissions if s.status not in (200, 202)]
        assert not bad, (statuses(submissions), bad[:3])
        first_answers(submissions)
        assert cluster.gateway.ready()


# A PCS sent by many clients at the same time through two gateways and two workers has one outcome and is first once.
def test_same_pcs_from_everywhere(seed):
    import threading
    from harness import pcs as reference
    with Cluster(gateways=2, workers=2, threads=2) as cluster:
        factory = reference.Factory(seed, "storm")
        for pcs in (factory.make() for _ in range(10)):
            answers, barrier = [], threading.Barrier(8)

            def send(number):
                door = cluster.zmq(number % 2) if number % 4 < 2 else cluster.http(number % 2)
                with door:
                    barrier.wait()
                    for _ in range(4):
                        answers.append(door.submit(pcs))
            threads = [threading.Thread(target=send, args=(i,)) for i in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert len(answers) == 32 and all(answer.outcome() == doors.predicted(pcs) for answer in answers), answers
            assert sum(not answer.body["duplicate"] for answer in answers) == 1
