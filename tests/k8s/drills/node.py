# SPDX-License-Identifier: MIT
import time

from kit import cluster
from kit.hosts import NODE
from kit.place import until
from kit.stage import stage

ABOUT = "node-2 powered off for 20 s, on again"
OFF_S = 20


def run(row):
    # Kubernetes needs 50 s to give a silent node up: until then half of the new connections go nowhere, and time out.
    with stage(row, restarts_max=9, expected=frozenset({"NodeNotReady", "FailedCreatePodSandBox", "SandboxChanged"})) as made:
        gone = sum(found["spec"]["nodeName"] == "node-2" for found in made.pods())
        with made.load(refused_max=None):
            NODE["node-2"].power_off()
            time.sleep(OFF_S)
            cluster.up()
            until("the nodes are ready", 120, cluster.nodes_ready)
            made.ready()
        row.note(f"{gone} of {len(made.pods())} pods were on it")
