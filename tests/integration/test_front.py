# SPDX-License-Identifier: MIT
"""flk, the front door: up runs and watches a cluster, status tells how it does, demo shows all of it."""
import json
import os
import re
import signal
import socket
import time
import urllib.request

import pytest

from harness import doors
from harness.process import ROOT, Process, free_port, run, wait_for


QUAKES = ROOT / "tests" / "data" / "earthquakes.csv"


class Up(Process):
    """`flk up` with ports and a directory of its own."""

    def __init__(self, directory, workers=2, options="", **env):
        self.http = f"127.0.0.1:{free_port()}"
        self.data_dir = directory / "data"
        settings = {"FLK_HTTP_LISTEN": self.http, "FLK_DATA_DIR": self.data_dir, "FLK_ZMQ_LISTEN": f"tcp://127.0.0.1:{free_port()}",
                    "FLK_FRONTENDS": f"tcp://127.0.0.1:{free_port()}", "FLK_BACKENDS": f"tcp://127.0.0.1:{free_port()}", **env}
        super().__init__("up", "flk", settings, directory, [])
        self.script = directory / "up.sh"  # Process starts a program without arguments
        self.script.write_text(f'#!/bin/sh\nexec "{self.program}" up --workers {workers} {options}\n')
        self.script.chmod(0o700)
        self.program = self.script

    def start_ready(self):
        self.start()
        wait_for(lambda: self.alive() and "The cluster is ready" in self.log() or not self.alive(), 40, self.log_tail)
        assert self.alive(), self.log_tail()
        return self

    def members(self):
        return {member["name"]: member for member in json.loads((self.data_dir / "cluster.json").read_text())["members"]}

    def logs(self):
        return {path.stem: path.read_text() for path in (self.data_dir / "logs").glob("*.log")}

    def status(self, *args):
        return run("flk", "status", *args, env=self.env)


@pytest.fixture
def up(tmp_path):
    process = Up(tmp_path)
    yield process
    if process.alive():
        process.stop(40)
    process.check()


