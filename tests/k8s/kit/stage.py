# SPDX-License-Identifier: MIT
"""Where a drill plays: a namespace under PodSecurity `restricted` with a Redis, a key and the chart in it, and agents beside."""
import collections
import contextlib
import copy
import json
import re
import subprocess
import sys
import time

from .hosts import NODE
from .kubectl import CHART, apply, get, helm, items, k, tries
from .place import HERE, REPORT, ROOT, Broken, say, until

sys.path.insert(0, str(ROOT / "tests" / "integration"))
from harness.pcs import HMAC_KEY  # noqa: E402

SPACE = "drill"
SMALL = {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}}
RESTRICTED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True, "runAsUser": 10001,
              "seccompProfile": {"type": "RuntimeDefault"}}
VALUES = {
    "env": {"dedupBackend": "redis", "redisAddr": "redis:6379"}, "signing": {"enabled": True, "existingSecret": "keys"},
    "gateway": {"resources": SMALL, "persistence": {"size": "1Gi"}}, "broker": {"resources": SMALL},
    "worker": {"replicas": 2, "resources": SMALL},
}
POD_LABEL = "app.kubernetes.io/name=flk"


def merged(values, more):
    out = copy.deepcopy(values)
    for name, value in more.items():
        out[name] = merged(out[name], value) if isinstance(value, dict) and isinstance(out.get(name), dict) else value
    return out


def pod(name, command, image="tools:1", node=None, labels=None, space=SPACE):
    """A pod of one container that the restricted standard lets in."""
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": space, "labels": {"app": name, **(labels or {})}},
            "spec": {"containers": [{"name": "main", "image": image, "imagePullPolicy": "Never", "command": command, "securityContext": RESTRICTED}],
                     "nodeSelector": {"kubernetes.io/hostname": node} if node else {}, "terminationGracePeriodSeconds": 1,
                     "automountServiceAccountToken": False}}


def service(name, port):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": SPACE},
            "spec": {"selector": {"app": name}, "ports": [{"port": port}]}}


def secret(name, data):
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": SPACE}, "stringData": data}


