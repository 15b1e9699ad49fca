# SPDX-License-Identifier: MIT
"""Properties of the chart's render, for any values: restricted pods, nothing unreachable, nothing reachable in vain, and an
environment that the programs themselves accept."""
import base64
import json
import pathlib
import re
import subprocess
import sys

import nacl.signing
import pytest
from conftest import BUILD, ROOT, VALUES, render

import generate

sys.path.insert(0, str(ROOT / "tests" / "integration"))

from harness import pcs as reference  # noqa: E402
from harness.cluster import Cluster  # noqa: E402
from harness.process import environment  # noqa: E402

BIN = BUILD / "bin"
PUBLIC_KEY = base64.b64encode(bytes(nacl.signing.SigningKey(bytes(32)).verify_key)).decode()
SECRETS = {"PCS_HMAC_KEY": "a key of the tests", "PCS_HMAC_KEYS": "an old key of the tests,one that is older", "PCS_ED25519_PUB_B64": PUBLIC_KEY,
           "METRICS_USER": "ops", "METRICS_PASS": "pass", "FLK_REDIS_PASSWORD": "pass", "POSTGRES_CONN": "host=db dbname=flk",
           "keyring.json": json.dumps({"keys": [{"id": "a", "alg": "ed25519", "public_key": PUBLIC_KEY}]})}
GATE = "canary-gate"  # the one container without a program of ours


def of_kind(objects, *kinds):
    return [document for document in objects if document["kind"] in kinds]


def pods(objects):
    """(component, metadata, spec, object) of every pod and pod template."""
    for document in of_kind(objects, "StatefulSet", "Deployment", "Job", "Pod"):
        template = document if document["kind"] == "Pod" else document["spec"]["template"]
        yield template["metadata"]["labels"]["app.kubernetes.io/component"], template["metadata"], template["spec"], document


def containers(objects):
    for component, _, spec, document in pods(objects):
        for container in spec["containers"]:
            yield component, container, spec, document


def selects(selector, labels):
    return selector.items() <= labels.items()


def env_of(container):
    names = [variable["name"] for variable in container.get("env", [])]
    assert len(names) == len(set(names)), f"twice: {names}"
    return {variable["name"]: variable.get("value") for variable in container.get("env", [])}


# Every pod fits the restricted Pod Security Standard, cannot write its root file system, has no token and no Service links.
def test_restricted(objects):
    seen = 0
    for component, _, spec, _ in pods(objects):
        seen += 1
        security = spec["securityContext"]
        assert security["runAsNonRoot"] is True and security["runAsUser"] > 0, component
        assert security["seccompProfile"]["type"] == "RuntimeDefault", component
        assert spec["automountServiceAccountToken"] is False and spec["enableServiceLinks"] is False, component
        assert not any(spec.get(name) for name in ("hostNetwork", "hostPID", "hostIPC", "initContainers")), component
        assert not any("hostPath" in volume for volume in spec.get("volumes", [])), component
        for container in spec["containers"]:
            own = container["securityContext"]
            assert own["allowPrivilegeEscalation"] is False and own["readOnlyRootFilesystem"] is True, container["name"]
            assert own["capabilities"] == {"drop": ["ALL"]} and "privileged" not in own, container["name"]
            assert not any("hostPort" in port for port in container.get("ports", [])), container["name"]
    assert seen >= 4


