# SPDX-License-Identifier: MIT
"""kubectl and helm, run in the control host's network."""
import json
import os
import subprocess

from .hosts import CONTROL
from .place import PKI, ROOT, RUN, TOOLS, Broken

CHART = ROOT / "helm" / "flk"
ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": str(RUN / "home"), "KUBECONFIG": str(PKI / "admin.conf")}


def tries(tool, *words, text=None, seconds=900):
    """CompletedProcess."""
    return subprocess.run(CONTROL.words(TOOLS / tool, *words, only_network=True), input=text, env=ENVIRONMENT, capture_output=True, text=True,
                          timeout=seconds)


def run(tool, *words, **options):
    done = tries(tool, *words, **options)
    if done.returncode != 0:
        raise Broken(f"{tool} {' '.join(map(str, words))[:200]}: {(done.stderr or done.stdout).strip()[-3000:]}")
    return done


def k(*words, **options):
    return run("kubectl", *words, **options).stdout


def helm(*words, **options):
    return run("helm", *words, **options)


def apply(*objects):
    return k("apply", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))


def get(kind, *words):
    return json.loads(k("get", kind, *words, "-o", "json"))


def items(kind, *words):
    return get(kind, *words)["items"]
