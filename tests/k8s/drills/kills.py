# SPDX-License-Identifier: MIT
import time

from kit.kubectl import k
from kit.stage import SPACE, stage

ABOUT = "kill -9 and force delete of a worker, a broker and a gateway"
BETWEEN_S = 12  # the next fault finds the last one healed


def run(row):
    # A killed container is restarted, and the successor of a force deleted gateway may find the log still locked by the old one.
    with stage(row, restarts_max=5, expected=frozenset({"BackOff"})) as made:
        with made.load(refused_max=None):
            for role in ("worker", "broker", "gateway"):
                made.kill(made.pods(role)[0]["metadata"]["name"])
                time.sleep(BETWEEN_S)
                made.ready()
                victim = made.pods(role)[-1]["metadata"]["name"]
                k("-n", SPACE, "delete", "pod", victim, "--force", "--grace-period=0")
                time.sleep(BETWEEN_S)
                made.ready()
        row.note("6 faults, 12 s or more between them")