class Load:
    """agents.py on a node's network, until `stop`."""

    def __init__(self, to, rate, connections):
        command = [sys.executable, "-B", HERE / "kit" / "agents.py", "--to", to, "--rate", rate, "--connections", connections]
        self.process = subprocess.Popen(NODE["node-1"].words(*command, only_network=True), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def stop(self):
        told, _ = self.process.communicate(timeout=600)
        if self.process.returncode != 0:
            raise Broken(f"agents ended with {self.process.returncode}")
        return json.loads(told)


class Stage:
    def __init__(self, row, values, chart):
        self.row, self.values, self.chart = row, values, chart

    # ---- the release ----

    def upgrade(self, more=None, chart=None, seconds=300):
        """helm upgrade --install with the stage's values and more, which stay; returns helm's warnings, and for how long it ran."""
        self.values, self.chart = merged(self.values, more or {}), chart or self.chart
        began = time.monotonic()
        done = helm("upgrade", "--install", "flk", self.chart, "-n", SPACE, "--values", "-", "--wait", "--timeout", f"{seconds}s",
                    text=json.dumps(self.values), seconds=seconds + 60)
        self.ready()
        return done.stderr, time.monotonic() - began

    def ready(self, seconds=180):
        until("all pods of the release are ready", seconds, self._ready)

    def _ready(self):
        for made in get("statefulsets,deployments", "-n", SPACE)["items"]:
            spec, status = made["spec"], made["status"]
            wanted = spec.get("replicas", 1)
            if status.get("observedGeneration") != made["metadata"]["generation"] or status.get("readyReplicas", 0) != wanted \
                    or status.get("updatedReplicas", 0) != wanted or status.get("replicas", 0) != wanted:
                return False
        return not any(found["metadata"].get("deletionTimestamp") for found in self.pods())

    def pods(self, role=None):
        return items("pods", "-n", SPACE, "-l", POD_LABEL + (f",app.kubernetes.io/component={role}" if role else ""))

    def pod(self, name):
        return get("pod", name, "-n", SPACE)

    def address(self, name):
        return get("service", name, "-n", SPACE)["spec"]["clusterIP"]

    def kill(self, name):
        """kill -9 of the process 1 of the pod's first container."""
        found = self.pod(name)
        node = NODE[found["spec"]["nodeName"]]
        container = found["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
        for task in node.run("ctr", "-n", "k8s.io", "tasks", "ls").splitlines():
            if task.split()[0] == container:
                node.run("kill", "-9", task.split()[1])
                return
        raise Broken(f"{name} has no process")

    def redis(self, *words):
        return k("-n", SPACE, "exec", "redis", "--", "redis-cli", *words).strip()

    def page(self, pod_ip, port, path="/metrics"):
        return NODE["node-1"].run("curl", "-sf", "-m", "5", f"http://{pod_ip}:{port}{path}")

    def unacked(self, name):
        """Records in a gateway's log that have no outcome yet."""
        page = self.page(self.pod(name)["status"]["podIP"], 8080)
        return int(float(re.search(r"^flk_wal_unacked (\S+)", page, re.M).group(1)))

    # ---- load and judgement ----

    def start_load(self, rate, connections):
        return Load(f"{self.address('flk-gateway')}:80", rate, connections)

    @contextlib.contextmanager
    def load(self, rate=200, connections=12, gap_max=3.0, refused_max=0, warm=5, after=5):
        """Agents, from `warm` seconds before the body until `after` seconds behind it; judged at the end."""
        load = self.start_load(rate, connections)
        try:
            time.sleep(warm)
            yield load
            time.sleep(after)
        finally:
            report = load.stop()
            place = REPORT / self.row.name
            place.mkdir(parents=True, exist_ok=True)
            (place / "load.json").write_text(json.dumps(report, indent=1))
            self.row.take_load(report, gap_max, refused_max)

    def restarts(self):
        return sum(status["restartCount"] for found in self.pods() for status in found["status"].get("containerStatuses", []))

    def warnings(self):
        counts = collections.Counter()
        for event in items("events", "-n", SPACE, "--field-selector", "type=Warning"):
            counts[event["reason"]] += event.get("count") or (event.get("series") or {}).get("count") or 1
        return counts

    def keep_logs(self):
        place = REPORT / self.row.name
        place.mkdir(parents=True, exist_ok=True)
        for found in self.pods():
            name = found["metadata"]["name"]
            (place / f"{name}.log").write_text(tries("kubectl", "-n", SPACE, "logs", name, "--all-containers", "--timestamps").stdout)
            (place / f"{name}.before.log").write_text(tries("kubectl", "-n", SPACE, "logs", name, "--previous", "--timestamps").stdout)
        (place / "events.txt").write_text(tries("kubectl", "-n", SPACE, "get", "events", "--sort-by=.lastTimestamp").stdout)


def clear():
    tries("helm", "uninstall", "flk", "-n", SPACE, "--ignore-not-found", "--wait", "--timeout", "120s")
    k("delete", "namespace", SPACE, "--ignore-not-found", "--timeout=180s")


@contextlib.contextmanager
def stage(row, values=None, chart=CHART, restarts_max=0, expected=frozenset(), base=None):
    """The chart, installed and ready. At the end restarts and Warning events are judged, logs are kept in build/k8s/DRILL, and all goes."""
    clear()
    k("create", "namespace", SPACE)
    k("label", "namespace", SPACE, "pod-security.kubernetes.io/enforce=restricted", "pod-security.kubernetes.io/warn=restricted")
    made = Stage(row, merged(VALUES if base is None else base, values or {}), chart)
    try:
        apply(pod("redis", ["redis-server", "--save", "", "--appendonly", "no", "--protected-mode", "no", "--dir", "/tmp"], "redis:1", "node-1"),
              service("redis", 6379), secret("keys", {"PCS_HMAC_KEY": HMAC_KEY}))
        k("-n", SPACE, "wait", "pod/redis", "--for=condition=Ready", "--timeout=60s")
        _, took = made.upgrade()
        say(f"{row.name}: installed and ready after {took:.1f} s")
        yield made
        row.take_events(made.restarts(), restarts_max, made.warnings(), expected)
    finally:
        made.keep_logs()
        clear()
