# SPDX-License-Identifier: MIT
"""Stores that clusters share, with real servers: one outcome per id over clusters, and outages of the store."""
import base64
import json
import queue
import random
import struct
import threading
import time

import pytest

from harness import doors, pcs as reference
from harness.cluster import Cluster
from harness.load import Load, Submission, first_answers, statuses
from harness.process import run, sized, wait_for
from harness.servers import BY_NAME, PgBouncer, Postgres, Redis

IDS = sized(4000, 20000)
OUTAGE_SECONDS = sized(3, 10)


@pytest.fixture(params=["redis", "postgres"])
def store(request):
    with BY_NAME[request.param]() as server:
        yield server


def page(daemon, path):
    """The page's text; empty while the daemon does not listen yet."""
    try:
        return daemon.get(path).raw.decode()
    except OSError:
        return ""


def spread(clusters, work, http, zmq, window):
    """Sends every PCS of `work` once; each cluster has `http` and `zmq` connections. Returns the submissions."""
    todo, sent, lock, faults = queue.SimpleQueue(), [], threading.Lock(), []
    for pcs in work:
        todo.put(pcs)

    def record(submission, **end):
        submission.end(**end)
        with lock:
            sent.append(submission)

    def next_pcs():
        try:
            return todo.get_nowait()
        except queue.Empty:
            return None

    def by_http(cluster):
        with cluster.http(seconds=60) as door:
            while (pcs := next_pcs()) is not None:
                submission = Submission(pcs, "http")
                record(submission, answer=door.submit(pcs))

    def by_zmq(cluster):
        with cluster.zmq(seconds=60) as door:
            waiting, pcs = {}, next_pcs()
            while pcs is not None or waiting:
                while pcs is not None and len(waiting) < min(window, door.credit):
                    submission = Submission(pcs, "zmq")
                    waiting[door.post(pcs)] = submission
                    pcs = next_pcs()
                frame = door.receive()
                assert frame, "no answer in time"
                door.take(frame)
                for identity in [i for i in door.answers if i in waiting]:
                    record(waiting.pop(identity), answer=door.answers.pop(identity).answer())

    def guard(send, cluster):
        try:
            send(cluster)
        except BaseException as fault:
            faults.append(repr(fault))

    threads = [threading.Thread(target=guard, args=(send, cluster)) for cluster in clusters
               for send in [by_http] * http + [by_zmq] * zmq]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults, faults
    return sent


# Two clusters, eight worker processes, one store: every PCS is sent five times over 50 connections and both doors of both
# clusters. Each id has one outcome, the predicted one, is first exactly once, and all counters add up.
@pytest.mark.long
def test_two_clusters_agree(store, seed):
    shuffle = random.Random(seed)
    made = [reference.Factory(seed + part, f"shared{part}") for part in range(4)]
    ids = [made[number % 4].make() for number in range(IDS)]
    work = ids * 5
    shuffle.shuffle(work)
    with Cluster(workers=4, threads=1, env=store.env) as one, Cluster(workers=4, threads=1, env=store.env) as two:
        began = time.monotonic()
        sent = spread([one, two], work, http=20, zmq=5, window=32)
        print(f"{len(sent)} submissions in {time.monotonic() - began:.1f} s")
        assert set(statuses(sent)) == {200, 202}, [s for s in sent if s.status not in (200, 202)][:5]
        outcomes = first_answers(sent)
        first = [s.id for s in sent if not s.answer.body["duplicate"]]
        assert len(outcomes) == IDS and sorted(first) == sorted(outcomes), "an id was first never, or more than once"
        gateways = [cluster.gateway.metrics() for cluster in (one, two)]
        total = {name: sum(metrics.total(name) for metrics in gateways)
                 for name in ("flk_ingest_total", "flk_accepted", "flk_escalated", "flk_dedup_hits", "flk_dedup_conflicts_total")}
        accepted = sum(outcome["status"] == 200 for outcome in outcomes.values())
        assert total == {"flk_ingest_total": 5 * IDS, "flk_accepted": accepted, "flk_escalated": IDS - accepted,
                         "flk_dedup_hits": 4 * IDS, "flk_dedup_conflicts_total": 0}
        workers = [worker.metrics() for worker in one.workers + two.workers]
        assert sum(metrics.total("flk_store_errors_total") for metrics in workers) == 0
        trips = sum(metrics.total("flk_store_round_trips_total") for metrics in workers)
        print(f"{trips / len(sent):.3f} store round trips a submission")


