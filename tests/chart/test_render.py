# SPDX-License-Identifier: MIT
"""The render of the chart: accepted by helm, kubectl and Kubernetes' schemas, as it was before, and refused where it must be."""
import functools
import json
import re
import subprocess

import jsonschema
import pytest
import yaml
from conftest import BUILD, CHART, HERE, ROOT, VALUES, helm, render, render_text, tool

import generate
import tools

CUSTOM = {"ScaledObject", "PodMonitor", "ServiceMonitor", "PrometheusRule"}  # no schemas in Kubernetes itself
FLK = BUILD / "bin" / "flk"


def masked(text):
    """Without random parts, and without those of another file."""
    text = re.sub(r'(PCS_HMAC_KEY|METRICS_PASS): "?\w+"?', r"\1: made by the chart", text)
    text = re.sub(r"(\n  flk\.json: ).*", r"\1the dashboard", text)
    return re.sub(r"(kind: PrometheusRule\n(?:.*\n)*?  groups:\n)(?:    .*\n)+", r"\1    the rules\n", text)


# helm lint --strict has nothing to say about any of the values.
@pytest.mark.parametrize("name", VALUES)
def test_lint(name):
    done = helm("lint", "--strict", "--quiet", "--values", VALUES[name])
    assert done.returncode == 0, done.stdout + done.stderr


# The render is as it was; a change is looked at, and written with --write-golden.
@pytest.mark.parametrize("name", VALUES)
def test_golden(name, request):
    text = "# SPDX-License-Identifier: MIT\n" + masked(render_text("--values", VALUES[name]))
    text = "".join(line.rstrip() + "\n" for line in text.splitlines())
    golden = HERE / "golden" / f"{name}.yaml"
    if request.config.getoption("--write-golden"):
        golden.write_text(text)
    assert golden.read_text() == text, f"the render of {name} has changed; see pytest --write-golden, and git diff"


@functools.lru_cache
def definitions(version):
    return json.loads((tool(version) / "_definitions.json").read_text())["$defs"]


def faults(document, version):
    """The objections of Kubernetes' schema of its kind."""
    group, _, api = document["apiVersion"].rpartition("/")
    group = f"{group.split('.')[0]}-" if group else ""
    text = (tool(version) / f"{document['kind'].lower()}-{group}{api}.json").read_text()
    schema = json.loads(text.replace("/api/_definitions.json#", "#")) | {"$defs": definitions(version)}
    schema.pop("$id", None)
    return [f"{document['kind']} {document['metadata']['name']}: {error.json_path}: {error.message}"
            for error in jsonschema.Draft7Validator(schema).iter_errors(document)]


# Every object fits the schema that Kubernetes has for its kind, at the oldest version that the chart allows and at later ones, with no
# member that the schema does not know.
@pytest.mark.parametrize("version", tools.VERSIONS)
@pytest.mark.parametrize("name", VALUES)
def test_schemas(name, version):
    checked = 0
    for document in render("--values", VALUES[name], "--kube-version", version):
        if document["kind"] in CUSTOM:
            continue
        assert not faults(document, version)
        checked += 1
    assert checked > 5


# The check above sees a misspelt member.
def test_schemas_refuse():
    document = next(d for d in render() if d["kind"] == "Deployment")
    document["spec"]["template"]["spec"]["enableServiceLink"] = False
    assert any("enableServiceLink" in fault for fault in faults(document, "1.37.0"))


# kubectl decodes every object into its own types. It needs a cluster for a dry run, but not for a label put on locally.
@pytest.mark.parametrize("name", VALUES)
def test_kubectl_decodes(name):
    documents = [d for d in render("--values", VALUES[name]) if d["kind"] not in CUSTOM]
    done = subprocess.run([str(tool("kubectl")), "label", "--local", "-f", "-", "checked=yes", "-o", "json"], text=True, timeout=60,
                          input=yaml.safe_dump_all(documents), capture_output=True, env={"HOME": "/nonexistent"})
    assert done.returncode == 0, done.stderr
    decoder, text, kinds = json.JSONDecoder(), done.stdout.strip(), []
    while text:
        document, end = decoder.raw_decode(text)
        kinds += [d["kind"] for d in document.get("items", [document])]
        text = text[end:].strip()
    assert sorted(kinds) == sorted(d["kind"] for d in documents)


