# SPDX-License-Identifier: MIT
"""Policies: the language as OPERATING has it, the verbs of flk policy, and a reload."""
import json
import re
import signal

import pytest

from harness import pcs as reference
from harness.cluster import Cluster
from harness.process import ROOT, run, wait_for

SECTION = (ROOT / "OPERATING.md").read_text().split("## The policy language\n")[1].split("\n## ")[0]
REFUSED = re.findall(r"^```\n(policy .*?)\n---\n(.*?)\n```$", SECTION, re.M | re.S)
STATEMENTS = [line.split("`")[1] for line in SECTION.splitlines() if line.startswith("| `")]


@pytest.fixture
def lab(tmp_path):
    """Writes a policy and returns its path."""
    def write(text, name="lab.flk"):
        (tmp_path / name).write_text(text if isinstance(text, str) else json.dumps(text))
        return tmp_path / name
    return write


# Each refused policy of OPERATING is refused with the message beside it, and there is one for each guard-rail.
@pytest.mark.parametrize("text, said", REFUSED, ids=[text.splitlines()[-1][:40] for text, _ in REFUSED])
def test_documented_refusals(text, said, lab):
    path = lab(text + "\n")
    done = run("flk", "policy", "check", path)
    assert done.returncode == 1 and done.stderr.strip() == said.replace("lab.flk", str(path)), done
    worker = run("flk-worker", "--check", env={"FLK_POLICY_FILE": path})
    assert worker.returncode == 2 and said.split("lab.flk: ")[1] in worker.stderr, worker


# The statements of OPERATING's table make one policy, and the document shows as many refusals as it promises.
def test_documented_statements(lab):
    assert len(REFUSED) == 11 and len(STATEMENTS) == 13
    text = "\n".join(STATEMENTS).replace('"NAME"', '"v7"').replace("{ … }", "{ tolerance D_hat 0.3 }").replace("# …", "# a comment")
    done = run("flk", "policy", "compile", lab(text))
    compiled = json.loads(done.stdout)
    assert done.returncode == 0 and compiled["version"] == "v7" and compiled["shards"] == [{"shard": "lab-*", "tolD": 0.3}], done
    again = run("flk", "policy", "compile", lab(compiled, "lab.json"))
    assert again.stdout == done.stdout, again


# explain gives every number of a verdict; test runs the vectors; diff and its exit status tell of a bound that became wider.
def test_verbs(lab, seed):
    text = 'policy "v2" escalate "few" when scale_count < 64 and r >= 0 for shard "lab-*" { tolerance D_hat 0.3 }'
    policy, one = lab(text), lab(reference.Factory(seed).make(), "pcs.json")
    done = run("flk", "policy", "explain", "--policy", policy, one)
    assert done.returncode == 0 and "rule      few: scale_count < 64 (" in done.stdout and "202 escalated" in done.stdout, done
    explained = json.loads(run("flk", "policy", "explain", "--json", "--policy", policy, one).stdout)
    assert explained["rules"] == {"few": True} and "rule:few" in explained["reasons"], explained
    vectors = run("flk", "policy", "test", ROOT / "tests" / "data" / "vectors" / "verdicts.json")
    assert vectors.returncode == 0 and "400 cases: 400 passed" in vectors.stdout, vectors
    cases = lab({"policy": "lab.flk", "cases": [{"name": "few", "pcs": json.loads(one.read_text()), "status": 200, "reasons": []}]}, "cases.json")
    failed = run("flk", "policy", "test", cases)
    assert failed.returncode == 1 and 'few: 202 ["rule:few"], wanted 200 []' in failed.stdout, failed
    wider = lab('policy "v2" tolerance budget 0.02', "wider.flk")
    moved = run("flk", "policy", "diff", policy, wider)
    assert moved.returncode == 1 and "wider     tolBudget 0.01 -> 0.02" in moved.stdout and 'wider     escalate "few" went' in moved.stdout, moved
    assert "needs a version of its own" in moved.stderr and run("flk", "policy", "diff", wider, policy).returncode == 1
    assert run("flk", "policy", "check").returncode == 2 and run("flk", "policy", "chek", policy).returncode == 2


# A cluster answers rule:NAME through both doors; a reload that widens a tolerance under the same version is refused; try
# lists the verdicts that another policy would change.
def test_cluster(lab, seed, tmp_path):
    policy = lab('policy "v2" escalate "few" when scale_count < 64')
    factory = reference.Factory(seed)
    with Cluster(worker_env={"FLK_POLICY_FILE": policy}) as cluster, cluster.http() as door:
        answer = door.submit(factory.make())
        assert answer.status == 202 and "rule:few" in answer.body["reasons"] and answer.body["policy_version"] == "v2", answer
        lab('policy "v2" tolerance D_hat 0.2 escalate "few" when scale_count < 64')
        cluster.worker.signal(signal.SIGHUP)
        wait_for(lambda: cluster.worker.metrics().total("flk_rules_reloads_total", result="refused") >= 1, 20, cluster.worker.log_tail)
        assert "tolD 0.15; a wider one, 0.2, needs a version of its own" in cluster.worker.log()
        lab('policy "v3" tolerance D_hat 0.2')
        cluster.worker.signal(signal.SIGHUP)
        wait_for(lambda: cluster.worker.metrics().total("flk_rules_reloads_total", result="ok") >= 1, 20, cluster.worker.log_tail)
        again = door.submit(factory.make())
        assert again.body["policy_version"] == "v3" and "rule:few" not in again.body["reasons"], again
        log = cluster.gateway.env["FLK_DATA_DIR"] / "inbox"
        tried = run("flk", "policy", "try", "--log", log, lab('policy "v4" escalate "few" when scale_count < 64', "new.flk"))
        assert tried.returncode == 1 and "2 PCS: 2 verdicts would change from default-1 to v4" in tried.stdout, tried
