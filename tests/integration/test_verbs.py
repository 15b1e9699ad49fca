# SPDX-License-Identifier: MIT
"""flk's verbs beside up, status and demo: submit, bench, doctor, healthcheck; --json of every verb; sd_notify."""
import json
import os
import re
import shutil
import signal
import socket

import pytest

from harness import pcs
from harness.cluster import Cluster
from harness.keys import Keys
from harness.process import ROOT, Process, free_port, run, wait_for

QUAKES = ROOT / "tests" / "data" / "earthquakes.csv"


def settings_of(cluster, **more):
    """The environment that a person beside the cluster would have."""
    return {"FLK_HTTP_LISTEN": "%s:%d" % cluster.gateway.http, "FLK_ZMQ_LISTEN": cluster.gateway.zmq, "FLK_FRONTENDS": cluster.broker.frontend,
            "FLK_BACKENDS": cluster.broker.backend, "FLK_DATA_DIR": cluster.directory / "store", "PCS_SIGN_ALG": "hmac",
            "PCS_HMAC_KEY": pcs.HMAC_KEY, "ENDPOINT": "http://%s:%d/v1/pcs/submit" % cluster.gateway.http, **more}


@pytest.fixture(scope="module")
def cluster():
    with Cluster() as running:
        yield running


@pytest.fixture(scope="module")
def quakes():
    """Unsigned PCS, one a line."""
    done = run("flk", "agent", "compute", "--columns", "longitude,latitude,depth_km", "--window", "6h", QUAKES)
    assert done.returncode == 0, done
    return done.stdout


def documents(text):
    """stdout as --json promises it: one document, or one object a line, and nothing else."""
    assert text.strip(), "no JSON"
    try:
        return [json.loads(text)]
    except ValueError:
        return [json.loads(line) for line in text.splitlines()]


def sample(quakes, count):
    return "".join(line + "\n" for line in quakes.splitlines()[:count])


# submit signs a PCS without a signature, sends it, and prints an answer a PCS; asked again, the answers are the
# store's.
def test_submit(cluster, quakes):
    env = settings_of(cluster)
    first = run("flk", "submit", "-", env=env, stdin=sample(quakes, 8))
    assert first.returncode == 0 and len(re.findall(r"^[0-9a-f]{64}  200 accepted$", first.stdout, re.M)) == 8, first
    again = run("flk", "submit", "--json", "-", env=env, stdin=sample(quakes, 8))
    answers = documents(again.stdout)
    assert again.returncode == 0 and len(answers) == 8 and all(answer["duplicate"] and answer["status"] == 200 for answer in answers), again


# Without the right key the cluster refuses; submit says so and ends with 3. Nobody at the door: also 3, never silence.
def test_submit_refused(cluster, quakes):
    wrong = run("flk", "submit", "-", env=settings_of(cluster, PCS_HMAC_KEY="another key, not the workers'"), stdin=sample(quakes, 2))
    assert wrong.returncode == 3 and wrong.stdout.count("401 refused") == 2, wrong
    nobody = run("flk", "submit", "--json", "-", env=settings_of(cluster, ENDPOINT=f"http://127.0.0.1:{free_port()}/v1/pcs/submit"),
                 stdin=sample(quakes, 1), seconds=60)
    assert nobody.returncode == 3 and documents(nobody.stdout)[0]["status"] == 0, nobody


# A line that is no PCS is told with its number; the others get their answers, and the status is 1.
def test_submit_bad_line(cluster, quakes):
    done = run("flk", "submit", "-", env=settings_of(cluster), stdin=sample(quakes, 1) + '{"schema":1}\n' + sample(quakes, 2))
    assert done.returncode == 1 and "line 2" in done.stderr and done.stdout.count("200 accepted") == 3, done
    missing = run("flk", "submit", "/nonexistent", env=settings_of(cluster))
    assert missing.returncode == 2 and "/nonexistent" in missing.stderr, missing


# bench counts PCS sent and answered; both doors.
@pytest.mark.parametrize("door", ["http", "zmq"])
def test_bench(cluster, door):
    env = settings_of(cluster, **({"ENDPOINT": cluster.gateway.zmq} if door == "zmq" else {}))
    done = run("flk", "bench", "--count", 200, "--parallel", 8, "--seconds", 60, "--json", env=env, seconds=80)
    figures, = documents(done.stdout)
    assert done.returncode == 0 and figures["sent"] == figures["accepted"] == 200 and figures["p99_ms"] > 0, done
    text = run("flk", "bench", "--count", 20, env=env, seconds=80)
    assert text.returncode == 0 and re.match(r"20 answers in .*/s; p50 ", text.stdout), text


