# SPDX-License-Identifier: MIT
"""The parts of the chart that are made: values.schema.json and the table of its README, from values.yaml and `flk settings`; copies
of files of compose/, because a package of the chart holds no links out of it.

generate.py FLK --write writes them, generate.py FLK tells whether they are as they should be. FLK is the built program.
"""
import json
import pathlib
import re
import subprocess
import sys

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
BEGIN, END = "<!-- values -->\n", "<!-- /values -->\n"

# File of the chart -> its source in compose/.
COPIES = {"flk.json": "grafana/dashboards/flk.json", "flk.rules.yml": "prometheus/flk.rules.yml", "caddy/Caddyfile.hop": "caddy/Caddyfile.hop",
          **{f"caddy/{part}": f"caddy/parts/{part}" for part in ("options", "paths", "transport", "upstream")}}

# Settings that the chart gives by itself, from other values.
OWNED = {"FLK_HTTP_LISTEN", "FLK_FOLLOW_LISTEN", "FLK_HTTP_BEHIND_PROXY", "FLK_ZMQ_LISTEN", "FLK_FRONTENDS", "FLK_BACKENDS", "FLK_ADMIN_LISTEN",
         "FLK_PLAINTEXT", "FLK_DATA_DIR", "FLK_CURVE_KEY_FILE", "FLK_CURVE_DIR", "FLK_WORKER_THREADS", "FLK_PG_AUTO_MIGRATE",
         "FLK_POLICY_FILE", "DEDUP_BACKEND", "TOKEN_RATE", "PCS_SIGN_ALG", "PCS_HMAC_KEY", "PCS_HMAC_KEYS", "PCS_ED25519_PUB_B64",
         "PCS_KEYRING_FILE",
         "METRICS_USER", "METRICS_PASS"}
STORE_SECRETS = ["REDIS_ADDR", "FLK_REDIS_FORMER", "FLK_REDIS_USER", "FLK_REDIS_PASSWORD", "POSTGRES_CONN"]
SETTINGS = {"gateway.settings": "gateway", "gateway.follow.settings": "follow", "broker.settings": "broker", "worker.settings": "worker", "canary.settings": "worker"}


def number(least, most=None):
    return {"type": "integer", "minimum": least} | ({"maximum": most} if most else {})


NAME = {"type": "string", "maxLength": 253, "pattern": "^([a-z0-9]([a-z0-9.-]*[a-z0-9])?)?$"}
DIGEST, URL = ({"type": "string", "pattern": pattern} for pattern in ("^(sha256:[0-9a-f]{64})?$", "^(https?://.+)?$"))
POSITIVE, COUNT, PORT = number(1), number(0), number(1, 65535)
SHARE, AMOUNT = {"type": "number", "minimum": 0, "maximum": 1}, {"type": ["integer", "string"]}
SERVICE, RETENTION = {"enum": ["ClusterIP", "NodePort", "LoadBalancer"]}, {"enum": ["Retain", "Delete"]}

# Types that cannot be told from a default.
EXACT = {
    path: shape for shape, paths in (
        (NAME, ("store.existingSecret", "signing.existingSecret", "signing.testSecret", "metricsBasicAuth.existingSecret",
                "curve.existingSecret", "gateway.handover.curveSecret", "curve.agentsConfigMap", "curve.adminsConfigMap", "gateway.mtlsSidecar.existingSecret",
                "worker.persistence.existingClaim", "serviceAccount.name")),
        (DIGEST, ("image.digest", "canary.image.digest")),
        (URL, ("autoscaling.keda.prometheusAddress", "canary.gate.prometheusAddress")),
        (POSITIVE, ("gateway.replicas", "canary.replicas", "autoscaling.minReplicas", "autoscaling.maxReplicas",
                    "autoscaling.queueDepth.averageValue", "canary.gate.minutes", "canary.gate.minVerdicts")),
        (COUNT, ("worker.replicas",)),
        (PORT, ("gateway.service.port", "gateway.zmq.port")),
        (SHARE, ("canary.gate.escalatedBudget", "canary.gate.unavailableBudget")),
        (AMOUNT, ("worker.maxSurge", "worker.maxUnavailable", "gateway.pdb.maxUnavailable", "broker.pdb.maxUnavailable",
                  "worker.pdb.maxUnavailable")),
        (SERVICE, ("gateway.service.type", "gateway.zmq.type")),
        (RETENTION, ("gateway.persistence.retention.whenDeleted", "gateway.persistence.retention.whenScaled")),
        (number(1, 32), ("broker.replicas",)), (number(1, 1024), ("worker.threads",)), (number(0, 10000000), ("env.tokenRate",)),
        (number(1, 100), ("autoscaling.cpu.averageUtilization",)),
        ({"enum": ["Always", "IfNotPresent", "Never"]}, ("image.pullPolicy",)),
        ({"enum": ["memory", "lmdb", "redis", "postgres"]}, ("env.dedupBackend",)),
        ({"enum": ["job", "auto", "none"]}, ("store.migrate",)), ({"enum": ["hmac", "ed25519"]}, ("signing.alg",)),
        ({"enum": ["ScheduleAnyway", "DoNotSchedule"]}, ("gateway.hostSpread", "broker.hostSpread", "worker.hostSpread")),
        ({"enum": ["none", "hpa", "keda"]}, ("autoscaling.mode",)),
        ({"enum": ["none", "podMonitor", "serviceMonitor"]}, ("monitoring.kind",)),
        ({"type": "array", "uniqueItems": True, "items": {"enum": STORE_SECRETS}}, ("store.secretKeys",)),
        ({"type": "array", "items": PORT}, ("networkPolicy.storePorts",)), ({"type": "array", "items": COUNT}, ("gateway.handover.ordinals",)),
        ({"type": "array", "items": {"type": "string", "minLength": 1}}, ("ingress.hosts",)),
        ({"type": "array", "items": {"type": ["object", "string"]}}, ("extraObjects",)), ({"type": ["object", "string"]}, ("policy",)),
    ) for path in paths}


