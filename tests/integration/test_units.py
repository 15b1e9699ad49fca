# SPDX-License-Identifier: MIT
"""flk beside an installed package: --unit gives a command the environment of a unit, from the packaged files; status finds every process."""
import json
import re

import pytest

from harness import pcs
from harness.cluster import Cluster
from harness.process import ROOT, free_port, run

PACKAGE = ROOT / "compose" / "package"


class Installed:
    """The packaged units and environment files, in a root of their own, for a cluster that runs by them."""

    def __init__(self, directory):
        self.units, self.etc, self.lib = directory / "units", directory / "etc", directory / "lib"
        self.units.mkdir()
        self.etc.mkdir()
        for path in (PACKAGE / "systemd").glob("flk*"):
            text = path.read_text().replace("@hardening@", "").replace("/etc/flk", str(self.etc)).replace("/var/lib/flk", str(self.lib))
            (self.units / path.name.removesuffix(".in")).write_text(text)
        for path in (PACKAGE / "env").glob("*.env"):
            (self.etc / path.name).write_text(path.read_text())
        self.cluster = Cluster(workers=2, env={"FLK_DATA_DIR": self.lib})
        gateway, broker = self.cluster.gateway, self.cluster.broker
        self.append("gateway.env", FLK_HTTP_LISTEN="%s:%d" % gateway.http, FLK_ZMQ_LISTEN=gateway.zmq, FLK_FRONTENDS=broker.frontend)
        self.append("broker.env", FLK_FRONTENDS=broker.frontend, FLK_BACKENDS=broker.backend)
        (self.etc / "key").write_text(pcs.HMAC_KEY + "\n")
        (self.etc / "key").chmod(0o600)
        self.append("worker.env", FLK_BACKENDS=broker.backend, PCS_SIGN_ALG="hmac", PCS_HMAC_KEY_FILE=self.etc / "key")
        self.names = ["flk-gateway", f"flk-broker@{broker.admin[1]}", *(f"flk-worker@{worker.admin[1]}" for worker in self.cluster.workers)]
        wants = self.units / "flk.target.wants"  # as systemctl enable makes it
        wants.mkdir()
        (self.units / "flk.target").write_text("[Unit]\nDescription=flk\n")
        for name in self.names:
            (wants / f"{name}.service").symlink_to(self.units / re.sub("@.*", "@", name + ".service"))
        self.env = {"SYSTEMD_UNIT_PATH": self.units, "FLK_WORKER_THREADS": "nonsense"}  # a unit's environment holds nothing of ours

    def append(self, name, **settings):
        with open(self.etc / name, "a") as file:
            file.writelines(f"{setting}={value}\n" for setting, value in settings.items())

    def run(self, *args, env=None, **more):
        return run("flk", *args, env={**self.env, **(env or {})}, **more)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    one = Installed(tmp_path_factory.mktemp("installed"))
    with one.cluster:
        one.sent = pcs.Factory(1, escalate_every=0).make()
        assert one.cluster.http().submit(one.sent).status == 200
        yield one


# On a healthy installation the doctor finds no fault with any unit, and looks at that unit's program alone.
def test_doctor(installed):
    for name in installed.names:
        done = installed.run("doctor", "--json", "--unit", name, seconds=60)
        report = json.loads(done.stdout)
        assert done.returncode == 0 and report["faults"] == 0, done
        programs = [found["text"] for found in report["findings"] if found["check"] == "settings"]
        assert programs == [name.removeprefix("flk-").split("@")[0]], report


# The log, the dead letters and the store are found where the unit has them, wherever --unit stands.
def test_log_and_store(installed):
    listed = installed.run("--unit", "flk-gateway", "wal", "list", "--json")
    assert listed.returncode == 0 and json.loads(listed.stdout)["pcs_id"] == installed.sent["pcs_id"], listed
    assert installed.run("wal", "verify", "--unit", "flk-gateway").returncode == 0
    assert installed.run("dlq", "list", "--unit=flk-gateway.service").returncode == 0
    for name in installed.names[2:]:
        outcome = installed.run("store", "get", installed.sent["pcs_id"], "--unit", name)
        assert outcome.returncode == 0 and json.loads(outcome.stdout)["status"] == 200, outcome
    assert installed.run("store", "check", "--unit", installed.names[2]).returncode == 0
    assert installed.run("healthcheck", "--unit", installed.names[1], "broker").returncode == 0


# status without a word shows the units where flk up runs nothing; --units always, --unit that one.
def test_status_of_units(installed, tmp_path):
    env = {"FLK_WORKER_THREADS": None}
    for args in ([], ["--units"]):
        done = installed.run("status", "--json", *args, env=env, cwd=tmp_path)
        view = json.loads(done.stdout)
        assert done.returncode == 0 and view["ready"], done
        assert sorted(member["name"] for member in view["members"]) == sorted(name.removeprefix("flk-") for name in installed.names), view
        assert all(member["pid"] is None and member["metrics"] for member in view["members"]), view
    one = json.loads(installed.run("status", "--json", "--unit", installed.names[3]).stdout)
    assert [member["name"] for member in one["members"]] == [installed.names[3].removeprefix("flk-")], one
    named = installed.run("status", "--data-dir", tmp_path, env=env)
    assert named.returncode == 1 and "no cluster runs" in named.stderr, named


# status asks all addresses that it is given: host and port or a URL; one that does not answer is down and makes it exit
# 1.
def test_status_of_addresses(installed):
    cluster = installed.cluster
    places = ["--gateway", "http://%s:%d/" % cluster.gateway.http, "--broker", "localhost:%d" % cluster.broker.admin[1]]
    for worker in cluster.workers:
        places += ["--worker", "%s:%d" % worker.admin]
    done = run("flk", "status", "--json", *places)
    view = json.loads(done.stdout)
    assert done.returncode == 0 and view["ready"] and [member["name"] for member in view["members"]] == \
        ["gateway", "broker", "worker-1", "worker-2"], done
    screen = run("flk", "status", *places)
    assert screen.returncode == 0 and re.search(r"worker-2 +ready", screen.stdout) and "at 4 addresses" in screen.stdout, screen
    down = run("flk", "status", *places, "--worker", f"127.0.0.1:{free_port()}")
    assert down.returncode == 1 and re.search(r"worker-3 +down", down.stdout), down
    for wrong, status in ("host:port", 2), ("127.0.0.1:123456", 2), ("127.0.0.1:65536", 2), ("[::1", 2), ("flk.invalid", 1):
        done = run("flk", "status", "--broker", wrong)
        assert done.returncode == status and wrong in done.stderr and "--broker" in done.stderr and not done.stdout, done


# A unit that is none, and files that may not be read, are told in one line.
def test_refused(installed, tmp_path):
    for name, word in ("flk-worker", "flk-worker.service"), ("nginx", "nginx"), ("flk-nothing@1", "flk-nothing@1"):
        done = installed.run("doctor", "--unit", name)
        assert done.returncode == 2 and word in done.stderr and len(done.stderr.splitlines()) == 1, done
    assert installed.run("doctor", "--unit").returncode == 2
    (tmp_path / "flk-gateway.service").write_text(f"[Service]\nEnvironmentFile={tmp_path}/none.env\nExecStart=/usr/bin/flk-gateway\n")
    done = run("flk", "wal", "list", "--unit", "flk-gateway", env={"SYSTEMD_UNIT_PATH": tmp_path})
    assert done.returncode == 2 and "none.env" in done.stderr and len(done.stderr.splitlines()) == 1, done