# A door that refuses makes bench end with 1 and count the refusals.
def test_bench_refused(cluster):
    done = run("flk", "bench", "--count", 5, "--json", env=settings_of(cluster, PCS_HMAC_KEY="another key, not the workers'"))
    figures, = documents(done.stdout)
    assert done.returncode == 1 and figures["status_4xx"] == 5 and figures["answered"] == 0, done


# healthcheck: 0 for a ready program, 1 for one that does not answer or is stopped, within its timeout; 2 for a wrong setting.
def test_healthcheck(cluster):
    env = settings_of(cluster)
    for args in (), ("--alive",):
        done = run("flk", "healthcheck", *args, "gateway", env=env)
        assert done.returncode == 0 and "healthy" in done.stdout, done
    done = run("flk", "healthcheck", "worker", env={**env, "FLK_ADMIN_LISTEN": "0.0.0.0:%d" % cluster.worker.admin[1]})
    assert done.returncode == 0, done
    gone = run("flk", "healthcheck", "--json", "broker", env={**env, "FLK_ADMIN_LISTEN": f"127.0.0.1:{free_port()}"})
    assert gone.returncode == 1 and documents(gone.stdout)[0]["healthy"] is False, gone
    cluster.gateway.pause()
    try:
        stopped = run("flk", "healthcheck", "--timeout", 200, "gateway", env=env)
        assert stopped.returncode == 1 and "no answer" in stopped.stderr, stopped
    finally:
        cluster.gateway.resume()
    for args, word in (["nonsense"], "nonsense"), (["--timeout", "0", "gateway"], "0"):
        done = run("flk", "healthcheck", *args, env=env)
        assert done.returncode == 2 and word in done.stderr, done
    assert run("flk", "healthcheck", "worker", env={**env, "FLK_ADMIN_LISTEN": "off"}).returncode == 2


def findings(done):
    report, = documents(done.stdout)
    return {(found["check"], found["level"]): found for found in report["findings"]}, report


# In the environment of a cluster that runs, the doctor finds no fault with anything.
def test_doctor_well(cluster):
    env = settings_of(cluster, FLK_ADMIN_LISTEN="%s:%d" % cluster.worker.admin)
    done = run("flk", "doctor", "--json", "gateway", "worker", "agent", env=env)
    found, report = findings(done)
    assert done.returncode == 0 and report["well"] and report["faults"] == 0, done
    assert {("settings", "ok"), ("keys", "ok"), ("policy", "ok"), ("disk", "ok"), ("store", "ok"), ("reach", "ok")} <= found.keys(), done
    text = run("flk", "doctor", "gateway", "worker", "agent", env=env)
    assert text.returncode == 0 and "0 faults" in text.stdout, text


# Each thing that can be wrong is found, has its advice, and makes the status 1.
@pytest.mark.parametrize("wrong, check, word", [
    ({"FLK_HTTP_THREADS": "none"}, "settings", "FLK_HTTP_THREADS"),
    ({"PCS_HMAC_KEY": ""}, "keys", "PCS_HMAC_KEY"),
    ({"FLK_POLICY_FILE": "/nonexistent"}, "policy", "/nonexistent"),
    ({"ENDPOINT": "http://flk.invalid/v1/pcs/submit"}, "reach", "flk.invalid"),
    ({"FLK_FRONTENDS": "tcp://127.0.0.1:1"}, "reach", "FLK_FRONTENDS"),
    ({"FLK_HTTP_LISTEN": "127.0.0.1:1"}, "reach", "does not answer"),
    ({"DEDUP_BACKEND": "redis", "REDIS_ADDR": "127.0.0.1:1", "FLK_STORE_CONNECT_TIMEOUT_MS": "100"}, "store", "redis"),
    ({"FLK_WAL_LOW_WATER_BYTES": "1099511627776"}, "disk", "free"),
], ids=lambda value: "" if isinstance(value, dict) else value)
def test_doctor_finds(cluster, wrong, check, word):
    env = settings_of(cluster, FLK_ADMIN_LISTEN="%s:%d" % cluster.worker.admin, **wrong)
    done = run("flk", "doctor", "--json", "gateway", "worker", "agent", env=env, seconds=60)
    found, report = findings(done)
    faults = [one for one in report["findings"] if one["level"] == "fault" and one["check"] == check]
    assert done.returncode == 1 and any(word in one["text"] for one in faults), done
    assert all(one["advice"] for one in faults), done