# Every container has requests and limits; those that serve have probes of three depths.
def test_resources_and_probes(objects):
    for component, container, spec, document in containers(objects):
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys(), component
        assert "memory" in container["resources"]["limits"], component
        if document["kind"] in ("StatefulSet", "Deployment"):
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                assert probe in container, f"{component}/{container['name']} has no {probe}"
            if container["name"] == component:
                paths = [container[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")]
                assert paths == ["/healthz", "/healthz", "/readyz"]
                ports = {port["name"] for port in container["ports"]}
                assert all(container[probe]["httpGet"]["port"] in ports for probe in ("startupProbe", "livenessProbe", "readinessProbe"))


# The grace covers preStop, the deadline of waiting clients, and something on top.
def test_grace(objects):
    for component, container, spec, document in containers(objects):
        if document["kind"] not in ("StatefulSet", "Deployment"):
            continue
        hook = container.get("lifecycle", {}).get("preStop", {})
        pause = hook["sleep"]["seconds"] if "sleep" in hook else int(hook["exec"]["command"][1]) if hook else 0
        env = env_of(container)
        drain = {"gateway": int(env.get("FLK_REQUEST_TIMEOUT_MS", 5000)) / 1000,
                 "worker": 5 + int(env.get("FLK_STORE_TIMEOUT_MS", 1000)) / 1000}.get(component, 0)
        assert spec["terminationGracePeriodSeconds"] > pause + drain, component


# Every Service leads to pods whose containers have its ports, every monitor to ports that exist, every disruption budget and every
# scaler to something.
def test_nothing_leads_nowhere(objects):
    templates = [(metadata["labels"], {port["name"]: port["containerPort"] for c in spec["containers"] for port in c.get("ports", [])})
                 for _, metadata, spec, document in pods(objects) if document["kind"] in ("StatefulSet", "Deployment")]
    named = {f"{document['metadata']['name']}-{i}" for document in of_kind(objects, "StatefulSet") for i in range(document["spec"]["replicas"])}
    services = of_kind(objects, "Service")
    for service in services:
        selector = dict(service["spec"]["selector"])
        assert selector.pop("statefulset.kubernetes.io/pod-name", None) in {None, *named}, service["metadata"]["name"]
        behind = [ports for labels, ports in templates if selects(selector, labels)]
        assert behind, service["metadata"]["name"]
        for port in service["spec"]["ports"]:
            assert all(port["targetPort"] in ports for ports in behind), (service["metadata"]["name"], port)
    for monitor in of_kind(objects, "PodMonitor"):
        behind = [ports for labels, ports in templates if selects(monitor["spec"]["selector"]["matchLabels"], labels)]
        assert behind and all(monitor["spec"]["podMetricsEndpoints"][0]["port"] in ports for ports in behind), monitor
    for monitor in of_kind(objects, "ServiceMonitor"):
        wanted, port = monitor["spec"]["selector"]["matchLabels"], monitor["spec"]["endpoints"][0]["port"]
        exact = [s["metadata"]["name"] for s in services if selects(wanted, s["metadata"]["labels"])
                 and any(p["name"] == port for p in s["spec"]["ports"])]
        assert len(exact) == 1, f"{monitor['metadata']['name']}: scraped through {exact}"
    for budget in of_kind(objects, "PodDisruptionBudget"):
        assert any(selects(budget["spec"]["selector"]["matchLabels"], labels) for labels, _ in templates)
    workloads = {(document["kind"], document["metadata"]["name"]): document for _, _, _, document in pods(objects)}
    for scaler in of_kind(objects, "HorizontalPodAutoscaler", "ScaledObject"):
        target = scaler["spec"]["scaleTargetRef"]
        least = scaler["spec"].get("minReplicas", scaler["spec"].get("minReplicaCount"))
        assert workloads[target["kind"], target["name"]]["spec"]["replicas"] == least, "nothing is live here, so the least number"
    for document in of_kind(objects, "StatefulSet"):
        assert document["spec"]["serviceName"] in [s["metadata"]["name"] for s in services if s["spec"].get("clusterIP") == "None"]


# No workload selects another's pods; names are those of the release; hooks apart, everything is in its namespace.
def test_identity(objects):
    workloads = of_kind(objects, "StatefulSet", "Deployment")
    for document in workloads:
        selector = document["spec"]["selector"]["matchLabels"]
        chosen = [name["metadata"]["name"] for name in workloads if selects(selector, name["spec"]["template"]["metadata"]["labels"])]
        assert chosen == [document["metadata"]["name"]], f"{document['metadata']['name']} selects {chosen}"
    names = [(document["kind"], document["metadata"]["name"]) for document in objects]
    assert len(names) == len(set(names))
    for document in objects:
        assert len(document["metadata"]["name"]) <= 63
        if not document["metadata"]["name"].endswith("beside"):
            assert document["metadata"]["namespace"] == "space", document["metadata"]


# A pod mounts volumes of its own; the source of a volume is made by the chart, or was given as existing.
def test_references(objects):
    made = {(document["kind"], document["metadata"]["name"]) for document in objects}
    given = {"flk-store", "flk-signing", "flk-metrics", "flk-curve", "flk-agents", "flk-admins", "db", "keys", "test-keys", "gateway-tls", "store",
             "data-release-flk-gateway-2"}
    for component, container, spec, document in containers(objects):
        volumes = {volume["name"]: volume for volume in spec.get("volumes", [])}
        claims = {claim["metadata"]["name"] for claim in document.get("spec", {}).get("volumeClaimTemplates", [])}
        mounted = [mount["name"] for mount in container.get("volumeMounts", [])]
        assert set(mounted) <= volumes.keys() | claims, component
        for volume in volumes.values():
            for kind, key, field in (("Secret", "secret", "secretName"), ("ConfigMap", "configMap", "name"),
                                     ("PersistentVolumeClaim", "persistentVolumeClaim", "claimName")):
                name = volume.get(key, {}).get(field)
                assert not name or (kind, name) in made or name in given, (component, volume)
            assert volume.get("secret", {"defaultMode": 0o440})["defaultMode"] == 0o440, (component, volume)
        every = {mount["name"] for other in spec["containers"] for mount in other.get("volumeMounts", [])}
        assert volumes.keys() <= every, f"{component} has volumes that nobody mounts: {volumes.keys() - every}"


# Every name in the environment of a program of ours is a setting of that program, or NAME_FILE of one.
def test_environment_names(objects):
    table = generate.settings_table(BIN / "flk")
    for component, container, _, _ in containers(objects):
        if component == GATE or container["name"] == "caddy":
            continue
        program = container["command"][0].removeprefix("flk-")
        for name in env_of(container).keys() - {"TZ"}:
            base = name if name in table else name.removesuffix("_FILE")
            assert base in table and program in table[base][0], f"{component}: {name} is no setting of {program}"


def at_home(value, directory, secrets):
    """A value with the pod's paths put into a directory; files of secrets are made there."""
    value = re.sub(r"^/(data|etc/flk)", str(directory / r"\1"), value)
    file = pathlib.Path(value)
    if file.is_relative_to(directory) and file.name in secrets:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(secrets[file.name])
        file.chmod(0o440)
    return value


# Each program accepts its environment, values and files, as its --check tells; a broken value is refused.
def test_environment_is_accepted(objects, tmp_path):
    secrets = dict(SECRETS)
    for role in ("gateway", "broker", "worker"):
        subprocess.run([BIN / "flk", "keygen", "--dir", tmp_path, role], check=True, env=environment(), capture_output=True)
        secrets[f"{role}.key"] = (tmp_path / f"{role}.key").read_text()
    for config in of_kind(objects, "ConfigMap"):
        secrets.update({name: text for name, text in config.get("data", {}).items() if name == "policy.json"})
    checked = set()
    for component, container, _, _ in containers(objects):
        if component not in ("gateway", "broker", "worker") or container["name"] == "caddy":
            continue
        env = {name: at_home(value, tmp_path, secrets) for name, value in env_of(container).items()}
        (tmp_path / "etc/flk/curve").mkdir(parents=True, exist_ok=True)
        program = BIN / container["command"][0]
        done = subprocess.run([program, "--check"], env=environment(env), capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, (component, done.stderr)
        broken = subprocess.run([program, "--check"], env=environment({**env, "FLK_LOG_LEVEL": "loud"}), capture_output=True, timeout=30)
        assert broken.returncode != 0
        checked.add(component)
    assert checked == {"gateway", "broker", "worker"}


# Every gateway and every worker has a link to every broker, by the name of that broker's own Service.
def test_brokers_are_all_named(objects):
    broker = next(d for d in of_kind(objects, "StatefulSet") if d["metadata"]["labels"]["app.kubernetes.io/component"] == "broker")
    hosts = [f"{broker['metadata']['name']}-{i}.space.svc.cluster.local" for i in range(broker["spec"]["replicas"])]
    for component, container, _, _ in containers(objects):
        env = env_of(container)
        if component == "gateway" and container["name"] == "gateway":
            assert env["FLK_FRONTENDS"] == ",".join(f"tcp://{host}:5555" for host in hosts)
        elif component == "worker":
            assert env["FLK_BACKENDS"] == ",".join(f"tcp://{host}:5556" for host in hosts)


def peer_name(peer):
    labels = peer.get("podSelector", {}).get("matchLabels", {})
    return labels.get("app.kubernetes.io/component") or json.dumps(peer, sort_keys=True)


def edges(objects):
    """{(component, "in"|"out", peer, port)}; a rule without peers is for anybody, one without ports for any."""
    found = set()
    for policy in of_kind(objects, "NetworkPolicy"):
        component = policy["spec"]["podSelector"]["matchLabels"].get("app.kubernetes.io/component", "*")
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
        for way, rules, side in (("in", policy["spec"].get("ingress", []), "from"), ("out", policy["spec"].get("egress", []), "to")):
            for rule in rules:
                for peer in [peer_name(peer) for peer in rule.get(side, [])] or ["anybody"]:
                    for port in [port["port"] for port in rule.get("ports", [])] or ["any"]:
                        found.add((component, way, peer, port))
    return found


# NetworkPolicies deny everything, and let through exactly the edges that the values need; both ends of an inner edge agree.
@pytest.mark.parametrize("name", VALUES)
def test_network_policies(name):
    objects = render("--values", VALUES[name])
    found, policies = edges(objects), of_kind(objects, "NetworkPolicy")
    if name == "small":
        assert not policies
        return
    assert any(set(policy["spec"]["podSelector"]["matchLabels"]) == {"app.kubernetes.io/name", "app.kubernetes.io/instance"}
               and "ingress" not in policy["spec"] and "egress" not in policy["spec"] for policy in policies), "no default deny"
    dns, watcher, controller = ('{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "%s"}}}' % space
                                for space in ("kube-system", "monitoring", "ingress-nginx"))
    client = '{"podSelector": {"matchLabels": {"flk-client": "true"}}}'
    redis = '{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "redis"}}}'
    door = 8443 if name == "sidecar" else 8080
    want = {("gateway", "out", "broker", 5555), ("broker", "in", "gateway", 5555), ("worker", "out", "broker", 5556),
            ("broker", "in", "worker", 5556), ("test", "out", "gateway", 8080), ("gateway", "in", "test", 8080),
            ("gateway", "in", client, door), ("gateway", "in", client, 5550),
            ("gateway", "in", watcher, 8080), ("broker", "in", watcher, 8081), ("worker", "in", watcher, 8082)}
    named = {"gateway", "worker", "test"}
    if name in ("production", "sidecar"):
        want |= {("gateway", "in", controller, door), ("gateway", "in", watcher, 8084)}
    if name == "sidecar":
        want.add(("gateway", "in", '{"podSelector": {"matchLabels": {"flk-feed": "true"}}}', 8084))
    if name == "production":
        want.add(("worker", "out", redis, 6379))
    if name == "playbook":
        want.add(("worker", "out", "anybody", 6379))
    if name == "keda-canary":
        want |= {("worker", "out", "anybody", 5432), ("migrate", "out", "anybody", 5432), (GATE, "out", watcher, "any"),
                 ("handover", "out", "gateway", 5550), ("gateway", "in", "handover", 5550)}
        named |= {"migrate", "handover", GATE}
    want |= {(component, "out", dns, 53) for component in named}
    assert found == want, f"needless {sorted(found - want)}, missing {sorted(want - found)}"
    open_ports = {component: {port["containerPort"] for c in spec["containers"] for port in c.get("ports", [])}
                  for component, _, spec, _ in pods(objects)}
    assert all(port in open_ports[component] for component, way, _, port in found if way == "in")


# The pod of helm test works, against a real cluster: its PCS is accepted.
def test_helm_test_submits(tmp_path):
    objects = render("--values", VALUES["playbook"])
    pod = next(d for d in of_kind(objects, "Pod"))
    container = pod["spec"]["containers"][0]
    points = next(d for d in of_kind(objects, "ConfigMap") if "points.csv" in d["data"])["data"]["points.csv"]
    (tmp_path / "points.csv").write_text(points)
    with Cluster() as cluster:
        env = {name: at_home(value, tmp_path, {"PCS_HMAC_KEY": reference.HMAC_KEY}) for name, value in env_of(container).items()}
        env["ENDPOINT"] = "http://%s:%d/v1/pcs/submit" % cluster.gateway.http
        command = [str(BIN / container["command"][0]), *container["command"][1:-1], str(tmp_path / "points.csv")]
        done = subprocess.run(command, env=environment(env), capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["accepted"] == 1, done.stdout
