# SPDX-License-Identifier: MIT
"""One cycle of a HorizontalPodAutoscaler: load that the least number of workers cannot take, until it grows; then quiet, until it shrinks."""
import json
import subprocess
import time

from . import cluster
from .hosts import NODE
from .kubectl import get
from .place import FLK_BIN, Broken, say, until
from .stage import HMAC_KEY, SPACE, stage

THIN = {"requests": {"cpu": "40m", "memory": "64Mi"}, "limits": {"cpu": "40m", "memory": "256Mi"}}  # two cores are all that there is
LEAST, MOST, RATE, OUTSTANDING, CONNECTIONS = 1, 4, 1500, 1024, 6


def replicas():
    return get("deployment", "flk-worker", "-n", SPACE)["status"].get("readyReplicas", 0)


class Flood:
    """flk-load at the ZeroMQ door, from a node's network."""

    def __init__(self, address, seconds):
        self.process = subprocess.Popen(
            NODE["node-1"].words(FLK_BIN / "flk-load", "--zmq", f"tcp://{address}:5550", "--outstanding", OUTSTANDING, "--rate", RATE,
                                 "--seconds", seconds, "--distinct", int(RATE * seconds * 1.2), "--key", HMAC_KEY, "--json", only_network=True),
            stdout=subprocess.PIPE, text=True)

    def end(self):
        told, _ = self.process.communicate(timeout=900)
        if self.process.returncode != 0:
            raise Broken(f"flk-load ended with {self.process.returncode}")
        return json.loads(told)


def cycle(row, metrics, seconds=120):
    cluster.start_metrics()
    scaling = {"mode": "hpa", "minReplicas": LEAST, "maxReplicas": MOST, "scaleDownStabilizationSeconds": 30, **metrics}
    # Probes of workers that are held at 40m may be slow, and metrics of a pod that has just begun are not there.
    expected = frozenset({"FailedGetResourceMetric", "FailedGetExternalMetric", "FailedComputeMetricsReplicas"})
    with stage(row, {"worker": {"resources": THIN, "threads": 2}, "autoscaling": scaling}, expected=expected) as made:
        with made.load(rate=50, connections=CONNECTIONS):
            flood, began = Flood(made.address("flk-zmq"), seconds), time.monotonic()
            try:
                until("the HPA adds a worker", seconds, lambda: replicas() > LEAST, pause=1)
                row.note(f"{LEAST} to {replicas()} workers after {time.monotonic() - began:.0f} s")
            finally:
                told = flood.end()
            most, ended = replicas(), time.monotonic()
            say(f"{row.name}: flk-load says {told}")
            row.note(f"{most} at the end of {RATE}/s for {seconds} s")
            # Those that wait when it ends have their outcome later: no log keeps more than the agents' own few.
            row.check(told["failed"] == 0 and told["missing"] <= OUTSTANDING, f"flk-load: {told}")
            row.note(f"{told['answered']:,} answered, {told['missing']} too late")
            until("every record has its outcome", 60, lambda: sum(made.unacked(f"flk-gateway-{number}") for number in (0, 1)) <= CONNECTIONS)
            until("the HPA is back", 420, lambda: replicas() == LEAST, pause=1)
            row.note(f"{LEAST} again {time.monotonic() - ended:.0f} s after it")