# A key file that everybody may read, and a key that can be guessed, are notes; a worker that does not know the agent's key is a fault.
def test_doctor_keys(cluster, tmp_path):
    key = tmp_path / "key"
    key.write_text("short")
    key.chmod(0o644)
    env = settings_of(cluster, PCS_HMAC_KEY=None, PCS_HMAC_KEY_FILE=key, FLK_DEV=1)
    report = findings(run("flk", "doctor", "--json", "agent", env=env))[1]
    notes = " ".join(one["text"] for one in report["findings"] if one["level"] == "note")
    assert str(key) in notes and "5 bytes" in notes and report["well"], report
    key.chmod(0o600)
    assert "every user" not in run("flk", "doctor", "agent", env=env).stdout


@pytest.fixture(scope="module")
def guarded():
    with Cluster(curve=True) as running:
        yield running


def curve_findings(guarded, name, role, **more):
    env = {"FLK_FRONTENDS": guarded.broker.frontend, "FLK_BACKENDS": guarded.broker.backend, "FLK_ZMQ_LISTEN": guarded.gateway.zmq,
           "ENDPOINT": guarded.gateway.zmq, "FLK_HTTP_LISTEN": "%s:%d" % guarded.gateway.http, "FLK_DATA_DIR": guarded.directory / "store",
           "PCS_SIGN_ALG": "hmac", "PCS_HMAC_KEY": pcs.HMAC_KEY, **guarded.keys.env(name), **more}
    report = findings(run("flk", "doctor", "--json", role, env=env, seconds=60))[1]
    return [one for one in report["findings"] if one["check"] == "curve"]


# The keys of a cluster that runs: a pair that fits, for its owner alone, and a handshake with each server that succeeds.
@pytest.mark.parametrize("role, name", [("gateway", "gateway-0"), ("worker", "worker-0"), ("agent", "agent"), ("broker", "broker-0")])
def test_doctor_curve_well(guarded, role, name):
    found = curve_findings(guarded, name, role)
    said = " | ".join(one["text"] for one in found)
    assert all(one["level"] == "ok" for one in found) and "mode 0600" in said and f"{name}.pub" in said, found
    assert "lets ours in" in said or role == "broker", found


# Each fault of the keys is told with its advice: none, one that everybody reads, another one's public key, servers that nobody knows or that
# have another key, a key that is not let in, a link that must not go without.
def test_doctor_curve_finds(guarded, tmp_path):
    def fault(word, name="worker-0", role="worker", **more):
        faults = [one for one in curve_findings(guarded, name, role, **more) if one["level"] == "fault"]
        assert any(word in one["text"] for one in faults) and all(one["advice"] for one in faults), (word, faults)

    strange = Keys(tmp_path / "strange").make("worker", "worker-0").make("broker", "broker-0")
    fault("cannot read", FLK_CURVE_KEY_FILE=tmp_path / "none.key")
    fault("needs both", FLK_CURVE_DIR=None)
    fault("does not let our key in", FLK_CURVE_KEY_FILE=strange.directory / "worker-0.key")
    fault("does not belong to its secret key", FLK_CURVE_KEY_FILE=strange.directory / "worker-0.key")
    fault("no public key of its secret key", "agent", "worker")
    fault("does not prove a key", FLK_CURVE_DIR=strange.directory)
    shutil.rmtree(strange.directory / "brokers")
    fault("trusts nobody", FLK_CURVE_DIR=strange.directory)
    (strange.directory / "worker-0.key").chmod(0o644)
    fault("0644", FLK_CURVE_KEY_FILE=strange.directory / "worker-0.key")
    fault("beyond loopback", FLK_CURVE_KEY_FILE=None, FLK_CURVE_DIR=None, FLK_BACKENDS="tcp://192.0.2.1:5556")


PIECES = {  # the arguments of each verb; {} are filled in by the test
    "status": ["--data-dir", "{up}"], "demo": [QUAKES], "submit": ["{pcs}"], "doctor": ["agent"], "healthcheck": ["gateway"],
    "bench": ["--count", "3"], "store": ["stats"], "wal": ["list", "--dir", "{inbox}"], "dlq": ["list", "--dir", "{dlq}"],
    "audit": ["verify", ROOT / "tests" / "data" / "tlog" / "specimen.tlog-proof", "--key", ROOT / "tests" / "data" / "tlog" / "specimen.vkey"],
    "policy": ["check", ROOT / "compose" / "default.flk"],
    "keygen": ["--dir", "{keys}", "somebody"], "settings": [], "version": [], "help": [], "agent": ["compute", "--quiet", "--window", "6h", "--columns", "longitude,latitude", QUAKES],
    "feed": ["--limit", "1", "--from", "{follow}"],
    "gateway": ["--check"], "broker": ["--check"], "worker": ["--check"], "follow": ["--check"],
}