def settings_table(flk):
    """name -> (programs, limits, help), from the table that `flk settings` prints."""
    printed = subprocess.run([str(flk), "settings"], capture_output=True, text=True, check=True, timeout=30, env={}).stdout
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in printed.splitlines() if line.startswith("| `")]
    return {cells[0].strip("`"): (cells[1].split(", "), cells[3].replace("\\|", "|"), cells[4]) for cells in rows}


def setting_schema(limits):
    numbers = re.search(r"(\d+)\.\.(\d+)$", limits)
    if numbers:
        in_range = number(int(numbers[1]), int(numbers[2]))
        return {"anyOf": [in_range, {"const": "auto"}]} if limits.split(", ")[-1].startswith("auto|") else in_range
    if limits == "0|1":
        return {"enum": [0, 1]}
    if re.fullmatch(r"\w+(\|\w+)+", limits):
        return {"enum": limits.split("|")}
    return {"type": "string"}


def settings_schema(table, program):
    names = {name: setting_schema(limits) | {"description": words} for name, (programs, limits, words) in sorted(table.items())
             if program in programs and name not in OWNED and name not in STORE_SECRETS}
    return {"type": "object", "additionalProperties": False, "properties": names}


def documented(text):
    """path -> its words, for each value that has a `# --` line above it, in the file's order."""
    words, path, described = None, [], {}
    for line in text.splitlines():
        comment, key = re.match(r"\s*# -- (.+)", line), re.match(r"( *)([A-Za-z]\w*):", line)
        if comment:
            words = comment[1]
        elif key:
            path[len(key[1]) // 2:] = [key[2]]
            if words:
                described[".".join(path)] = words
            words = None
    return described


def kind_of(value):
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return {"type": kinds[type(value)]} | ({"minimum": 0} if type(value) is int else {})


def schema_of(values, described, table, prefix=""):
    properties = {}
    for key, value in values.items():
        path = f"{prefix}{key}"
        if path in SETTINGS:
            properties[key] = settings_schema(table, SETTINGS[path])
        elif path in described:
            properties[key] = dict(EXACT.get(path, kind_of(value)))
        else:
            assert isinstance(value, dict), f"values.yaml: {path} has no line that describes it"
            properties[key] = schema_of(value, described, table, f"{path}.")
        if path in described:
            properties[key]["description"] = described[path]
    return {"type": "object", "additionalProperties": False, "properties": properties}


def schema(text, table):
    values, described = yaml.safe_load(text), documented(text)
    unknown = (EXACT.keys() | SETTINGS.keys()) - described.keys()
    assert not unknown, f"values.yaml: no such values: {sorted(unknown)}"
    made = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Values of the chart flk",
            **schema_of(values, described, table)}
    made["properties"]["global"] = {"type": "object", "description": "For charts that have this one as a dependency; unused."}
    return json.dumps(made, indent=1) + "\n"


def value_at(values, path):
    for key in path.split("."):
        values = values[key]
    return values


def values_table(text):
    values = yaml.safe_load(text)
    rows = [f"| `{path}` | `{json.dumps(value_at(values, path))}` | {words} |" for path, words in documented(text).items()]
    return "\n".join(["| Value | Default | What it does |", "|---|---|---|", *rows]) + "\n"


def outputs(flk, root=ROOT):
    """file -> its text as it should be"""
    chart = root / "helm" / "flk"
    text = (chart / "values.yaml").read_text()
    before, rest = (chart / "README.md").read_text().split(BEGIN)
    copies = {chart / "files" / name: (root / "compose" / source).read_text() for name, source in COPIES.items()}
    return {**copies, chart / "values.schema.json": schema(text, settings_table(flk)),
            chart / "README.md": before + BEGIN + values_table(text) + END + rest.split(END)[1]}


def stale(flk, root=ROOT):
    return [file for file, text in outputs(flk, root).items() if not file.exists() or file.is_symlink() or file.read_text() != text]


if __name__ == "__main__":
    program = pathlib.Path(sys.argv[1])
    if "--write" in sys.argv:
        for target, content in outputs(program).items():
            target.parent.mkdir(exist_ok=True)
            target.write_text(content)
    elif stale(program):
        sys.exit(f"stale: {', '.join(map(str, stale(program)))}; run this with --write")