# The same id with other signed content gets the stored outcome of whichever cluster was first, flagged and counted, on both.
def test_conflict_over_clusters(store, seed):
    first = reference.Factory(seed, escalate_every=0).make()
    other = dict(first, r=reference.round9(first["r"] / 2))
    other["sig"] = reference.sign_hmac(other)
    with Cluster(workers=1, env=store.env) as one, Cluster(workers=1, env=store.env) as two:
        with one.http() as here, two.zmq() as there:
            assert here.submit(first).body["duplicate"] is False
            for door in (there, here):
                answer = door.submit(other)
                assert answer.outcome() == doors.predicted(first), answer
                assert answer.body["duplicate"] is True and answer.body["conflict"] is True, answer
                assert "conflict" not in door.submit(first).body
        for cluster in (one, two):
            assert cluster.gateway.metrics().total("flk_dedup_conflicts_total") == 1


# ---- outages under load

def redis_stopped(server, pause):
    server.stop()
    pause()
    server.start()


def stands_still(server, pause):
    server.pause()
    pause()
    server.resume()


def redis_restarted_empty(server, pause):
    server.stop()
    server.wipe()
    pause()
    server.start()


def redis_out_of_memory(server, pause):
    server.cli("CONFIG", "SET", "maxmemory", "1")
    pause()
    server.cli("CONFIG", "SET", "maxmemory", "0")


def postgres_stopped(server, pause):
    server.stop()
    pause()
    server.start()


def postgres_backends_terminated(server, pause):
    for _ in range(20):
        server.sql("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'flk-worker'")
        time.sleep(0.2)  # the fault's period
    pause()


def postgres_disk_full(server, pause):
    server.sql("CREATE FUNCTION flk.full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION"
               " 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$;"
               "CREATE TRIGGER full_disk BEFORE INSERT ON flk.outcomes_1 FOR EACH ROW EXECUTE FUNCTION flk.full()")
    pause()
    server.sql("DROP TRIGGER full_disk ON flk.outcomes_1")


OUTAGES = [(Redis, redis_stopped), (Redis, stands_still), (Redis, redis_restarted_empty), (Redis, redis_out_of_memory),
           (Postgres, postgres_stopped), (Postgres, stands_still), (Postgres, postgres_backends_terminated),
           (Postgres, postgres_disk_full)]
KEEPS_ON = {postgres_backends_terminated}  # the store is back at once


def check_refusals(submissions):
    """While it is down, 503 with Retry-After and nothing else."""
    for submission in submissions:
        assert submission.answer is not None, submission
        assert submission.status in (200, 202, 503), submission
        if submission.status == 503:
            assert submission.answer.retry_after >= 1, submission


# An outage of the store under load: clients see 503 with Retry-After and no wrong answer, workers live on, say on /readyz that
# they are degraded and do not spin; afterwards every record gets its outcome by itself, and nobody has two.
@pytest.mark.long
@pytest.mark.parametrize("kind, outage", OUTAGES, ids=lambda value: getattr(value, "__name__", None))
def test_outage_under_load(kind, outage, seed):
    with kind() as server, Cluster(workers=2, threads=1, env=server.env,
                                   gateway_env={"FLK_REQUEST_TIMEOUT_MS": 3000}) as cluster:
        pids = [worker.pid for worker in cluster.workers]

        def pause():
            if outage not in KEEPS_ON:
                for worker in cluster.workers:
                    wait_for(lambda: not worker.ready(), 10, lambda: f"{worker.name} is degraded\n{worker.log_tail()}")
                    assert worker.get("/healthz").status == 200
                    assert b"store" in worker.get("/readyz").raw
            spent = [worker.metrics().total("process_cpu_seconds_total") for worker in cluster.workers]
            time.sleep(OUTAGE_SECONDS)  # the outage
            for worker, before in zip(cluster.workers, spent):
                busy = worker.metrics().total("process_cpu_seconds_total") - before
                assert busy < 0.5 * OUTAGE_SECONDS, f"{worker.name} was busy for {busy:.2f} s of {OUTAGE_SECONDS}"

        with Load(cluster, seed, http=4, zmq=1, window=32, duplicate_every=5, pause=0.005) as load:
            wait_for(lambda: len(load.answered()) > 200, 20, "some load before")
            outage(server, pause)
            back = time.monotonic()
            cluster.wait_ready(30)
            wait_for(lambda: sum(s.invoked > back + 3 and s.status in (200, 202) for s in load.answered()) > 200, 30, "load after")
            submissions = load.stop()
        wait_for(lambda: cluster.gateway.metrics().total("flk_wal_unacked") == 0, 30, "every record is acked")
        print(f"{statuses(submissions)}; acked {time.monotonic() - back:.1f} s after")
        assert [worker.pid for worker in cluster.workers] == pids, "a worker was restarted"
        check_refusals(submissions)
        if outage not in KEEPS_ON:
            assert statuses(submissions).get(503, 0) > 0
        first_answers(submissions)
        errors = sum(worker.metrics().total("flk_store_errors_total") for worker in cluster.workers)
        assert errors > 0
        emptied = sum(worker.metrics().total("flk_store_emptied_total") for worker in cluster.workers)
        assert emptied == (len(cluster.workers) if outage is redis_restarted_empty else 0)
        if outage is redis_restarted_empty:
            assert "store_emptied" in cluster.worker.log()
        else:
            fresh = [s.id for s in submissions if s.answer and s.status != 503 and not s.answer.body["duplicate"]]
            assert len(fresh) == len(set(fresh)), "an id was first more than once"
        with cluster.http() as http:  # a PCS answered 503 was decided by the re-drive meanwhile
            for submission in [s for s in submissions if s.status == 503][:50]:
                answer = http.submit(submission.pcs)
                assert answer.outcome() == doors.predicted(submission.pcs) and answer.body["duplicate"], answer


