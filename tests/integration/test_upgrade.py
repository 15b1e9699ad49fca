# SPDX-License-Identifier: MIT
"""A data directory that an earlier release left behind opens, and everything in it keeps its promise."""
import json
import pathlib
import subprocess
import tarfile

import pytest

from harness.cluster import Cluster
from harness.process import BIN_DIR, ROOT, SLOW, wait_for

LAYOUTS = sorted((ROOT / "tests/data/layouts").glob("*.tar.xz"))
KEEP_S = 315360000  # of the fixtures: they are older every day


def lines(path):
    return [json.loads(line) for line in pathlib.Path(path).read_text().splitlines()]


@pytest.fixture(params=LAYOUTS, ids=lambda path: path.name.removesuffix(".tar.xz"))
def old(request, tmp_path):
    with tarfile.open(request.param) as archive:
        archive.extractall(tmp_path)
    return tmp_path


def cluster_on(old):
    """A cluster whose gateway and worker have the old directory as theirs."""
    keep = {"FLK_DATA_DIR": old, "FLK_DEDUP_TTL_S": KEEP_S}
    return Cluster(env={"PCS_SIGN_ALG": "none"}, worker_env=keep, gateway_env={"FLK_DATA_DIR": old, "FLK_WAL_RETENTION_S": KEEP_S})


def unacked(cluster):
    return cluster.gateway.metrics().total("flk_wal_unacked")


# Stored outcomes are told as they were told then, and records without one get it; the agent's outbox is delivered.
def test_upgrade_keeps_every_promise(old):
    sent, answers = lines(old / "pcs.ndjson"), lines(old / "answers.ndjson")
    with cluster_on(old) as cluster, cluster.http() as http:
        wait_for(lambda: unacked(cluster) == 0, 20, lambda: f"{unacked(cluster)} records of then have no outcome")
        for pcs, before in zip(sent, answers):
            answer = http.submit(pcs)
            assert answer.status == 200 and answer.body == {**before, "duplicate": True}, (answer, before)
        for pcs in sent[12:18]:
            answer = http.submit(pcs)
            assert answer.status == 200 and answer.body["duplicate"], answer
        host, port = cluster.gateway.http
        env = {"FLK_DATA_DIR": str(old), "ENDPOINT": f"http://{host}:{port}/v1/pcs/submit", "FLK_WAL_RETENTION_S": str(KEEP_S)}
        done = subprocess.run([BIN_DIR / "flk-agent", "drain"], env=env, capture_output=True, text=True, timeout=60 * SLOW)
        assert done.returncode == 0, done.stderr
        for pcs in sent[18:24]:
            answer = http.submit(pcs)
            assert answer.status == 200 and answer.body["duplicate"], answer
    done = subprocess.run([BIN_DIR / "flk-replay", "verify", "--dir", old / "inbox"], env={}, capture_output=True, text=True, timeout=60 * SLOW)
    assert done.returncode == 0, done.stdout + done.stderr
