# SPDX-License-Identifier: MIT
"""The verdict vectors, each through a real cluster and both doors."""
import json

import pytest

from harness.cluster import Cluster
from harness.process import ROOT

VECTORS = json.loads((ROOT / "tests" / "data" / "vectors" / "verdicts.json").read_text())


@pytest.fixture
def cluster():
    with Cluster(workers=2, threads=2, worker_env={"PCS_HMAC_KEY": VECTORS["key"], "FLK_DEV": 1}) as running:
        yield running


def expected(case):
    accepted = case["status"] == 200
    return dict(status=case["status"], accepted=accepted, escalated=not accepted, pcs_id=case["pcs"]["pcs_id"],
                recomputed_D_hat=case["d_hat"], recomputed_budget=case["budget"], budget=case["pcs"]["budget"],
                regime=case["regime"], reasons=case["reasons"], policy_version="default-1")


def check_all(door, duplicate):
    """Sends every case and compares all; names each case that differs."""
    wrong = []
    for case in VECTORS["cases"]:
        answer = door.submit(case["pcs"])
        if not isinstance(answer.body, dict) or answer.outcome() != expected(case):
            wrong.append((case["name"], answer, expected(case)))
        elif answer.body["duplicate"] is not duplicate or "conflict" in answer.body:
            wrong.append((case["name"], answer, f"duplicate should be {duplicate}"))
    assert not wrong, f"{len(wrong)} of {len(VECTORS['cases'])}, first: {wrong[:3]}"


# Each vector gets its status, reasons and recomputed values over HTTP; sent again, by either door, it gets the same as a duplicate.
def test_vectors_over_http(cluster):
    assert VECTORS["key"] == "testsecret" and len(VECTORS["cases"]) >= 400
    with cluster.http() as http, cluster.zmq() as zmq:
        check_all(http, duplicate=False)
        check_all(http, duplicate=True)
        check_all(zmq, duplicate=True)


# The same over the ZeroMQ door first.
def test_vectors_over_zmq(cluster):
    with cluster.http() as http, cluster.zmq() as zmq:
        check_all(zmq, duplicate=False)
        check_all(zmq, duplicate=True)
        check_all(http, duplicate=True)


# Claims printed by the usual writers of many languages: a signature over them as they were sent verifies, at either door; over
# anything else it is a 401.
@pytest.mark.parametrize("name", ["http", "zmq"])
def test_prints(cluster, name):
    vectors = json.loads((ROOT / "tests" / "data" / "vectors" / "prints.json").read_text())
    wrong = []
    with getattr(cluster, name)() as door:
        for case in vectors["cases"]:
            if name == "http":
                answer = door.post(case["body"].encode())
            elif "longer" in case["name"] or "more than nine" in case["name"]:
                continue  # no such print can be said beside the numbers
            else:
                answer = door.submit({**json.loads(case["body"]), "prints": case["prints"]})
            if (answer.status in (200, 202)) is not case["verifies"] or answer.status not in (200, 202, 401):
                wrong.append((case["name"], answer))
    assert not wrong, f"{len(wrong)}, first: {wrong[:3]}"