REFUSED = {  # values that are set -> words of the refusal
    "worker.replicas=2": "one pod's own",
    "autoscaling.mode=hpa": "one pod's own",
    "canary.enabled=true": "one pod's own",
    "env.dedupBackend=postgres": "POSTGRES_CONN in store.secretKeys",
    "store.secretKeys={FLK_REDIS_PASSWORD}": "set store.existingSecret",
    "signing.enabled=true,signing.alg=ed25519": "signing.existingSecret with PCS_ED25519_PUB_B64",
    "signing.rotation=true": "PCS_HMAC_KEYS",
    "signing.enabled=true,signing.keyring=true": "keyring.json",
    "curve.enabled=true": "flk keygen",
    "env.dedupBackend=redis,autoscaling.mode=keda": "autoscaling.keda.prometheusAddress",
    "env.dedupBackend=redis,autoscaling.mode=hpa,autoscaling.minReplicas=20": "above autoscaling.maxReplicas",
    "env.dedupBackend=redis,autoscaling.mode=hpa,autoscaling.cpu.enabled=false,autoscaling.queueDepth.enabled=false": "autoscaling needs",
    "env.dedupBackend=redis,autoscaling.mode={hpa,keda}": "autoscaling/mode",
    "autoscaling.mode=both": "autoscaling/mode",
    "autoscaling.enabled=true": "'enabled' not allowed",
    "canary.gate.enabled=true": "canary.gate.prometheusAddress",
    "canary.gate.enabled=true,canary.gate.prometheusAddress=http://p": "nothing to watch",
    "ingress.enabled=true": "ingress.hosts",
    "ingress.enabled=true,ingress.hosts={a},ingress.tls.enabled=false,ingress.mtls.enabled=true": "needs ingress.tls.enabled",
    "ingress.enabled=true,ingress.hosts={a},ingress.mtls.enabled=true": "ingress.mtls.secretName",
    "ingress.enabled=true,ingress.hosts={a},ingress.mtls.enabled=true,ingress.className=traefik": "ingress.mtls.annotations",
    "gateway.mtlsSidecar.enabled=true": "gateway.mtlsSidecar.existingSecret",
    "gateway.terminationGracePeriodSeconds=10": "set it to 25 or more",
    "gateway.terminationGracePeriodSeconds=30,gateway.settings.FLK_REQUEST_TIMEOUT_MS=20000": "set it to 40 or more",
    "worker.terminationGracePeriodSeconds=5": "set it to 21 or more",
    "broker.replicas=0": "broker/replicas",
    "gateway.settings.FLK_HTTP_THREAD=8": "'FLK_HTTP_THREAD' not allowed",
    "gateway.settings.FLK_HTTP_THREADS=3": "FLK_HTTP_THREADS",
    "gateway.settings.FLK_HTTP_LISTEN=x": "'FLK_HTTP_LISTEN' not allowed",
    "gateway.settings.FLK_WORKER_CREDIT=8": "'FLK_WORKER_CREDIT' not allowed",
    "worker.settings.PCS_HMAC_KEY=secret": "'PCS_HMAC_KEY' not allowed",
    "gatway.replicas=3": "'gatway' not allowed",
    "env.dedupBackend=mysql": "env/dedupBackend",
    "image.digest=sha256:12": "image/digest",
    "gateway.service.port=70000": "gateway/service/port",
    "env.tokenRate=-1": "env/tokenRate",
    "monitoring.kind=both": "monitoring/kind",
}


# Values that cannot work, or that nobody knows, are refused with a line that says why.
@pytest.mark.parametrize("given", REFUSED)
def test_refused(given):
    done = helm("template", "release", "--set", given)
    assert done.returncode != 0, f"{given} was accepted"
    assert REFUSED[given] in done.stderr, done.stderr


