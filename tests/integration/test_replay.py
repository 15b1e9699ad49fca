# SPDX-License-Identifier: MIT
"""flk-replay over the log of a real gateway: it tells the answers that the clients saw."""
import json
import shutil

import pytest
from harness import doors, pcs as reference
from harness.cluster import Cluster
from harness.fakes import FakeWorker
from harness.process import run, wait_for

SIGNING = {"PCS_SIGN_ALG": "hmac", "PCS_HMAC_KEY": reference.HMAC_KEY}
GOOD, WRONG, REPEATED = 30, 10, 5


def replay(*args, env=None, status=0):
    done = run("flk-replay", *args, env={**SIGNING, **(env or {})}, seconds=60)
    assert done.returncode == status, f"{args} ended with {done.returncode}\n{done.stdout}{done.stderr}"
    return done


def lines(*args, **options):
    return [json.loads(line) for line in replay(*args, "--json", **options).stdout.splitlines()]


def unacked(cluster):
    return cluster.gateway.metrics().total("flk_wal_unacked")


class Written:
    """A gateway's log of every kind of answer, and the cluster that wrote it, still running."""

    def __init__(self, cluster, seed):
        self.cluster, factory = cluster, reference.Factory(seed, "replay")
        self.inbox = cluster.gateway.env["FLK_DATA_DIR"] / "inbox"
        self.good = [factory.make() for _ in range(GOOD)]
        self.wrong = [factory.make(ft={"degraded": True}) for _ in range(WRONG)]
        self.answers = []
        with cluster.http() as http, cluster.zmq() as zmq:
            for number, pcs in enumerate(self.good + self.wrong + self.good[:REPEATED]):
                self.answers.append((http if number % 2 else zmq).submit(pcs))
            assert http.post(b"{").status == 400
            assert http.submit(factory.make(sig="A" * 44)).status == 401
        wait_for(lambda: unacked(cluster) == 0, 10, "all is acked")
        # An ack counts at once and is written with the next group.
        wait_for(lambda: lines("audit", "--dir", self.inbox)[-1]["unacked"] == 0, 10, "all acks are in the file")

    def ids(self):
        return {pcs["pcs_id"] for pcs in self.good + self.wrong}


@pytest.fixture
def written(seed):
    with Cluster() as cluster:
        yield Written(cluster, seed)


RECORDS = GOOD + WRONG + REPEATED + 1  # a body that is no PCS is not logged


# list, stats and export agree with the submissions; each filter gives its share; all of it beside the running gateway.
def test_counts_agree(written):
    rows = lines("list", "--dir", written.inbox)
    accepted = sum(answer.status == 200 for answer in written.answers)
    escalated = len(written.answers) - accepted
    assert len(rows) == RECORDS and all(row["acked"] for row in rows)
    assert [row["lsn"] for row in rows] == sorted(row["lsn"] for row in rows)
    stats = lines("stats", env={"FLK_DATA_DIR": written.inbox.parent})[0]
    assert stats["records"] == RECORDS and stats["unacked"] == 0 and stats["duplicates"] == REPEATED
    assert stats["statuses"] == {"200": accepted, "202": escalated, "401": 1}
    assert len(lines("list", "--dir", written.inbox, "--status", 202)) == escalated
    assert len(lines("list", "--dir", written.inbox, "--reason", "degraded")) == WRONG
    assert len(lines("list", "--dir", written.inbox, "--status", "unacked")) == 0
    assert len(lines("list", "--dir", written.inbox, "--id", written.good[0]["pcs_id"][:20])) == 2
    assert len(lines("list", "--dir", written.inbox, "--shard", "nowhere")) == 0
    assert len(lines("list", "--dir", written.inbox, "--since", "1h")) == RECORDS
    assert len(lines("list", "--dir", written.inbox, "--until", "2020-01-01T00:00:00Z")) == 0
    assert len(lines("list", "--dir", written.inbox, "--segment", rows[0]["segment"])) == RECORDS
    shown = lines("show", written.wrong[0]["pcs_id"], "--dir", written.inbox)
    assert [row["reasons"] for row in shown] == [["degraded"]] and shown[0]["status"] == 202
    assert written.wrong[0]["pcs_id"] in replay("show", shown[0]["lsn"], "--dir", written.inbox).stdout
    replay("show", "f" * 64, "--dir", written.inbox, status=1)
    assert "STATUS" in run("flk", "wal", "list", "--dir", written.inbox).stdout