# A cluster may start before its store: it is not ready and says why, answers 503, and goes to work once the store is there.
def test_store_comes_later(store, seed):
    factory = reference.Factory(seed)
    store.stop()
    cluster = Cluster(workers=1, env=store.env, gateway_env={"FLK_REQUEST_TIMEOUT_MS": 1000})
    try:
        cluster.start(wait=False)
        cluster.broker.wait_ready()
        wait_for(lambda: "store" in page(cluster.worker, "/readyz"), 10, "the worker says why")
        wait_for(lambda: page(cluster.gateway, "/healthz"), 10, "the gateway lives")
        pcs = factory.make()
        with cluster.http() as http:
            answer = wait_for(lambda: http.submit(pcs), 10, "an answer")
            assert answer.status == 503 and answer.retry_after >= 1, answer
            store.start()
            cluster.wait_ready(30)
            answer = wait_for(lambda: (a := http.submit(pcs)).status == 200 and a, 30, "the outcome")
            assert answer.outcome() == doors.predicted(pcs)
        cluster.stop()
        cluster.check()
    finally:
        cluster.abandon()


# A pooler that hands sessions out by the transaction takes the worker's prepared statements away: it is not ready, and says so.
# Once the pooler keeps sessions, the worker serves without a restart.
def test_pooler_must_keep_sessions(seed):
    factory = reference.Factory(seed)
    with Postgres() as server:
        done = run("flk-worker", "--migrate", env=server.env)
        assert done.returncode == 0, done
        with PgBouncer(server, "transaction") as pooler:
            cluster = Cluster(workers=1, env=pooler.env)
            try:
                cluster.start(wait=False)
                cluster.broker.wait_ready()
                advice = wait_for(lambda: page(cluster.worker, "/readyz") if "pool_mode" in page(cluster.worker, "/readyz") else "", 10,
                                  lambda: f"the worker says what to change\n{cluster.worker.log_tail()}")
                assert "pool_mode=session" in advice and ("42P05" in advice or "26000" in advice), advice
                pooler.restart("session")
                cluster.wait_ready(30)
                with cluster.http() as http:
                    for pcs in [factory.make() for _ in range(20)]:
                        assert http.submit(pcs).outcome() == doors.predicted(pcs)
                cluster.stop()
                cluster.check()
            finally:
                cluster.abandon()


# ---- looking into a store

def tool(cluster_or_env, *words, stdin=None):
    return run("flk", "store", *words, env=cluster_or_env, stdin=stdin, seconds=60)


# Outcomes are shown one by one, counted, exported while workers serve, and imported into another store, where they answer as
# they did; outcomes that are there already stay.
@pytest.mark.parametrize("target", ["memory", "lmdb", "redis", "postgres"])
def test_move_to_another_store(store, target, seed, tmp_path):
    factory = reference.Factory(seed, target)
    with Cluster(workers=1, env=store.env) as cluster, cluster.http() as http:
        sent = [factory.make() for _ in range(300)]
        for pcs in sent:
            assert http.submit(pcs).outcome() == doors.predicted(pcs)
        done = tool(store.env, "export")
        assert done.returncode == 0, done
        lines = done.stdout.splitlines()
        assert sorted(json.loads(line)["pcs_id"] for line in lines) == sorted(pcs["pcs_id"] for pcs in sent)
        shown = json.loads(tool(store.env, "get", sent[4]["pcs_id"]).stdout)
        want = doors.predicted(sent[4])
        assert shown["status"] == want["status"] and shown["reasons"] == want["reasons"]
        assert shown["recomputed_D_hat"] == want["recomputed_D_hat"]
        kept = sum(json.loads(line)["outcomes"] for line in tool(store.env, "stats").stdout.splitlines())
        assert 300 <= kept <= 302, kept
        missing = tool(store.env, "get", "0" * 64)
        assert missing.returncode == 1 and "no outcome" in missing.stderr
    export = "\n".join(lines[:250]) + "\n"
    server = BY_NAME[target]() if target in BY_NAME else None
    env = {"DEDUP_BACKEND": target, "FLK_DATA_DIR": tmp_path / "data"} if server is None else server.env
    try:
        if server:
            server.start()
        for put in (250, 0):
            done = tool(env, "import", stdin=export)
            assert done.returncode == 0, done
            assert json.loads(done.stdout) == {"lines": 250, "put": put, "there": 250 - put, "different": 0,
                                               "expired": 0, "refused": 0}
        with Cluster(workers=1, worker_env=env) as cluster, cluster.zmq() as zmq:
            imported = {json.loads(line)["pcs_id"] for line in lines[:250]}
            for pcs in sent:
                answer = zmq.submit(pcs)
                assert answer.outcome() == doors.predicted(pcs), answer
                assert answer.body["duplicate"] == (pcs["pcs_id"] in imported), answer
    finally:
        if server:
            server.__exit__()