# Every verb that help lists has --json, and then prints JSON and nothing else on standard output.
def test_every_verb_has_json(cluster, quakes, tmp_path):
    env = settings_of(cluster, TMPDIR=tmp_path)
    (tmp_path / "pcs").write_text(sample(quakes, 3))
    assert run("flk", "submit", tmp_path / "pcs", env=env).returncode == 0
    listed = [command["name"] for command in documents(run("flk", "help", "--json").stdout)[0]["commands"]]
    assert sorted(listed) == sorted([*PIECES, "up"]), "a verb came or went: say here how to ask it"
    places = {"{pcs}": tmp_path / "pcs", "{inbox}": cluster.gateway.env["FLK_DATA_DIR"] / "inbox",
              "{dlq}": cluster.gateway.env["FLK_DATA_DIR"] / "dlq", "{up}": tmp_path / "up", "{keys}": tmp_path / "keys"}
    up = start_up(tmp_path)
    places["{follow}"] = up.env["FLK_FOLLOW_LISTEN"]
    try:
        for verb, pieces in PIECES.items():
            args = [places.get(piece, piece) for piece in pieces]
            flag = ["--json", *args] if verb in ("demo", "doctor") else [*args, "--json"]
            done = run("flk", verb, *flag, env=env, seconds=90)
            assert done.returncode in (0, 1 if verb == "doctor" else 0), done
            if done.stdout or verb not in ("dlq", "feed"):  # no dead letters and no outcomes: no lines
                assert all(isinstance(one, (dict, list)) for one in documents(done.stdout)), done
    finally:
        up.stop(40)
    events = [one["event"] for one in documents(up.log_path.read_text())]
    assert events == ["ready", "stopping", "stopped"], events


def start_up(directory):
    script = directory / "up.sh"
    script.write_text('#!/bin/sh\nexec "$FLK" up --json --workers 1 2>/dev/null\n')
    script.chmod(0o700)
    ports = {name: f"tcp://127.0.0.1:{free_port()}" for name in ("FLK_ZMQ_LISTEN", "FLK_FRONTENDS", "FLK_BACKENDS")}
    up = Process("up-json", script, {"FLK": Process("x", "flk", {}, directory).program, "FLK_DATA_DIR": directory / "up",
                                     "FLK_HTTP_LISTEN": f"127.0.0.1:{free_port()}", "FLK_FOLLOW_LISTEN": f"127.0.0.1:{free_port()}",
                                     **ports}, directory)
    up.start()
    wait_for(lambda: '"ready"' in up.log(), 40, up.log_tail)
    return up


# ---- the service manager ----

