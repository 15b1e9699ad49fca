# SPDX-License-Identifier: MIT
import time

from kit.hosts import NODE
from kit.kubectl import k
from kit.stage import SPACE, stage

ABOUT = "DNS silent for 30 s while one of two brokers is away"
SILENT_S = 30
RULE = ["FORWARD", "-p", "udp", "--dport", "53", "-j", "DROP"]


def run(row):
    with stage(row) as made:
        with made.load():
            k("-n", SPACE, "scale", "statefulset/flk-broker", "--replicas=1")
            made.ready()
            for node in NODE.values():
                node.run("iptables", "-I", *RULE)
            try:
                time.sleep(SILENT_S)
            finally:
                for node in NODE.values():
                    node.run("iptables", "-D", *RULE)
            k("-n", SPACE, "scale", "statefulset/flk-broker", "--replicas=2")
            made.ready()
