# SPDX-License-Identifier: MIT
"""tests/data/pcs_rules.json through a real cluster: the values that each member of a PCS may hold are the same at both doors."""
import json

import pytest

from harness.cluster import Cluster
from harness.process import ROOT

RULES = json.loads((ROOT / "tests" / "data" / "pcs_rules.json").read_text())


@pytest.fixture(scope="module")
def cluster():
    with Cluster(workers=1, threads=1) as running:
        yield running


def body_of(rule):
    """The valid PCS as JSON text with one member set to the rule's text, at the end."""
    rest = {key: value for key, value in RULES["valid"].items() if key != rule["member"]}
    return f'{json.dumps(rest)[:-1]}, "{rule["member"]}": {rule["value"]}}}'


# A value that a rule forbids is a 400 that names the member; any other is taken, and refused with 401 for its signature only.
@pytest.mark.parametrize("name", ["http", "zmq"])
def test_rules_hold_at_the_door(cluster, name):
    wrong = []
    with getattr(cluster, name)() as door:
        for rule in RULES["rules"]:
            body = body_of(rule)
            if name == "http":
                answer = door.post(body.encode())
            elif "door" in rule:
                continue
            else:
                answer = door.submit(json.loads(body))
            expected = (400, rule["field"]) if "field" in rule else (401, "sig")
            if answer is None or (answer.status, answer.body.get("field", "")) != expected:
                wrong.append((rule, answer))
    assert len(RULES["rules"]) > 150 and not wrong, f"{len(wrong)}, first: {wrong[:3]}"