# export gives the submissions: each PCS has the same signature and content, and a gateway knows it as a duplicate.
def test_export_round_trip(written):
    exported = [json.loads(line) for line in replay("export", "--bare", "--dir", written.inbox).stdout.splitlines()]
    sent = {pcs["pcs_id"]: pcs for pcs in written.good + written.wrong}
    assert {pcs["pcs_id"] for pcs in exported} >= set(sent)
    with written.cluster.http() as http:
        for pcs in exported:
            if pcs["pcs_id"] in sent:
                assert {key: pcs[key] for key in reference.SIGNED} == {key: sent[pcs["pcs_id"]][key] for key in reference.SIGNED}
                answer = http.submit(pcs)
                assert answer.body["duplicate"] is True and answer.outcome() == doors.predicted(sent[pcs["pcs_id"]])
    whole = lines("export", "--dir", written.inbox)
    assert not any("body_base64" in row for row in whole) and all("pcs" in row or "fault" in row for row in whole)


# A sound log verifies; one flipped byte in the middle is named by segment and offset; so is one in a copy's every record.
def test_verify_names_damage(written, tmp_path):
    assert lines("verify", "--dir", written.inbox)[-1]["damaged"] == 0
    rows = lines("list", "--dir", written.inbox)
    for number, row in enumerate((rows[0], rows[len(rows) // 2])):
        copy = tmp_path / str(number)
        shutil.copytree(written.inbox, copy)
        data = bytearray((copy / row["segment"]).read_bytes())
        data[row["offset"] + 45] ^= 1
        (copy / row["segment"]).write_bytes(data)
        *damage, summary = lines("verify", "--dir", copy, status=1)
        assert summary["damaged"] == 1 and damage[0]["segment"] == row["segment"]
        assert damage[0]["offset"] == row["offset"] and damage[0]["type"] == "damage"
        assert len(lines("list", "--dir", copy)) == RECORDS - 1


# The audit of a real run finds nothing. Another policy, another key, and one wrong record in the middle each turn it red.
def test_audit(written, tmp_path):
    summary = lines("audit", "--dir", written.inbox)[-1]
    assert summary["records"] == summary["agree"] == RECORDS
    assert (summary["differences"], summary["unproven"], summary["unacked"]) == (0, 0, 0)
    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps({"version": "other", "base": 0.9}))
    *differences, summary = lines("audit", "--dir", written.inbox, env={"FLK_POLICY_FILE": policy}, status=1)
    assert summary["differences"] == len(differences) > 0 and summary["policy_version"] == "other"
    assert differences[0]["pcs_id"] in written.ids() and "budget_mismatch" in differences[0]["verified"]["reasons"]
    *differences, summary = lines("audit", "--dir", written.inbox, env={"PCS_HMAC_KEY": "another key of the tests"}, status=1)
    assert {difference["verified"]["status"] for difference in differences} == {401}
    few = lines("audit", "--dir", written.inbox, "--status", "202", env={"FLK_POLICY_FILE": policy}, status=1)[-1]
    assert few["records"] < RECORDS


# A dry run submits nothing. A replay gets a duplicate for everything that had an outcome, only for the matches of its
# filter, and goes on where the state file says that it stopped.
def test_replay(written, tmp_path):
    state, door = tmp_path / "state", written.cluster.gateway.zmq
    rows = lines("replay", "--dir", written.inbox, "--to", door, "--dry-run", "--state", state)
    assert rows[-1]["dry_run"] is True and len(rows) == RECORDS + 1 and rows[-1]["sent"] == 0
    assert not state.exists() and len(lines("list", "--dir", written.inbox)) == RECORDS
    done = lines("replay", "--dir", written.inbox, "--to", door, "--state", state)[-1]
    assert done["matched"] == RECORDS and done["malformed"] == 0 and done["sent"] == done["answered"] == RECORDS
    assert done["duplicates"] == GOOD + WRONG + REPEATED and done["refused"] == 1 and done["conflicts"] == 0
    wait_for(lambda: unacked(written.cluster) == 0, 10, "all is acked")
    assert lines("audit", "--dir", written.inbox)[-1]["differences"] == 0
    again = lines("replay", "--dir", written.inbox, "--to", door, "--state", state)[-1]
    assert again["passed_over"] >= RECORDS - 2
    few = lines("replay", "--dir", written.inbox, "--to", door, "--id", written.wrong[0]["pcs_id"], "--rate", "50/s")[-1]
    assert few["sent"] == few["duplicates"] == few["escalated"] >= 1
    (tmp_path / "other").write_text('{"log_id":"0000000000000001","lsn":1}\n')
    assert "another log" in replay("replay", "--dir", written.inbox, "--to", door, "--state", tmp_path / "other", status=1).stderr


def poisoned(cluster, worker, pcs):
    """The PCS takes a worker with it again and again, and is a dead letter then."""
    with cluster.zmq(seconds=30) as door:
        worker.crash()  # the steps before may have taken longer than a heartbeat
        worker.enter()
        identity = door.post(pcs)
        for _ in range(5):
            wait_for(lambda: worker.work(0.1), 10, "the poison is handed out")
            worker.crash()
            worker.enter()
        assert door.wait(identity).body["reasons"] == ["dead_letter"]
    wait_for(lambda: unacked(cluster) == 0, 10, "it is acked")


# The dead letters of a running gateway are put back and purged by order: the one gets its verdict from a worker that bears it, the other
# is gone, and new submissions of it are verified.
def test_dlq_of_a_running_gateway(seed):
    factory = reference.Factory(seed, "poison")
    first, second = factory.make(), factory.make()
    with Cluster(workers=0, env={"FLK_HEARTBEAT_MS": 300}, gateway_env={"FLK_REQUEST_TIMEOUT_MS": 60000}) as cluster:
        queue, worker = cluster.gateway.env["FLK_DATA_DIR"] / "dlq", FakeWorker(cluster.broker.backend)
        assert lines("dlq", "list", "--dir", queue) == []
        assert "--all" in replay("dlq", "purge", "--dir", queue, status=2).stderr
        for pcs in (first, second):
            poisoned(cluster, worker, pcs)
        assert len(lines("dlq", "list", "--dir", queue)) == 2
        done = lines("dlq", "replay", "--id", first["pcs_id"], "--dir", queue)
        assert done[0]["pcs_id"] == first["pcs_id"] and done[-1] == {"type": "summary", "replayed": 1}
        worker.crash()
        worker.enter()
        worker.answer(wait_for(lambda: worker.work(0.1), 20, "it is handed out again"))
        wait_for(lambda: unacked(cluster) == 0, 10, "it has its verdict")
        done = run("flk", "dlq", "purge", "--reason", "dead_letter", "--json", "--dir", queue)
        assert json.loads(done.stdout.splitlines()[-1]) == {"type": "summary", "purged": 1}
        assert lines("dlq", "list", "--dir", queue) == [] and lines("dlq", "purge", "--all", "--dir", queue)[-1]["purged"] == 0
        assert cluster.gateway.metrics().total("flk_dlq_records") == 0
        assert [row["status"] for row in lines("list", "--id", first["pcs_id"], "--dir", queue.parent / "inbox")] == [202, reference.verdict(first)["status"]]
        worker.crash()


# A dead letter is listed; put back while its gateway is stopped, it gets its verdict from a worker that bears it, and the audit agrees.
def test_dlq_replay(seed):
    pcs = reference.Factory(seed, "poison").make()
    with Cluster(workers=0, env={"FLK_HEARTBEAT_MS": 300}, gateway_env={"FLK_REQUEST_TIMEOUT_MS": 60000}) as cluster:
        data_dir, worker = cluster.gateway.env["FLK_DATA_DIR"], FakeWorker(cluster.broker.backend)
        poisoned(cluster, worker, pcs)
        worker.crash()
        listed = lines("dlq", "list", "--reason", "dead_letter", env={"FLK_DATA_DIR": data_dir})
        assert [row["pcs_id"] for row in listed] == [pcs["pcs_id"]]
        assert lines("dlq", "show", pcs["pcs_id"], "--dir", data_dir / "dlq")[0]["pcs"]["pcs_id"] == pcs["pcs_id"]
        cluster.gateway.stop()
        left = replay("handover", "--to", cluster.gateway.zmq, "--dir", data_dir / "inbox", status=1)
        assert "1 dead letters are left" in left.stderr and "flk dlq replay --all" in left.stderr, left
        assert lines("dlq", "replay", "--all", "--dry-run", "--dir", data_dir / "dlq")[-1] == {"type": "summary", "matched": 1}
        done = run("flk", "dlq", "replay", "--all", "--json", env={"FLK_DATA_DIR": data_dir})
        assert json.loads(done.stdout.splitlines()[-1]) == {"type": "summary", "replayed": 1}
        worker.enter()
        cluster.gateway.start()
        worker.answer(wait_for(lambda: worker.work(0.1), 20, "it is handed out again"))
        worker.crash()
        cluster.gateway.wait_ready()
        wait_for(lambda: unacked(cluster) == 0, 10, "it has its verdict")
        assert lines("dlq", "list", "--dir", data_dir / "dlq") == []
        assert [row["status"] for row in lines("list", "--id", pcs["pcs_id"], "--dir", data_dir / "inbox")] == [202, reference.verdict(pcs)["status"]]
        assert lines("audit", "--dir", data_dir / "inbox")[-1]["differences"] == 0


# A gateway that goes for good hands over: another one answers its un-acked records, which are then settled in its log, and each has its
# one outcome. A log in use is left alone, and a second run finds nothing to do.
def test_handover(seed):
    factory = reference.Factory(seed, "handover")
    sent = [factory.make() for _ in range(20)]
    with Cluster(gateways=2, workers=1, gateway_env={"FLK_REQUEST_TIMEOUT_MS": 500}) as cluster:
        leaving, staying = cluster.gateways
        data_dir = leaving.env["FLK_DATA_DIR"]
        cluster.worker.stop()
        with cluster.zmq() as door:
            for pcs in sent:
                door.post(pcs)
            wait_for(lambda: leaving.metrics().total("flk_wal_unacked") == len(sent), 10, "nobody answers")
        assert "runs" in replay("handover", "--wait", "0", "--to", staying.zmq, "--dir", data_dir / "inbox", status=1).stderr
        leaving.stop()
        cluster.worker.start()
        done = run("flk", "wal", "handover", "--to", staying.zmq, "--json", env={"FLK_DATA_DIR": data_dir}, seconds=60)
        assert done.returncode == 0, done.stderr
        summary = json.loads(done.stdout.splitlines()[-1])
        assert summary["answered"] == len(sent) and summary["left"] == summary["dead_letters"] == 0, summary
        rows = {row["pcs_id"]: row["status"] for row in lines("list", "--dir", data_dir / "inbox")}
        assert rows == {pcs["pcs_id"]: reference.verdict(pcs)["status"] for pcs in sent}
        with cluster.http(1) as http:
            for pcs in sent:
                answer = http.submit(pcs)
                assert answer.body["duplicate"] and answer.outcome() == doors.predicted(pcs), answer
        assert lines("handover", "--to", staying.zmq, "--dir", data_dir / "inbox")[-1]["sent"] == 0


# Wrong arguments end with 2 and one line; no log there with 1.
@pytest.mark.parametrize("args", [[], ["lost"], ["dlq"], ["dlq", "lost"], ["list", "--since", "soon"], ["list", "--rate", "1"],
                                  ["replay", "--rate", "0"], ["show"], ["show", "xyz"], ["list", "--id", "xyz"],
                                  ["list", "--status", "2000"], ["list", "--reason", "bad"], ["verify", "one"]], ids=str)
def test_wrong_arguments(args, tmp_path):
    assert len(replay(*args, status=2).stderr.splitlines()) == 1
    assert "no log" in replay("list", "--dir", tmp_path, status=1).stderr


# A segment that a start set aside is not said to be set aside by the next one.
def test_verify_set_aside(written, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(written.inbox, copy)
    segment = copy / lines("list", "--dir", copy)[0]["segment"]
    (copy / f"{segment.name}.damaged").write_bytes(b"garbage" * 999)
    said = replay("verify", "--dir", copy, status=1).stdout
    assert f"{segment.name}.damaged was set aside" in said and "the next start" not in said, said