def runs(pid):
    """True while the process is there and no zombie."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


# up starts the cluster that it was asked for, says where it is, and its doors answer; Ctrl-C stops all in order and
# ends with 0.
def test_up_and_stop(up):
    up.start_ready()
    members = up.members()
    assert list(members) == ["broker", "worker-1", "worker-2", "gateway", "follow"]
    for member in members.values():
        assert f"http://{member['address']}/metrics" in up.log() and runs(member["pid"])
        host, port = member["address"].split(":")
        assert doors.http_get((host, int(port)), "/readyz", {}, "GET").status == 200
    up.stopping = True
    up.signal(signal.SIGINT)
    assert up.wait(20) == 0, up.log_tail()
    assert not any(runs(member["pid"]) for member in members.values())
    assert not (up.data_dir / "cluster.json").exists()
    ends = {name: text.strip().splitlines()[-1].split(" ")[0] for name, text in up.logs().items()}
    assert ends["gateway"] <= min(ends["worker-1"], ends["worker-2"]) and max(ends["worker-1"], ends["worker-2"]) <= ends["broker"], ends


# With --curve every link has keys, made once: gateway and worker come to the broker by theirs, the agent that is given the one of the
# start's words is answered at the ZeroMQ door, and after another start the keys are the same.
def test_up_with_keys(tmp_path):
    events = QUAKES.read_text().splitlines(keepends=True)[:200]
    (tmp_path / "events.csv").write_text("".join(events))
    first = None
    for start in ("first", "second"):
        (tmp_path / start).mkdir()  # its log: where the words of another start would be taken for its own
        up = Up(tmp_path / start, 1, "--curve", FLK_DATA_DIR=tmp_path / "data")
        up.data_dir = tmp_path / "data"
        up.start_ready()
        keys = dict(word.split("=") for word in re.search(r"FLK_CURVE_DIR=\S+ FLK_CURVE_KEY_FILE=\S+", up.log()).group().split())
        env = {"ENDPOINT": up.env["FLK_ZMQ_LISTEN"], "FLK_DATA_DIR": tmp_path / "outbox", "FLK_FRONTENDS": up.env["FLK_FRONTENDS"],
               "FLK_BACKENDS": up.env["FLK_BACKENDS"]}
        done = run("flk-agent", "submit", "--json", "--quiet", "--window", "6h", "--columns", "longitude,latitude", tmp_path / "events.csv",
                   env={**env, **keys}, seconds=60)
        assert done.returncode == 0 and json.loads(done.stdout)["dead"] == 0, done
        doctor = run("flk", "doctor", "agent", env={**env, **keys}).stdout
        assert "lets ours in" in doctor, doctor
        page = urllib.request.urlopen(f"http://{up.members()['broker']['address']}/metrics", timeout=20).read()
        assert re.search(rb"^flk_curve_admitted_total(?:\{.*\})? [2-9]", page, re.M), page
        made = {path.name: path.read_text() for path in (up.data_dir / "keys").glob("*.key")}
        assert sorted(made) == ["agent.key", "broker.key", "gateway.key", "worker.key"] and first in (None, made)
        first = made
        assert all(path.stat().st_mode & 0o777 == 0o600 for path in (up.data_dir / "keys").glob("*.key"))
        up.stop(40)


# A child that does not stop is waited for; a second Ctrl-C kills the rest, and up ends with 1.
def test_up_second_interrupt_kills(up):
    up.start_ready()
    pids = [member["pid"] for member in up.members().values()]
    os.kill(up.members()["worker-1"]["pid"], signal.SIGSTOP)
    up.stopping = True
    up.signal(signal.SIGINT)
    wait_for(lambda: not runs(up.members()["gateway"]["pid"]), 20, "the gateway stops")
    assert up.alive()
    up.signal(signal.SIGINT)
    assert up.wait(20) == 1 and "children_killed program=worker" in up.log(), up.log_tail()
    assert not any(runs(pid) for pid in pids)


# A child that is killed is started again on the same address; status tells how often.
def test_up_starts_a_dead_child_again(up):
    up.start_ready()
    before = up.members()["worker-1"]
    os.kill(before["pid"], signal.SIGKILL)
    after = wait_for(lambda: (lambda member: member["pid"] not in (0, before["pid"]) and member)(up.members()["worker-1"]), 10, up.log_tail)
    assert after["address"] == before["address"] and after["restarts"] == 1
    wait_for(lambda: up.status("--json").returncode == 0, 15, "all ready again")
    view = json.loads(up.status("--json").stdout)
    assert view["ready"] and {member["name"]: member["restarts"] for member in view["members"]} == \
        {"broker": 0, "worker-1": 1, "worker-2": 0, "gateway": 0, "follow": 0}
    assert re.search(r"worker-1 +ready .*restarted 1 time", up.status().stdout)


# status has every figure of the screen, from every process; a dead or stopped one is told, and makes it exit 1.
def test_status(up):
    up.start_ready()
    view = json.loads(up.status("--json").stdout)
    metrics = {member["name"]: member["metrics"] for member in view["members"]}
    assert {"flk_ingest_total", "flk_accepted", "flk_escalated", "flk_dedup_hits", "flk_inflight", "flk_wal_unacked",
            "flk_wal_bytes"} <= metrics["gateway"].keys()
    assert {"flk_broker_queue_depth", "flk_broker_inflight", "flk_broker_oldest_seconds", "flk_broker_workers",
            "flk_broker_redeliveries_total", "flk_broker_dead_letters_total"} <= metrics["broker"].keys()
    assert {"flk_worker_verdicts_total", "flk_worker_threads"} <= metrics["worker-1"].keys()
    screen = up.status()
    assert screen.returncode == 0 and "\033" not in screen.stdout and " - " not in screen.stdout, screen.stdout
    os.kill(up.members()["broker"]["pid"], signal.SIGSTOP)
    try:
        stopped = up.status()
        assert stopped.returncode == 1 and re.search(r"broker +down", stopped.stdout), stopped.stdout
    finally:
        os.kill(up.members()["broker"]["pid"], signal.SIGCONT)


# Where no cluster runs, status says so.
def test_status_without_cluster(tmp_path):
    done = run("flk", "status", "--data-dir", tmp_path)
    assert done.returncode == 1 and "no cluster runs" in done.stderr and len(done.stderr.splitlines()) == 1, done


# Two interrupts at once stop everything, and nothing is said that is no fault.
def test_up_two_interrupts(up):
    up.start_ready()
    up.stopping = True
    up.signal(signal.SIGINT)
    time.sleep(0.05)  # the second one's moment is the test
    up.signal(signal.SIGINT)
    status = up.wait(20)
    said = [line for line in up.log().splitlines() if line.startswith("flk up: ")]
    assert (status, said) in ((0, []), (1, ["flk up: some process did not stop and was killed"])), up.log_tail()


# Beside up, healthcheck and doctor ask each of its processes.
def test_healthcheck_and_doctor_beside_up(up):
    up.start_ready()
    well = json.loads(run("flk", "healthcheck", "--json", env=up.env).stdout)
    assert sorted(one["address"] for one in well["programs"]) == sorted(member["address"] for member in up.members().values()), well
    os.kill(up.members()["worker-2"]["pid"], signal.SIGSTOP)
    try:
        for args in [], ["worker"]:
            sick = run("flk", "healthcheck", "--timeout", 300, *args, env=up.env)
            assert sick.returncode == 1 and up.members()["worker-2"]["address"] in sick.stderr, sick
        report = json.loads(run("flk", "doctor", "--json", "worker", env=up.env, seconds=60).stdout)
        said = [found["text"] for found in report["findings"] if found["check"] == "reach" and found["level"] == "fault"]
        assert len(said) == 1 and said[0].startswith("worker-2 at"), report
    finally:
        os.kill(up.members()["worker-2"]["pid"], signal.SIGCONT)


# When up itself is killed, its children end too.
def test_up_killed(up):
    up.start_ready()
    pids = [member["pid"] for member in up.members().values()]
    up.kill()
    wait_for(lambda: not any(runs(pid) for pid in pids), 20, "children are left")


# An address in use, a directory in use or unwritable, and a wrong argument are refused in one line, before anything is started.
def test_up_refuses(up, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        for done in (run("flk", "up", "--http", address, env=up.env), run("flk", "up", env={**up.env, "FLK_ZMQ_LISTEN": "tcp://" + address})):
            assert done.returncode == 1 and address in done.stderr and "in use" in done.stderr and len(done.stderr.splitlines()) == 1, done
    for wrong in "nowhere", "127.0.0.1:65536", "[::1", "tcp://127.0.0.1:1":
        done = run("flk", "up", "--http", wrong, env=up.env)
        assert done.returncode == 2 and "stop what" not in done.stderr and "--http" in done.stderr and wrong in done.stderr, done
    (tmp_path / "file").write_text("")
    for args, word in (["--workers", "0"], "0"), (["--workers", "65"], "65"), (["--nonsense"], "nonsense"), (["x"], "x"):
        done = run("flk", "up", *args, env=up.env)
        assert done.returncode == 2 and word in done.stderr and not done.stdout, done
    done = run("flk", "up", "--data-dir", tmp_path / "file" / "data", env=up.env)
    assert done.returncode == 1 and "file" in done.stderr and not done.stdout, done
    up.start_ready()
    done = run("flk", "up", env={**up.env, "FLK_HTTP_LISTEN": f"127.0.0.1:{free_port()}"})
    assert done.returncode == 1 and "runs already" in done.stderr, done


# A program that refuses its settings ends up with its own line, and with the status of a wrong setting; nothing is left running.
def test_up_with_a_child_that_refuses_its_settings(tmp_path):
    key = tmp_path / "key"
    key.write_text("{}")
    for wrong in {"FLK_POLICY_FILE": "/nonexistent"}, {"PCS_SIGN_ALG": "hmac", "PCS_KEYRING_FILE": key}:
        broken = Up(tmp_path, **wrong)
        done = run("flk", "up", env=broken.env, seconds=60)
        said = [line for line in done.stderr.splitlines() if line.startswith("flk up: ")]
        assert done.returncode == 2 and len(said) == 1 and re.match(r"flk up: worker-\d: (?!flk-worker)", said[0]), done
        assert str(*[value for name, value in wrong.items() if name.endswith("_FILE")]) in said[0], said
        assert not (broken.data_dir / "cluster.json").exists()


# A second cluster needs a directory and --ports: every address moves, and both run.
def test_up_beside_another(up, tmp_path):
    up.start_ready()
    offset = free_port() - 5000  # all of 5550 + offset and so on below 32000
    (tmp_path / "second").mkdir()
    second = Up(tmp_path / "second", 1, f"--ports +{offset} --json")
    for name in ("FLK_ZMQ_LISTEN", "FLK_FRONTENDS", "FLK_BACKENDS"):
        del second.env[name]
    second.start()
    wait_for(lambda: '"ready"' in second.log() or not second.alive(), 40, second.log_tail)
    ready = next(json.loads(line) for line in second.log().splitlines() if '"ready"' in line)
    assert ready["zmq"] == f"tcp://127.0.0.1:{5550 + offset}" and ready["http"] == second.env["FLK_HTTP_LISTEN"] and ready["signed"] is False
    assert int(ready["members"][0]["address"].split(":")[1]) >= 8081 + offset
    assert run("flk", "status", "--data-dir", second.data_dir).returncode == 0 and up.status().returncode == 0
    second.stop(40)
    for wrong in "0", "x", "+", "50001", "-1":
        done = run("flk", "up", "--ports", wrong, env=up.env)
        assert done.returncode == 2 and "--ports" in done.stderr and f"'{wrong}'" in done.stderr, done


# up takes every address that the gateway takes: a name, every address, and a port that is to be found, which it then
# tells.
@pytest.mark.parametrize("http", ["localhost:{port}", ":{port}", "{port}", "[::1]:{port}", "127.0.0.1:0", ":0"])
def test_up_addresses(tmp_path, http):
    port = free_port()
    up = Up(tmp_path, 1, "--json")
    up.env["FLK_HTTP_LISTEN"] = http.format(port=port)
    up.start()
    wait_for(lambda: '"ready"' in up.log() or not up.alive(), 40, up.log_tail)
    ready = next(json.loads(line) for line in up.log().splitlines() if '"ready"' in line)
    assert http.endswith(":0") or ready["http"].endswith(f":{port}"), ready
    assert urllib.request.urlopen(f"http://{ready['http']}/readyz", timeout=20).status == 200, ready
    up.stop(40)


# That signing is off is said where the doors are named; with a key it is not.
def test_up_is_loud_when_signing_is_off(up, tmp_path):
    up.start_ready()
    assert re.search(r"signing +off", up.log()) and "PCS_SIGN_ALG" in up.log()
    up.stop(40)
    (tmp_path / "signed").mkdir()
    signed = Up(tmp_path / "signed", 1, PCS_SIGN_ALG="hmac", PCS_HMAC_KEY="0123456789abcdef0123456789abcdef")
    signed.start_ready()
    assert not re.search(r"signing +off", signed.log())
    signed.stop(40)


# A wrong setting of any program stops up before it starts anything.
def test_up_checks_the_settings_of_all(up):
    done = run("flk", "up", env={**up.env, "FLK_STORE_TIMEOUT_MS": "0"})
    assert done.returncode == 2 and "FLK_STORE_TIMEOUT_MS" in done.stderr and not up.data_dir.exists(), done


# The demo ends with 0: everything answered over both doors, nothing lost, no answer changed, a worker killed on the way.
def test_demo(tmp_path):
    done = run("flk", "demo", ROOT / "tests" / "data" / "earthquakes.csv", env={"TMPDIR": tmp_path}, seconds=60)
    assert done.returncode == 0, done
    for line in (r"PCS sent +623 +623", r"accepted +594 +594", r"escalated +29 +29 +budget_mismatch 29", r"answered from the store +0 +623",
                 r"lost +0$", r"answers that changed +0$", r"kill -9 of worker-2", r"answer 200 "):
        assert re.search(line, done.stdout, re.M), f"{line}\n{done.stdout}"


# A demo that fails in the middle says why in the words of the program that failed, and leaves nothing.
def test_demo_that_fails(tmp_path):
    done = run("flk", "demo", QUAKES, env={"TMPDIR": tmp_path, "FLK_POLICY_FILE": "/nonexistent"}, seconds=60)
    assert done.returncode == 1 and "/nonexistent" in done.stderr and not list(tmp_path.iterdir()), done


# A file that is not there, and no file at all, are told in one line and with the usage. The demo's files go, but for
# --keep.
def test_demo_refuses(tmp_path):
    done = run("flk", "demo", tmp_path / "none.csv", env={"TMPDIR": tmp_path})
    assert done.returncode == 1 and "none.csv" in done.stderr and not list(tmp_path.iterdir()), done
    kept = run("flk", "demo", "--keep", tmp_path / "none.csv", env={"TMPDIR": tmp_path})
    assert kept.returncode == 1 and str(*tmp_path.iterdir()) in kept.stderr, kept
    assert run("flk", "demo").returncode == 2
