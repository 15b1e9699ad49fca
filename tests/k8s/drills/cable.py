# SPDX-License-Identifier: MIT
import time

from kit import cluster
from kit.hosts import CONTROL, cable
from kit.place import until
from kit.stage import stage

ABOUT = "node-2's cable out for 28 s, in again"
OUT_S = 28


def run(row):
    with stage(row, expected=frozenset({"NodeNotReady"})) as made:
        gone = sum(found["spec"]["nodeName"] == "node-2" for found in made.pods())
        with made.load(refused_max=None):
            CONTROL.run("ip", "link", "set", cable("node-2"), "down")
            try:
                time.sleep(OUT_S)
            finally:
                CONTROL.run("ip", "link", "set", cable("node-2"), "up")
            until("the nodes are ready", 120, cluster.nodes_ready)
            made.ready()
        row.note(f"{gone} of {len(made.pods())} pods were on it")