# The playbook's toggles work on the command line as they are written there.
def test_playbook_toggles():
    documents = render("--set", "signing.enabled=true", "--set", "signing.alg=hmac", "--set", "metricsBasicAuth.enabled=true",
                       "--set", "env.dedupBackend=redis")
    worker = next(d for d in documents if d["kind"] == "Deployment")["spec"]["template"]["spec"]["containers"][0]
    env = {variable["name"]: variable["value"] for variable in worker["env"]}
    assert env["PCS_SIGN_ALG"] == "hmac" and env["DEDUP_BACKEND"] == "redis" and env["REDIS_ADDR"] == "redis:6379"
    assert {"PCS_HMAC_KEY_FILE", "METRICS_USER_FILE", "METRICS_PASS_FILE"} <= env.keys()


# The notes of an installation say how to go on, and warn of open doors.
def test_notes():
    done = helm("install", "release", "--dry-run=client", "--namespace", "space")
    assert done.returncode == 0, done.stderr
    notes = done.stdout.partition("NOTES:")[2]
    for words in ("helm -n space test release", "Warnings:", "Signatures are not verified", "not encrypted", "flk-client=true"):
        assert words in notes, notes
    done = helm("install", "release", "--dry-run=client", "--values", VALUES["production"])
    assert done.returncode == 0 and "https://api.example.com/v1/pcs/submit" in done.stdout, done.stderr
    assert "Signatures are not verified" not in done.stdout and "not encrypted" not in done.stdout


# A packaged chart has the rules and the dashboard.
def test_package(tmp_path):
    done = helm("package", "--destination", tmp_path)
    assert done.returncode == 0, done.stderr
    packed = next(tmp_path.glob("flk-*.tgz"))
    done = helm("template", "release", "--set", "monitoring.rules.enabled=true,monitoring.dashboard.enabled=true", chart=packed)
    assert done.returncode == 0 and "FlkStoreOutage" in done.stdout and "flk_dlq_records" in done.stdout, done.stderr


# The schema and the README's table are those that values.yaml and the programs make; rules, dashboard and Caddyfile are compose's.
def test_generated():
    assert not generate.stale(FLK), f"run: python3 tests/chart/generate.py {FLK.relative_to(ROOT)} --write"


# The examples that the README names are there, and all that a package of the chart needs is in it.
def test_files():
    assert not [path for path in CHART.rglob("*") if path.is_symlink()]
    assert list(yaml.safe_load_all((CHART / "examples" / "secrets.sops.yaml").read_text()))
    rules = next(d for d in render("--set", "monitoring.rules.enabled=true,monitoring.rules.runbookBase=https://x/y")
                 if d["kind"] == "PrometheusRule")
    alerts = [rule for group in rules["spec"]["groups"] for rule in group["rules"] if "alert" in rule]
    assert len(alerts) > 20 and all(rule["annotations"]["runbook_url"].startswith("https://x/y#") for rule in alerts)


def objects(kind, *arguments):
    return {item["metadata"]["name"]: item for item in render(*arguments) if item["kind"] == kind}


def environment(item):
    return {entry["name"]: entry.get("value") for entry in item["spec"]["template"]["spec"]["containers"][0]["env"]}


# Each broker has a Service of its own, which picks its one pod, and that is the address of every link.
def test_a_service_a_broker():
    services = objects("Service", "--set", "broker.replicas=3")
    links = environment(objects("StatefulSet", "--set", "broker.replicas=3")["release-flk-gateway"])["FLK_FRONTENDS"].split(",")
    assert len(links) == 3
    for number, link in enumerate(links):
        service = services[f"release-flk-broker-{number}"]["spec"]
        assert link == f"tcp://release-flk-broker-{number}.space.svc.cluster.local:5555"
        assert service["selector"]["statefulset.kubernetes.io/pod-name"] == f"release-flk-broker-{number}"
        assert "clusterIP" not in service and service["publishNotReadyAddresses"]


