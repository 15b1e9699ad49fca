# SPDX-License-Identifier: MIT
import json

from kit import cluster, images
from kit.kubectl import helm, tries
from kit.place import FLK_BIN, PROMETHEUS, Broken
from kit.stage import SPACE, stage

ABOUT = "a canary behind its gate: one that keeps the budget, one that escalates too much"
GATE = {"enabled": True, "prometheusAddress": PROMETHEUS, "image": "promtool:1", "minutes": 1, "minVerdicts": 100}
OTHER_POLICY = {"version": "other-1", "alpha": 0.9}  # another budget than the agents have: almost all is escalated


def gate_log():
    return tries("kubectl", "-n", SPACE, "logs", "job/flk-canary-gate").stdout.strip()[-300:]


def run(row):
    cluster.start_metrics()
    images.make_flk(FLK_BIN, "other", texts={"etc/other.json": json.dumps(OTHER_POLICY)}, env=["FLK_POLICY_FILE=/etc/other.json"])
    cluster.import_all()
    with stage(row, expected=frozenset({"BackoffLimitExceeded"})) as made:
        with made.load():
            made.upgrade({"canary": {"enabled": True, "image": {"tag": "0.1.1"}, "gate": GATE}})
        row.note(f"the first: {gate_log()}")
        # Its outcomes are not those of the reference: the gate alone is judged.
        load = made.start_load(rate=200, connections=12)
        try:
            made.upgrade({"canary": {"image": {"tag": "other"}}})
            row.check(False, "the gate let a canary pass that escalates too much")
        except Broken:
            said = gate_log()
            row.check("over its error budget" in said, f"the gate failed otherwise: {said}")
            row.note(f"the second: {said[:100]}")
        finally:
            load.stop()
        helm("rollback", "flk", "-n", SPACE, "--wait", "--timeout", "180s")
        made.ready()