class Manager:
    """The socket that systemd would give to a service of Type=notify."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.name = str(path)
        self.socket.bind("\0" + self.name[1:] if self.name.startswith("@") else self.name)
        self.socket.settimeout(60)

    def hear(self):
        return dict(line.split("=", 1) for line in self.socket.recv(4096).decode().splitlines())


# Each daemon tells its manager once that it is ready, when its door is open, and when it stops; by path and by abstract name.
@pytest.mark.parametrize("program", ["gateway", "broker", "worker"])
@pytest.mark.parametrize("abstract", [False, True], ids=["path", "abstract"])
def test_notify(program, abstract, tmp_path):
    manager = Manager(f"@flk-test-{os.getpid()}-{program}" if abstract else tmp_path / "notify")
    door = ("127.0.0.1", free_port())
    env = {"NOTIFY_SOCKET": manager.name, "FLK_DATA_DIR": tmp_path / "data", "FLK_HTTP_LISTEN": "%s:%d" % door, "FLK_ADMIN_LISTEN": "%s:%d" % door,
           **{name: f"tcp://127.0.0.1:{free_port()}" for name in ("FLK_ZMQ_LISTEN", "FLK_FRONTENDS", "FLK_BACKENDS")}}
    daemon = Process(program, f"flk-{program}", env, tmp_path).start()
    assert manager.hear()["READY"] == "1"
    socket.create_connection(door, 10).close()
    daemon.signal(signal.SIGTERM)
    assert manager.hear()["STOPPING"] == "1"
    daemon.stopping = True
    assert daemon.wait(20) == 0


# A manager that watches hears from the loop that does the work as long as it turns, at least twice in its time; one that watches somebody
# else hears nothing.
@pytest.mark.parametrize("program", ["gateway", "broker", "worker"])
def test_notify_alive(program, tmp_path):
    manager = Manager(tmp_path / "notify")
    script = tmp_path / "exec.sh"  # the manager knows the process that it starts
    env = {"NOTIFY_SOCKET": manager.name, "FLK_DATA_DIR": tmp_path / "data", "WATCHDOG_USEC": 2_000_000,
           **{name: f"127.0.0.1:{free_port()}" for name in ("FLK_HTTP_LISTEN", "FLK_ADMIN_LISTEN")},
           **{name: f"tcp://127.0.0.1:{free_port()}" for name in ("FLK_ZMQ_LISTEN", "FLK_FRONTENDS", "FLK_BACKENDS")}}
    daemon = Process(program, f"flk-{program}", env, tmp_path)
    script.write_text(f'#!/bin/sh\nWATCHDOG_PID=$$ exec "{daemon.program}"\n')
    script.chmod(0o700)
    daemon.program = script
    daemon.start()
    heard = [manager.hear() for _ in range(4)]
    assert sum("WATCHDOG" in one for one in heard) == 3 and sum("READY" in one for one in heard) == 1, heard
    daemon.stop()
    daemon.check()
    stranger = Process(f"{program}-watched", f"flk-{program}", {**env, "WATCHDOG_PID": 1, "WATCHDOG_USEC": 2_000}, tmp_path).start()
    while "READY" not in (said := manager.hear()):
        assert "STOPPING" in said or "WATCHDOG" in said, said  # the first one's last words
    stranger.signal(signal.SIGTERM)
    assert "STOPPING" in manager.hear()
    stranger.stopping = True
    assert stranger.wait(20) == 0


# A manager that cannot be told is a warning, not a reason to end.
def test_notify_nobody(tmp_path):
    for number, name in enumerate([str(tmp_path / "nobody"), "relative", "/" + "x" * 200]):
        env = {"NOTIFY_SOCKET": name, "FLK_ADMIN_LISTEN": f"127.0.0.1:{free_port()}",
               **{name: f"tcp://127.0.0.1:{free_port()}" for name in ("FLK_FRONTENDS", "FLK_BACKENDS")}}
        broker = Process(f"broker-{number}", "flk-broker", env, tmp_path).start()
        wait_for(lambda: "notify_failed" in broker.log(), 20, broker.log_tail)
        broker.stop()
        broker.check()


# A PCS that is sent again with other content is told from one that is sent again: by the answer's line, the JSON member and the summary.
def test_submit_conflict(cluster):
    env = settings_of(cluster)
    factory = pcs.Factory(7, "conflict", escalate_every=0)
    first = factory.make()
    other = {**first, "coh_star": round(first["coh_star"] / 2, 9)}
    other["sig"] = pcs.sign_hmac(other)
    text = lambda *those: "".join(json.dumps(one) + "\n" for one in those)  # noqa: E731
    assert run("flk", "submit", "-", env=env, stdin=text(first)).returncode == 0
    again = run("flk", "submit", "-", env=env, stdin=text(other, first))
    assert again.stdout.count("conflict") == 1 and again.stdout.count("answered before") == 2, again
    assert "2 answered before (1 conflict)" in again.stderr, again
    answers = documents(run("flk", "submit", "--json", "-", env=env, stdin=text(other)).stdout)
    assert answers[0]["conflict"] is True and answers[0]["duplicate"] is True, answers


# At a door with keys, without one: after a few seconds the user is told which settings are missing, not at the end of all patience.
@pytest.mark.parametrize("args", [["submit", "-"], ["wal", "replay", "--dir", "{inbox}"]], ids=["submit", "replay"])
def test_silent_door(guarded, quakes, args, tmp_path):
    script = tmp_path / "flk.sh"
    (tmp_path / "pcs").write_text(sample(quakes, 1))
    inbox = guarded.gateway.env["FLK_DATA_DIR"] / "inbox"
    factory = pcs.Factory(8, "silent")
    with guarded.http() as http:
        assert http.submit(factory.make()).status in (200, 202)
    words = " ".join(str(inbox) if word == "{inbox}" else word for word in args)
    env = {"ENDPOINT": guarded.gateway.zmq, "FLK_ZMQ_LISTEN": guarded.gateway.zmq}
    script.write_text(f'#!/bin/sh\nexec "{Process("x", "flk", {}, tmp_path).program}" {words} <"{tmp_path}/pcs"\n')
    script.chmod(0o700)
    asking = Process("asking", script, env, tmp_path).start()
    wait_for(lambda: "FLK_CURVE_KEY_FILE" in asking.log() and "FLK_CURVE_DIR" in asking.log(), 12, asking.log_tail)
    assert asking.alive(), asking.log_tail()
    asking.kill()
