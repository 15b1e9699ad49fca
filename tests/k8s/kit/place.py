# SPDX-License-Identifier: MIT
"""Where the cluster's things are, which versions it is made of, and its addresses."""
import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
HERE = ROOT / "tests" / "k8s"
REPORT = ROOT / "build" / "k8s"
DIR = pathlib.Path(os.environ.get("K8S_DIR", REPORT)).resolve()  # programs, images and the state of the cluster
BIN, IMAGES, RUN, SOURCES = DIR / "bin", DIR / "images", DIR / "run", DIR / "src"
PKI = RUN / "pki"
TOOLS = ROOT / "build" / "tools"  # helm and kubectl, as tests/chart fetches them
FLK_BIN = pathlib.Path(os.environ.get("FLK_BIN_DIR", ROOT / "build" / "bin"))

KUBERNETES, METRICS_SERVER, ETCD, COREDNS = "1.34.4", "0.8.0", "3.6.4", "1.14.3"
MONITORING_CRDS = "github.com/prometheus-operator/prometheus-operator@v0.92.1"
KEDA_CRDS = "github.com/kedacore/keda/v2@v2.17.0"

# 198.18.0.0/15 is set aside for tests of networks; here it exists in network namespaces only.
CONTROL_IP = "198.18.0.1"
SERVICE_CIDR, API_SERVICE_IP, DNS_IP = "198.19.0.0/24", "198.19.0.1", "198.19.0.10"
POD_CIDR = "198.18.0.0/16"
NODES = {"node-1": 1, "node-2": 2}
PROMETHEUS = f"http://{CONTROL_IP}:9090"


def node_ip(node):
    return f"198.18.0.{10 + NODES[node]}"


def node_pods(node):
    return f"198.18.{100 + NODES[node]}.0/24"


class Broken(Exception):
    """A drill or the cluster failed: the message says how."""


def say(*words):
    print("k8s:", *words, file=sys.stderr, flush=True)


def call(*command, **options):
    """Runs to its end and gives its output; raises Broken with its last words when it fails."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise Broken(f"{' '.join(map(str, command))[:300]} ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-2000:]}")
    return done.stdout


def until(what, seconds, found, pause=0.3):
    """Waits for a condition with a deadline, and gives its value. A look that fails counts as not yet."""
    end, last = time.monotonic() + seconds, None
    while True:
        try:
            if value := found():
                return value
        except Broken as error:
            last = error
        if time.monotonic() > end:
            raise Broken(f"not within {seconds:.0f} s: {what}{f' ({last})' if last else ''}")
        time.sleep(pause)


def put(path, text):
    """Writes a file, unless it says that already: kube-proxy ends when its configuration is touched."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
