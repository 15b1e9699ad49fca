# SPDX-License-Identifier: MIT
"""The compose files and the Dockerfile as text; ./run image and ./run compose-test run them on an engine."""
import re
import sys

import pytest

from harness.process import ROOT, run, sanitized

sys.path.insert(0, str(ROOT / "tests" / "ship"))
import facts  # noqa: E402

pytestmark = pytest.mark.skipif(sanitized(), reason="the files are the same in every build")


# Every combination of files and stores: secrets mounted where they are named, names of settings that exist, nothing published
# that must not be, everybody waits for health.
@pytest.mark.parametrize("store", ["redis", "postgres"])
@pytest.mark.parametrize("files", facts.COMBINATIONS, ids=lambda files: "+".join(files))
def test_configuration(files, store):
    faults = facts.check(facts.read(files, store), store)
    assert not faults, "\n".join(faults)


# The check sees each kind of fault when it is planted.
@pytest.mark.parametrize("fault, word", [
    (lambda services: services["worker"]["environment"].update(FLK_FRONTENDS="x"), "no setting of its program"),
    (lambda services: services["worker"]["secrets"].remove("pcs_hmac_key"), "not mounted"),
    (lambda services: services["gateway"]["environment"].update(METRICS_PASS="x"), "plain text"),
    (lambda services: services["redis"].update(ports=["127.0.0.1:6379:6379"]), "publishes"),
    (lambda services: services["gateway"].update(ports=["8080:8080"]), "publishes"),
    (lambda services: services["gateway"]["depends_on"].update({"broker-1": {"condition": "service_started"}}), "does not wait"),
    (lambda services: services["worker"]["environment"].update(FLK_PLAINTEXT="1"), "not encrypted"),
    (lambda services: services["broker-1"]["environment"].pop("FLK_CURVE_KEY_FILE"), "not encrypted"),
    (lambda services: services["redis"].pop("healthcheck"), "no health check"),
    (lambda services: services["broker-2"].pop("read_only"), "more than it needs"),
    (lambda services: services.pop("prometheus"), "missing"),
])
def test_check_sees(fault, word):
    config = facts.read(("compose.yaml",), "redis")
    assert not facts.check(config, "redis")
    fault(config["services"])
    assert any(word in one for one in facts.check(config, "redis")), facts.check(config, "redis")


def packages(text):
    return set(re.findall(r"[a-z0-9][a-z0-9.+|-]+", text))


# The Dockerfile builds with the packages that ./run build installs; user, health and process 1 are as promised.
def test_dockerfile():
    text = (ROOT / "compose" / "Dockerfile").read_text()
    listed = re.search(r"^build_packages=\((.*?)\)", (ROOT / "run").read_text(), re.M | re.S).group(1).replace("'", "")
    installed = packages(re.search(r"install -y --no-install-recommends (.*?) &&", text.replace("\\\n", ""), re.S).group(1))
    for spec in listed.split():
        assert set(spec.split("|")) & installed, f"the Dockerfile lacks {spec}"
    assert installed <= packages(listed.replace("|", " ")) | {"dpkg-dev"}, installed
    assert re.search(r"^USER \d+:\d+$", text, re.M) and re.search(r"^HEALTHCHECK .*flk\", \"healthcheck\"\]$", text, re.M)
    assert 'ENTRYPOINT ["/usr/bin/tini", "--", "/usr/bin/flk"]' in text
    assert re.findall(r"^FROM (\S+)", text, re.M) == ["debian:trixie-slim"] * 2


# The original project's environment: each program takes the settings that are its own, and the agent its three. Its example secrets are
# refused but on a developer's machine.
def test_playbook_environment(tmp_path):
    backend = dict(line.split("=") for line in """DEDUP_BACKEND=redis REDIS_ADDR=redis:6379 TOKEN_RATE=100 METRICS_USER=ops
        METRICS_PASS=change-me PCS_SIGN_ALG=hmac PCS_HMAC_KEY=supersecret""".split())
    agent = {"PCS_SIGN_ALG": "hmac", "PCS_HMAC_KEY": "supersecret", "ENDPOINT": "https://api.example.com/v1/pcs/submit"}
    refused = run("flk-worker", "--check", env=backend)
    assert refused.returncode == 2 and "PCS_HMAC_KEY" in refused.stderr, refused
    said = "".join(run(f"flk-{program}", "--check", env={**backend, "FLK_DEV": "1"}).stdout for program in ("gateway", "worker"))
    for name, value in backend.items():
        assert re.search(rf"^{name}=({re.escape(value)}|\*\*\*\*)$", said, re.M), name
    done = run("flk", "agent", "status", "--json", env={**agent, "FLK_DEV": "1", "FLK_DATA_DIR": tmp_path})
    assert done.returncode == 0, done
    known = facts.settings()
    in_files = {"METRICS_PASS": "METRICS_PASS_FILE", "PCS_HMAC_KEY": "PCS_HMAC_KEY_FILE"}
    services = facts.read(("compose.yaml",), "redis")["services"]
    for name in backend:
        assert name in known and any(in_files.get(name, name) in (service.get("environment") or {}) for service in services.values()), name
