# SPDX-License-Identifier: MIT
import json

import yaml
from kit import programs
from kit.kubectl import CHART, apply, helm, k, tries
from kit.place import KEDA_CRDS, MONITORING_CRDS, ROOT, until
from kit.stage import RESTRICTED, SPACE, clear

ABOUT = "the API server's strict validation of every file of values"
KINDS = ("podmonitors.monitoring.coreos.com", "servicemonitors.monitoring.coreos.com", "prometheusrules.monitoring.coreos.com",
         "scaledobjects.keda.sh")


def files():
    return [*sorted((ROOT / "tests" / "chart" / "values").glob("*.yaml")), *sorted((CHART / "examples").glob("production.yaml"))]


def install_kinds():
    """The real definitions of the kinds that the chart makes and Kubernetes does not have."""
    monitoring = programs.download(MONITORING_CRDS) / "example" / "prometheus-operator-crd"
    keda = programs.download(KEDA_CRDS) / "config" / "crd" / "bases"
    for name in KINDS:
        kind, _, group = name.partition(".")
        place = keda if group == "keda.sh" else monitoring
        k("apply", "--server-side", "--force-conflicts", "-f", place / f"{group}_{kind}.yaml")
    until("the kinds are served", 30, lambda: k("wait", "--for=condition=Established", "--timeout=2s", *(f"crd/{name}" for name in KINDS)))


def refused(objects, *words):
    done = tries("kubectl", "apply", "--dry-run=server", "--validate=strict", *words, "-f", "-",
                 text=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    return done.stderr if done.returncode != 0 or "Warning" in done.stderr else ""


def check_planted(row, objects):
    """Seen red: a field that does not exist, and a right that the namespace does not give."""
    misspelled = json.loads(json.dumps(next(found for found in objects if found["kind"] == "StatefulSet")))
    misspelled["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    row.check("readynessProbe" in refused([misspelled]), "a misspelled field passed")
    bold = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bold", "namespace": SPACE},
            "spec": {"containers": [{"name": "a", "image": "tools:1", "securityContext": {**RESTRICTED, "allowPrivilegeEscalation": True}}]}}
    row.check("restricted" in refused([bold]), "allowPrivilegeEscalation passed")


def run(row):
    install_kinds()
    clear()
    apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE, "labels": {
        f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}}})
    count = 0
    for file in files():
        text = helm("template", "flk", CHART, "-n", SPACE, "--values", file, "--api-versions", "monitoring.coreos.com/v1").stdout
        objects = [found for found in yaml.safe_load_all(text) if found]
        count += len(objects)
        for words in ([], ["--server-side"]):
            said = refused(objects, *words)
            row.check(not said, f"{file.name}{' '.join(words)}: {said[:500]}")
    row.note(f"{count} objects of {len(files())} files, applied by client and by server: {len(row.faults)} errors or warnings")
    check_planted(row, objects)
    clear()
