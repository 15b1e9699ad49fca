# SPDX-License-Identifier: MIT
import json

from kit.kubectl import k, tries
from kit.stage import SPACE, stage

ABOUT = "delete of gateway-0, eviction of gateway-1 (429 by the PDB), drain of node-2, uncordon"


def evict(name):
    path = f"/api/v1/namespaces/{SPACE}/pods/{name}/eviction"
    return tries("kubectl", "create", "--raw", path, "-f", "-", text=json.dumps(
        {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": SPACE}}))


def run(row):
    # A gateway cannot leave the node that has its volume: it waits for the node.
    with stage(row, expected=frozenset({"FailedScheduling"})) as made:
        with made.load():
            k("-n", SPACE, "delete", "pod", "flk-gateway-0", "--wait=false")
            said = evict("flk-gateway-1").stderr
            row.check("disruption budget" in said, f"gateway-1 may go while gateway-0 is away: {said}")
            made.ready()
            try:
                k("drain", "node-2", "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=240s", "--pod-selector", "app.kubernetes.io/name=flk")
                left = [found["metadata"]["name"] for found in made.pods() if found["spec"].get("nodeName") == "node-2"]
                row.check(not left, f"on the drained node: {left}")
            finally:
                k("uncordon", "node-2")
            made.ready()
