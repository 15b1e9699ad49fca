# SPDX-License-Identifier: MIT
"""The facts of a compose configuration, for any reader of the files: `docker compose config`, or a plain YAML reader."""
import pathlib
import re

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMBINATIONS = [("compose.yaml",), ("compose.yaml", "compose.caddy.yaml"), ("compose.yaml", "compose.mtls.yaml")]
SERVERS = {"gateway", "broker-1", "broker-2", "worker"}  # the ends of ZeroMQ links
OURS = {"gateway": "G", "follow": "L", "broker-1": "B", "broker-2": "B", "worker": "W", "agent": "A"}
STORES = {"redis", "postgres"}


def settings():
    """name -> letters of its programs"""
    source = re.sub(r"\s*\\\n\s*", " ", (ROOT / "common" / "program" / "settings_table.h").read_text())
    return {name: set(letters.replace(" ", "").split("|")) for name, letters in re.findall(r'X\(\w+, "(\w+)", \w+, ([A-Z |]+),', source)}


def check_service(name, service, config, known):
    environment = service.get("environment") or {}
    for variable in environment:
        plain = variable if variable in known else variable.removesuffix("_FILE")
        if name in OURS and OURS[name] not in known.get(plain, set()):
            yield f"{name}: {variable} is no setting of its program"
        value = environment[variable]
        if isinstance(value, str) and value.startswith("/run/secrets/"):
            secret = value.rsplit("/", 1)[-1]
            mounted = [one["source"] if isinstance(one, dict) else one for one in service.get("secrets", [])]
            if secret not in mounted or secret not in config["secrets"]:
                yield f"{name}: {variable} names the secret {secret}, which is not mounted"
        if re.search(r"PASS|KEY|SECRET|CONN", variable) and not re.search(r"_FILE$|_DIR$|^HOP_KEY$", variable):  # these name files
            yield f"{name}: {variable} carries a secret as plain text"
    if name in SERVERS and ("FLK_PLAINTEXT" in environment or not {"FLK_CURVE_KEY_FILE", "FLK_CURVE_DIR"} <= set(environment)):
        yield f"{name}: its ZeroMQ links are not encrypted"
    if "healthcheck" not in service and name not in OURS:
        yield f"{name}: no health check"  # ours have the image's
    for other, how in (service.get("depends_on") or {}).items():
        if how.get("condition") != "service_healthy":
            yield f"{name}: does not wait until {other} is healthy"
        if other not in config["services"] and how.get("required", True):
            yield f"{name}: depends on {other}, which is not there"
    for port in service.get("ports") or []:
        public = not (port.get("host_ip") if isinstance(port, dict) else str(port).startswith("127.0.0.1"))
        if name in STORES or (public and name != "caddy"):
            yield f"{name}: publishes {port}"
    if service.get("restart") not in ("unless-stopped",) and name != "agent":
        yield f"{name}: is not started again"
    if name in OURS and not (service.get("read_only") and service.get("cap_drop") == ["ALL"] and service.get("user") == "10001:10001"):
        yield f"{name}: may do more than it needs"


def check(config, store):
    """Faults of a resolved configuration."""
    known, services = settings(), config["services"]
    faults = [fault for name, service in services.items() for fault in check_service(name, service, config, known)]
    missing = {"gateway", "follow", "broker-1", "broker-2", "worker", "prometheus", "grafana", store} - services.keys()
    faults += [f"{name} is missing" for name in sorted(missing)]
    faults += [f"network {name} is not internal" for name in ("cluster", "stores") if not config["networks"][name].get("internal")]
    faults += [f"{other} runs though {store} is the store" for other in STORES - {store} if other in services]
    return faults


# ---- without an engine ----

class Loader(yaml.SafeLoader):
    """Compose's own tags are values like others."""


Loader.add_constructor("!reset", lambda loader, node: [])


def read(files, store):
    """The files as `docker compose config` would give them, as far as `check` looks at it."""
    merged = {"services": {}, "secrets": {}, "networks": {}}
    for name in files:
        text = re.sub(r"\$\{(\w+)(?::-([^}]*))?\}", lambda found: found.group(2) or "", (ROOT / "compose" / name).read_text())
        part = yaml.load(text, Loader)
        for kind in ("secrets", "networks"):
            merged[kind].update(part.get(kind) or {})
        for service, more in part["services"].items():
            merged["services"].setdefault(service, {}).update(more)
    for service in list(merged["services"]):
        profiles = merged["services"][service].get("profiles")
        if profiles and store not in profiles and "agent" not in profiles:
            del merged["services"][service]
    return merged
