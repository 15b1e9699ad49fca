# SPDX-License-Identifier: MIT
"""The load scripts make PCS as the cluster expects them: signatures by the vectors, verdicts by the reference. Where k6 or locust is
installed, they load a real cluster for some seconds."""
import importlib.util
import json
import pathlib
import shutil
import subprocess
import sys
import types

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests" / "integration"))

from harness import pcs as reference  # noqa: E402
from harness.cluster import Cluster  # noqa: E402
from harness.process import BIN_DIR  # noqa: E402

VECTORS = json.loads((ROOT / "tests" / "data" / "vectors" / "canonical.json").read_text())
MADE = 300
SCRIPT = """
import {canonical, make, randomFrom, sign} from %s;
import crypto from 'node:crypto';
import fs from 'node:fs';
const hash = {
    sha256Hex: (text) => crypto.createHash('sha256').update(text).digest('hex'),
    sha256: (text) => crypto.createHash('sha256').update(text).digest(),
    hmacBase64: (key, bytes) => crypto.createHmac('sha256', key).update(bytes).digest('base64'),
};
const {key, cases} = JSON.parse(fs.readFileSync(0, 'utf8'));
const random = randomFrom(7);
console.log(JSON.stringify({
    cases: cases.map(({subset}) => [canonical(subset), sign(subset, key, hash)]),
    made: [...Array(%d).keys()].map((epoch) => make({random, shard: 'js', epoch, key, hash, escalate: epoch %% 10 === 9})),
}));
"""


@pytest.fixture(scope="module")
def node():
    """The results of pcs.mjs on the vectors, and PCS that it made."""
    program = shutil.which("node") or shutil.which("nodejs")
    if not program:
        pytest.skip("node is not installed (apt-get install nodejs)")
    script = SCRIPT % (json.dumps((HERE / "pcs.mjs").as_uri()), MADE)
    done = subprocess.run([program, "--input-type=module", "-e", script], input=json.dumps(VECTORS), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def locustfile():
    """The script as a module. Locust's classes are only bases and decorators in this test."""
    locust = types.ModuleType("locust")
    locust.FastHttpUser = locust.LoadTestShape = object
    locust.between = lambda *_: None
    locust.task = lambda _: lambda function: function
    locust.events = types.SimpleNamespace(quitting=types.SimpleNamespace(add_listener=lambda function: function))
    sys.modules["locust"] = locust
    try:
        spec = importlib.util.spec_from_file_location("locustfile", HERE / "locustfile.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        del sys.modules["locust"]
    return module


# Canonical bytes and signatures in JavaScript are those of the vectors, ties and minus zero among them.
def test_javascript_signs_as_the_vectors(node):
    assert len(node["cases"]) == len(VECTORS["cases"]) > 100
    for (text, signature), case in zip(node["cases"], VECTORS["cases"]):
        assert (text, signature) == (case["es"], case["hmac_es"])


def check_made(made, escalated):
    assert reference.pcs_id(made["merkle_root"], made["epoch"], made["shard_id"]) == made["pcs_id"]
    verdict = reference.verdict(made)
    assert (verdict["status"] == 202) == escalated, verdict


# The PCS of the k6 script get the verdicts that it expects.
def test_javascript_makes_what_it_says(node):
    assert len({made["pcs_id"] for made in node["made"]}) == MADE
    for number, made in enumerate(node["made"]):
        check_made(made, number % 10 == 9)


# The PCS of the locust script are signed as the vectors are, and get the verdicts that it expects, in each regime.
def test_locust_makes_what_it_says(locustfile):
    locustfile.KEY = VECTORS["key"]
    for case in VECTORS["cases"]:
        assert locustfile.sign(case["subset"]) == case["hmac_python"]
    for steep, coh_star, off, regime in ((1.0, 0.9, 0, "sticky"), (2.0, 0.3, 0, "mixed"), (2.9, 0.3, 0, "non_sticky"), (1.0, 0.5, 1.0, "mixed")):
        made = locustfile.make("locust", 1, steep, coh_star, off)
        assert made["regime"] == regime
        check_made(made, bool(off))


def load(program, command, environment):
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")
    with Cluster(workers=2) as cluster:
        address = "http://%s:%d" % cluster.gateway.http
        env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(cluster.directory), "PCS_HMAC_KEY": reference.HMAC_KEY, **environment(address)}
        done = subprocess.run([shutil.which(program), *command(address)], env=env, capture_output=True, text=True, timeout=120)
        print(done.stdout[-6000:], done.stderr[-2000:])
        metrics = cluster.gateway.metrics()
        assert metrics.total("flk_accepted") > 50 and metrics.total("flk_dedup_hits") > 10, (done.stdout, done.stderr)
        assert metrics.total("flk_rejected_total") == 0
        return done


# k6 reaches the verdicts that it expects; objectives are reported, since they are the machine's.
def test_k6():
    done = load("k6", lambda address: ["run", "--quiet", "--no-usage-report", str(HERE / "k6.js")],
                lambda address: {"ENDPOINT": f"{address}/v1/pcs/submit", "RATE": "40", "SECONDS": "3", "BURST": "80"})
    assert done.returncode in (0, 99), done.stderr  # 99: a threshold was missed


# Locust reaches the verdicts that it expects, in bursts.
def test_locust():
    done = load("locust", lambda address: ["-f", str(HERE / "locustfile.py"), "--headless", "--host", address, "--run-time", "6s", "--only-summary"],
                lambda address: {"BASE": "5", "BURST": "20", "PERIOD": "4"})
    assert done.returncode in (0, 1), done.stderr


# An open loop that needs few of its connections is not ended by a door that closes those nobody used.
def test_load_open_loop_of_few():
    with Cluster() as cluster:
        done = subprocess.run([str(BIN_DIR / "flk-load"), "--http", "%s:%d" % cluster.gateway.http, "--key", reference.HMAC_KEY,
                               "--outstanding", "16", "--rate", "4", "--warm", "0.1", "--seconds", "8", "--distinct", "50"],
                              capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and not done.stderr, done
    assert int(done.stdout.split()[3]) >= 28 and done.stdout.split()[4] == "0", done