# A policy comes as the members of its JSON form or as a text of the policy language, which the workers get word by word.
def test_policy_forms():
    text = (ROOT / "compose" / "default.flk").read_text()
    shown = objects("ConfigMap", "--set-file", f"policy={ROOT / 'compose' / 'default.flk'}")["release-flk-policy"]
    assert shown["data"]["policy.json"] == text
    members = objects("ConfigMap", "--set", "policy.version=strict-2", "--set-json", "policy.tolD=0.1")["release-flk-policy"]
    assert json.loads(members["data"]["policy.json"]) == {"version": "strict-2", "tolD": 0.1}


# The next broker of a rollout goes when everybody can have found the last one: not at once when it listens.
def test_brokers_roll_slowly():
    def seconds(*arguments):
        return objects("StatefulSet", *arguments)["release-flk-broker"]["spec"]["minReadySeconds"]
    assert seconds() >= 10
    assert seconds("--set", "broker.minReadySeconds=40") == 40


# With an autoscaler the Deployment begins with the least number, never without one, which would be 1.
def test_autoscaling_never_lowers():
    arguments = ("--set", "env.dedupBackend=redis", "--set", "autoscaling.mode=hpa", "--set", "autoscaling.minReplicas=7",
                 "--set", "autoscaling.maxReplicas=9")
    assert objects("Deployment", *arguments)["release-flk-worker"]["spec"]["replicas"] == 7


# A role that must not share a node lets its pods wait; zones are only preferred.
@pytest.mark.parametrize("role, kind, name", [("gateway", "StatefulSet", "release-flk-gateway"), ("broker", "StatefulSet", "release-flk-broker"),
                                              ("worker", "Deployment", "release-flk-worker")])
def test_host_spread(role, kind, name):
    def constraints(*arguments):
        return [(each["topologyKey"], each["whenUnsatisfiable"])
                for each in objects(kind, *arguments)[name]["spec"]["template"]["spec"]["topologySpreadConstraints"]]
    loose = [("kubernetes.io/hostname", "ScheduleAnyway"), ("topology.kubernetes.io/zone", "ScheduleAnyway")]
    assert constraints() == loose
    assert constraints("--set", f"{role}.hostSpread=DoNotSchedule") == [("kubernetes.io/hostname", "DoNotSchedule"), loose[1]]


# Prometheus is let in by networkPolicy.monitoring alone, for any way of finding the pods.
@pytest.mark.parametrize("kind", ["none", "podMonitor"])
def test_monitoring_is_let_in(kind):
    arguments = ("--set", f"monitoring.kind={kind}")
    for role, port in (("gateway", 8080), ("broker", 8081), ("worker", 8082)):
        ingress = objects("NetworkPolicy", *arguments)[f"release-flk-{role}"]["spec"].get("ingress", [])
        monitored = [rule for rule in ingress if "monitoring" in json.dumps(rule["from"])]
        assert [rule["ports"] for rule in monitored] == [[{"protocol": "TCP", "port": port}]], role
        ingress = objects("NetworkPolicy", *arguments, "--set", "networkPolicy.monitoring=null")[f"release-flk-{role}"]["spec"].get("ingress", [])
        assert not any("monitoring" in json.dumps(rule["from"]) for rule in ingress)


# Every program listens on both IP families, on any cluster; Services have those that the values say.
def test_ip_families():
    arguments = ("--set", "ipFamilyPolicy=SingleStack", "--set", "ipFamilies={IPv6}")
    assert {(service["spec"].get("ipFamilyPolicy"), *service["spec"].get("ipFamilies", [])) for service in objects("Service", *arguments).values()} \
        == {("SingleStack", "IPv6")}
    listens = [value for kind in ("StatefulSet", "Deployment") for item in objects(kind).values()
               for name, value in environment(item).items() if "LISTEN" in name or value.startswith("tcp://") and ".svc." not in value]
    assert len(listens) == 6 and all(value.removeprefix("tcp://").startswith("*:") for value in listens), listens