def export_line(n, outcome, left_s=100):
    return json.dumps({"pcs_id": f"{n:064x}", "expires_ms": int((time.time() + left_s) * 1000), "outcome": base64.b64encode(outcome).decode()})


# An outcome as stores kept it in layout 1: 200, D-hat 1.
OUTCOME = bytes([1, 0, 1]) + bytes(4) + struct.pack(">3d", 1, 0.5, 0.5) + bytes(16 + 32) + b"default-1"


# A wrong line stops an import with its number; lines before it are kept.
def test_import_of_a_wrong_line(tmp_path):
    env = {"DEDUP_BACKEND": "lmdb", "FLK_DATA_DIR": tmp_path}
    done = tool(env, "import", stdin=export_line(1, OUTCOME) + "\n{}\n")
    assert done.returncode == 1 and "line 2" in done.stderr, done
    assert len(tool(env, "export").stdout.splitlines()) == 1


# An import leaves out lines that no worker could have put, and says so by line, count and exit status.
def test_import_leaves_out_what_is_no_outcome(tmp_path):
    env = {"DEDUP_BACKEND": "lmdb", "FLK_DATA_DIR": tmp_path}
    wire = tool_wire(env, export_line(1, OUTCOME))
    years = 10 * 366 * 86400
    lines = [export_line(2, b"no outcome"), export_line(3, b""), export_line(4, wire), export_line(5, b"\x03" + OUTCOME[1:]),
             export_line(6, OUTCOME[:7] + struct.pack(">d", float("inf")) + OUTCOME[15:]), export_line(7, OUTCOME, years + 3600),
             export_line(8, OUTCOME, years - 3600), export_line(1, wire)]
    done = tool(env, "import", stdin="\n".join(lines) + "\n")
    assert done.returncode == 1, done
    assert json.loads(done.stdout) == {"lines": 8, "put": 1, "there": 1, "different": 0, "expired": 0, "refused": 6}, done
    for words in ("line 1 ", "line 2 ", "line 3 is left out: outcome of another id", "line 4 ", "line 5 ", "line 6 is left out: would be kept for"):
        assert words in done.stderr, (words, done.stderr)
    kept = [json.loads(line)["pcs_id"] for line in tool(env, "export").stdout.splitlines()]
    assert sorted(kept) == [f"{n:064x}" for n in (1, 8)]


# Imports a line and gives the outcome as an export has it.
def tool_wire(env, line):
    assert tool(env, "import", stdin=line + "\n").returncode == 0
    return base64.b64decode(json.loads(tool(env, "export").stdout)["outcome"])


# `flk-worker --migrate` makes the schema, may be run again, and says so when the schema is newer; without it a worker is not ready
# and tells the remedy.
def test_migrate(seed):
    with Postgres() as server:
        env = {**server.env, "FLK_PG_AUTO_MIGRATE": 0}
        with Cluster(workers=0) as cluster:
            refused = Cluster(workers=1, gateways=0, brokers=0, worker_env={**env, "FLK_BACKENDS": cluster.broker.backend})
            try:
                refused.start(wait=False)
                wait_for(lambda: "--migrate" in page(refused.worker, "/readyz"), 10, "it tells what to do")
                for words in ("version 1\n", "as it was"):
                    done = run("flk-worker", "--migrate", env=env)
                    assert done.returncode == 0 and words in done.stdout, done
                refused.worker.wait_ready(30)
                refused.stop()
            finally:
                refused.abandon()
        server.sql("UPDATE flk.meta SET version = 99")
        done = run("flk-worker", "--migrate", env=env)
        assert done.returncode == 1 and "99" in done.stderr and "newer" in done.stderr, done
