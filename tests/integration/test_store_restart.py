# SPDX-License-Identifier: MIT
"""First write wins, over restarts and over processes."""
import pytest

from harness import doors, pcs as reference
from harness.cluster import Cluster
from harness.process import wait_for


def check_first(door, pcs):
    answer = door.submit(pcs)
    assert answer.outcome() == doors.predicted(pcs) and answer.body["duplicate"] is False, answer


def check_duplicate(door, pcs):
    answer = door.submit(pcs)
    assert answer.outcome() == doors.predicted(pcs) and answer.body["duplicate"] is True, answer
    assert "conflict" not in answer.body, answer


# Outcomes survive a restart of the worker: the same PCS is a duplicate with the same outcome afterwards.
@pytest.mark.parametrize("backend", ["memory", "lmdb"])
def test_outcomes_survive_a_restart(backend, seed):
    factory = reference.Factory(seed, backend)
    with Cluster(workers=1, worker_env={"DEDUP_BACKEND": backend}) as cluster, cluster.http() as http, cluster.zmq() as zmq:
        sent = [factory.make() for _ in range(100)]
        for number, pcs in enumerate(sent):
            check_first(http if number % 2 else zmq, pcs)
        for _ in range(2):
            cluster.worker.stop()
            cluster.worker.start()
            cluster.wait_ready()
            for number, pcs in enumerate(sent):
                check_duplicate(zmq if number % 2 else http, pcs)
            sent += [factory.make() for _ in range(20)]
            for pcs in sent[-20:]:
                check_first(http, pcs)


# LMDB outcomes survive kill -9 of the worker; the memory store's survive from its last snapshot on.
@pytest.mark.parametrize("backend", ["memory", "lmdb"])
def test_outcomes_survive_a_kill(backend, seed):
    factory = reference.Factory(seed, backend)
    env = {"DEDUP_BACKEND": backend, "FLK_MEMORY_SNAPSHOT_S": 1}
    with Cluster(workers=1, worker_env=env) as cluster, cluster.http() as http:
        sent = [factory.make() for _ in range(50)]
        for pcs in sent:
            check_first(http, pcs)
        if backend == "memory":
            store = cluster.directory / "store"
            ids = [bytes.fromhex(pcs["pcs_id"]) for pcs in sent]
            wait_for(lambda: any(all(i in file.read_bytes() for i in ids) for file in store.rglob("*") if file.is_file()),
                     10, "a snapshot with all of them")
        cluster.worker.kill()
        cluster.worker.start()
        cluster.wait_ready()
        for pcs in sent:
            check_duplicate(http, pcs)


# A duplicate id with other signed content gets the stored outcome, flagged as conflict, counted, on either door and after a restart.
@pytest.mark.parametrize("backend", ["memory", "lmdb"])
def test_conflict_is_flagged(backend, seed):
    factory = reference.Factory(seed, backend, escalate_every=0)
    with Cluster(workers=1, worker_env={"DEDUP_BACKEND": backend}) as cluster, cluster.http() as http, cluster.zmq() as zmq:
        first = factory.make()
        check_first(http, first)
        other = dict(first, r=reference.round9(first["r"] / 2))
        other["sig"] = reference.sign_hmac(other)
        for _ in range(2):
            for door in (http, zmq):
                answer = door.submit(other)
                assert answer.outcome() == doors.predicted(first), answer
                assert answer.body["duplicate"] is True and answer.body["conflict"] is True, answer
                check_duplicate(door, first)
            cluster.worker.stop()
            cluster.worker.start()
            cluster.wait_ready()
        metrics = cluster.gateway.metrics()
        conflicts = [name for name in metrics.names() if "conflict" in name]
        assert conflicts and metrics.total(conflicts[0]) == 4, conflicts
        unsigned = dict(first, attempt=9)  # not part of the signed content
        check_duplicate(http, unsigned)


# Three worker processes share one LMDB: the outcomes of one are known to the others, also after its death.
def test_processes_share_lmdb(seed):
    factory = reference.Factory(seed, "shared")
    with Cluster(workers=3, threads=1) as cluster, cluster.http() as http, cluster.zmq() as zmq:
        sent = []
        for alive in cluster.workers:
            for worker in cluster.workers:
                if worker is not alive and worker.alive():
                    worker.stop()
            if not alive.alive():
                alive.start()
                alive.wait_ready()
            for pcs in sent:
                check_duplicate(zmq, pcs)
            fresh = [factory.make() for _ in range(30)]
            for pcs in fresh:
                check_first(http, pcs)
            sent += fresh


# After its time to live an outcome is forgotten, and the same PCS is verified anew.
@pytest.mark.parametrize("backend", ["memory", "lmdb"])
def test_outcome_expires(backend, seed):
    factory = reference.Factory(seed, backend)
    with Cluster(workers=1, worker_env={"DEDUP_BACKEND": backend, "FLK_DEDUP_TTL_S": 2}) as cluster, cluster.http() as http:
        pcs = factory.make()
        check_first(http, pcs)
        check_duplicate(http, pcs)
        wait_for(lambda: http.submit(pcs).body["duplicate"] is False, 10, "the outcome expires")
        check_duplicate(http, pcs)


# A store directory that cannot be used stops the worker at its start with one line; a good one made by another backend does not matter.
def test_backends_do_not_mix(seed):
    factory = reference.Factory(seed)
    with Cluster(workers=1) as cluster, cluster.http() as http:
        pcs = factory.make()
        check_first(http, pcs)
        cluster.worker.stop()
        cluster.worker.env["DEDUP_BACKEND"] = "memory"
        cluster.worker.start()
        cluster.wait_ready()
        check_first(http, pcs)


# Two worker processes with the memory store would each have their own truth: the second on the same directory is refused.
def test_memory_store_is_for_one_process():
    with Cluster(workers=1, worker_env={"DEDUP_BACKEND": "memory"}) as cluster:
        from harness.process import free_port, run
        env = dict(cluster.worker.env, FLK_ADMIN_LISTEN=f"127.0.0.1:{free_port()}")
        done = run("flk-worker", env=env)
        assert done.returncode > 0 and str(cluster.directory / "store") in done.stderr, done
        assert cluster.worker.ready()


# Ed25519 signatures verify with any of the public keys; HMAC with any of the rotating keys.
def test_other_keys_verify(seed):
    factory, secret = reference.Factory(seed, "keys"), bytes(range(32))
    public = ",".join(reference.ed25519_public(key) for key in (bytes(32), secret))
    with Cluster(env={"PCS_SIGN_ALG": "ed25519", "PCS_HMAC_KEY": None, "PCS_ED25519_PUB_B64": public}) as cluster:
        with cluster.http() as http, cluster.zmq() as zmq:
            for door in (http, zmq):
                pcs = factory.make()
                assert door.submit(pcs).status == 401
                check_first(door, dict(pcs, sig=reference.sign_ed25519(pcs, secret)))
                pcs = factory.make()
                assert door.submit(dict(pcs, sig=reference.sign_ed25519(pcs, b"\1" * 32))).status == 401
    with Cluster(worker_env={"PCS_HMAC_KEYS": "the old key of the tests,an older key of the tests"}) as cluster, cluster.http() as http:
        for key in (reference.HMAC_KEY, "the old key of the tests", "an older key of the tests"):
            check_first(http, factory.make(key=key))
        assert http.submit(factory.make(key="the oldest key of the tests")).status == 401
