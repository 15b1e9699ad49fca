# SPDX-License-Identifier: MIT
"""compose.yaml on a real engine: every combination of its files, a cluster that is scaled and shot at under load, TLS in front.

The images that cannot be pulled here (Redis, PostgreSQL, Prometheus, Caddy) are stand-ins under the same names, made of Debian's
packages; Grafana is only checked as configuration. usage: compose.py"""
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading
import time

import facts
from engine import IMAGE, build_image, compose_program, engine
from roots import ROOT, call, free_port, need_root, say

QUAKES = ROOT / "tests" / "data" / "earthquakes.csv"
WINDOWS = ["--window", "6h", "--slide", "2m", "--columns", "longitude,latitude,depth_km"]
HEALTHY_S_MAX = 60
PLAYBOOK = """
DEDUP_BACKEND=redis
REDIS_ADDR=redis:6379
TOKEN_RATE=100
METRICS_USER=ops
METRICS_PASS=change-me
PCS_SIGN_ALG=hmac
PCS_HMAC_KEY=supersecret
"""
INSTALL = "RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends {} && rm -rf /var/lib/apt/lists/*"
POSTGRES_ENTRY = r"""#!/bin/sh
set -e
cd /
PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
as() { setpriv --reuid postgres --regid postgres --clear-groups "$@"; }
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    install -m 0600 -o postgres "$POSTGRES_PASSWORD_FILE" /tmp/password
    as initdb -D "$PGDATA" -U "$POSTGRES_USER" --pwfile /tmp/password -A scram-sha-256 >/dev/null
    rm /tmp/password
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
    echo "create database $POSTGRES_DB" | as postgres --single -D "$PGDATA" postgres >/dev/null
fi
install -d -o postgres /var/run/postgresql
exec setpriv --reuid postgres --regid postgres --clear-groups postgres -D "$PGDATA" -c 'listen_addresses=*'
"""
STAND_INS = {
    "redis:7-bookworm": INSTALL.format("redis-server redis-tools") + "\nRUN install -d -o 999 -g 999 /data\nVOLUME /data\nCMD [\"redis-server\"]",
    "postgres:16-bookworm": INSTALL.format("postgresql") + "\nENV PGDATA=/var/lib/postgresql/data\nCOPY entry /usr/local/bin/entry\n"
                            "RUN install -d -m 0700 -o postgres -g postgres $PGDATA\nVOLUME /var/lib/postgresql/data\nSTOPSIGNAL SIGINT\nENTRYPOINT [\"entry\"]",
    "prom/prometheus:v3.5.0": INSTALL.format("prometheus") + "\nRUN install -d -o 65534 -g 65534 /prometheus\nVOLUME /prometheus\nENTRYPOINT [\"prometheus\"]",
    "caddy:2": INSTALL.format("caddy wget") + "\nENV XDG_CONFIG_HOME=/config XDG_DATA_HOME=/data\nVOLUME /data /config",
}


def build_stand_ins(made):
    for name, steps in STAND_INS.items():
        if made.tries("image", "inspect", name).returncode == 0:
            continue  # the real one, or an earlier run's
        with tempfile.TemporaryDirectory() as place:
            (pathlib.Path(place) / "Dockerfile").write_text("FROM debian:trixie-slim\n" + steps + "\n")
            entry = pathlib.Path(place) / "entry"
            entry.write_text(POSTGRES_ENTRY)
            entry.chmod(0o755)
            made.docker("build", "-q", "--network", "host", "-t", name, place, timeout=1200)
    say("there are " + ", ".join(STAND_INS))


class Project:
    """A copy of compose/, so that secrets never get into the tree."""

    def __init__(self, made, place, program, name="compose", more=""):
        self.made, self.program, self.directory = made, program, pathlib.Path(place) / name
        shutil.copytree(ROOT / "compose", self.directory)
        with open(self.directory / ".env", "a") as settings:
            settings.write(more)
        ports = {name: free_port() for name in ("GATEWAY_PORT", "GRAFANA_PORT", "HTTP_PORT", "HTTPS_PORT")}
        self.env = {**made.env, **{name: str(port) for name, port in ports.items()}, "COMPOSE_PROJECT_NAME": f"flk-{name}-{os.getpid()}"}
        call(self.directory / "setup.sh", env={**self.env, "IMAGE": IMAGE})

    def run(self, *words, files=("compose.yaml",), env=None, timeout=300):
        named = [word for file in files for word in ("-f", file)]
        return call(*self.program, *named, *words, cwd=self.directory, env={**self.env, **(env or {})}, timeout=timeout)

    def up(self, *services, **options):
        start = time.monotonic()
        self.run("up", "-d", "--wait", *services, **options)
        return time.monotonic() - start

    def containers(self, service):
        return self.run("ps", "-q", service).split()

    def tool(self, *words, mounts=(), env=None, network="edge"):
        """One of flk's verbs in a container beside the cluster, signing with the cluster's key."""
        key = self.directory / "secrets" / "pcs_hmac_key"
        variables = {"PCS_SIGN_ALG": "hmac", "PCS_HMAC_KEY_FILE": "/key", "ENDPOINT": "http://gateway:8080/v1/pcs/submit", **(env or {})}
        options = [word for pair in variables.items() for word in ("-e", "%s=%s" % pair)]
        options += [word for mount in (f"{key}:/key:ro", f"{QUAKES}:/quakes.csv:ro", *mounts) for word in ("-v", mount)]
        return ["run", "--rm", "--read-only", "--tmpfs", "/var/lib/flk:uid=10001,gid=10001", "--network",
                network if ":" in network else f"{self.env['COMPOSE_PROJECT_NAME']}_{network}", *options, IMAGE, *words]


def check_configurations(project):
    for files in facts.COMBINATIONS:
        for store in ("redis", "postgres"):
            config = json.loads(project.run("config", "--format", "json", files=files, env={"DEDUP_BACKEND": store}))
            faults = facts.check(config, store)
            assert not faults, f"{files} with {store}:\n" + "\n".join(faults)
            assert project.run("config", "--services", files=files, env={"DEDUP_BACKEND": store})
    say(f"configurations: {2 * len(facts.COMBINATIONS)} combinations of files and stores")


# ---- under load ----

class Load(threading.Thread):
    """Rounds of real PCS, each round another shard, until told to stop; then the answers."""

    def __init__(self, project):
        super().__init__()
        self.project, self.over, self.summaries, self.fault = project, threading.Event(), [], None

    def submit(self, number):
        done = self.project.made.docker(*self.project.tool("agent", "submit", "--quiet", "--json", "--tries", "0", "--shard", f"round-{number}", *WINDOWS,
                                                           "/quakes.csv"), timeout=300)
        return json.loads(done)

    def run(self):
        try:
            while not self.over.is_set():
                self.summaries.append(self.submit(len(self.summaries)))
        except Exception as fault:  # told by finish, on the main thread
            self.fault = fault

    def finish(self):
        self.over.set()
        self.join()
        if self.fault:
            raise self.fault
        return self.summaries


class Bench(threading.Thread):
    """Single tries beside the load, as of a client without patience."""

    def __init__(self, project, seconds):
        super().__init__()
        self.project, self.seconds, self.figures = project, seconds, None

    def run(self):
        done = self.project.made.tries(*self.project.tool("bench", "--seconds", self.seconds, "--parallel", 8, "--json"), timeout=self.seconds + 120)
        self.figures = json.loads(done.stdout)


def scale(project, count):
    project.run("up", "-d", "--wait", "--no-recreate", "--scale", f"worker={count}", "worker")
    assert len(project.containers("worker")) == count


@contextlib.contextmanager
def exits(made):
    """While the body runs: tells (name, status, time) of every container that ended. The engine itself remembers only its last 256 events."""
    with tempfile.NamedTemporaryFile() as kept:
        listener = subprocess.Popen(["docker", "events", "--since", str(int(time.time())), "--filter", "event=die", "--format", "{{json .}}"],
                                    env=made.env, stdout=kept)
        try:
            yield lambda: [(one["Actor"]["Attributes"]["name"], int(one["Actor"]["Attributes"]["exitCode"]), one["timeNano"] / 1e9)
                           for one in map(json.loads, pathlib.Path(kept.name).read_text().splitlines())]
        finally:
            listener.terminate()
            listener.wait()


def check_scaling(project):
    with exits(project.made) as ended:
        scale_and_kill(project, ended)


def scale_and_kill(project, ended):
    made = project.made
    load, bench = Load(project), Bench(project, 45)
    load.start()
    bench.start()
    for count in (2, 4):
        scale(project, count)
    killed = [project.containers("worker")[0], *project.containers("broker-1")]
    for container in killed:
        made.docker("kill", "--signal", "KILL", container)
        time.sleep(2)  # the load goes on without it
        made.docker("start", container)
    project.up("broker-1", "worker", "--no-recreate", "--scale", "worker=4")
    drained_from = time.time()
    scale(project, 1)
    bench.join()
    summaries = load.finish()
    kills = [name for name, status, _ in ended() if status == 137]
    assert len(kills) == len(killed), ended()
    drained = [status for name, status, at in ended() if "worker" in name and at >= drained_from]
    assert drained == [0, 0, 0], ended()
    judge(project, load, summaries, bench.figures)


def judge(project, load, summaries, figures):
    """No answer is missing, none other than 503 was an error, and every answer is the same when asked again."""
    sent = sum(one["answered"] + one["pending"] + one["dead"] for one in summaries)
    answered = sum(one["answered"] for one in summaries)
    assert summaries and sent == answered > 0, summaries
    assert figures["status_5xx"] == figures["status_503"] and figures["status_4xx"] == 0 and figures["no_answer"] == 0, figures
    again = [load.submit(number) for number in range(len(summaries))]
    for first, second in zip(summaries, again):
        same = all(first[name] == second[name] for name in ("answered", "accepted", "escalated"))
        assert same and second["duplicates"] == second["answered"], (first, second)
    say(f"scaled 1, 2, 4, 1 with a worker and a broker killed: {answered} PCS in {len(summaries)} rounds answered, none lost, none changed; "
        f"{figures['answered']} single tries beside them, {figures['status_503']} put off with 503, no other error; drained workers ended with 0")


def ask_prometheus(project, path):
    """CompletedProcess; its API is not published, so the question comes from a container beside it."""
    return project.made.tries("run", "--rm", "--network", f"{project.env['COMPOSE_PROJECT_NAME']}_edge", "--entrypoint", "wget", "caddy:2",
                              "-q", "-O", "-", f"http://prometheus:9090/api/v1/{path}")


def check_prometheus(project):
    """Every target that it finds is up, and the links between them are CURVE."""
    end = time.monotonic() + 90
    while True:
        done = ask_prometheus(project, "targets?state=active")
        targets = json.loads(done.stdout)["data"]["activeTargets"] if done.returncode == 0 else []
        states = {(one["labels"]["job"], one["labels"]["instance"]): one["health"] for one in targets}
        if len(states) >= 4 and set(states.values()) == {"up"}:
            break
        assert time.monotonic() < end, (states, done.stderr, [one.get("lastError") for one in targets])
        time.sleep(1)
    while not (admitted := json.loads(ask_prometheus(project, "query?query=sum(flk_curve_admitted_total)").stdout)["data"]["result"]):
        assert time.monotonic() < end, "Prometheus knows no flk_curve_admitted_total"
        time.sleep(1)
    links = int(admitted[0]["value"][1])
    assert links >= 4, f"{links} links with CURVE; a gateway and a worker have one each to both brokers"
    say(f"Prometheus: {len(states)} targets up; {links} links let in by their CURVE keys")


def check_caddy(project):
    """Through Caddy with its own authority: the same door, and the gateway has no port of its own any more."""
    files = ("compose.yaml", "compose.caddy.yaml")
    project.up("caddy", "gateway", "worker", files=files)
    caddy, = project.run("ps", "-q", "caddy", files=files).split()
    root = project.directory / "root.crt"
    root.write_text(project.made.docker("exec", caddy, "cat", "/data/caddy/pki/authorities/local/root.crt"))
    gateway, = project.containers("gateway")
    assert not any(project.made.look("container", gateway)["HostConfig"]["PortBindings"].values())
    summary = json.loads(project.made.docker(*project.tool(
        "agent", "submit", "--quiet", "--json", "--cacert", "/root.crt", "--shard", "tls", "--window", "6h", "--columns", "longitude,latitude",
        "/quakes.csv", mounts=[f"{root}:/root.crt:ro"], env={"ENDPOINT": "https://localhost/v1/pcs/submit"}, network=f"container:{caddy}")))
    assert summary["answered"] > 0 and summary["dead"] == 0, summary
    say(f"through Caddy: {summary['answered']} answers over TLS")


def make_certificates(place):
    """An authority, a server and a client of it."""
    place.mkdir()
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    call(*new, "-subj", "/CN=test authority", "-keyout", place / "ca.key", "-out", place / "ca.crt")
    for name in ("server", "client"):
        call(*new, "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE", "-CA", place / "ca.crt",
             "-CAkey", place / "ca.key", "-keyout", place / f"{name}.key", "-out", place / f"{name}.crt")
    call("chmod", "-R", "a+rX", place)


def check_mtls(project):
    """A client with a certificate of the authority gets an answer of the gateway; one without gets no connection."""
    files = ("compose.yaml", "compose.mtls.yaml")
    make_certificates(project.directory / "secrets" / "mtls")
    project.up("caddy", "gateway", files=files)
    caddy, = project.run("ps", "-q", "caddy", files=files).split()
    ask = ["exec", caddy, "wget", "-S", "-O", "-", "--tries", "1", "--timeout", "20", "--content-on-error", "--ca-certificate", "/etc/mtls/ca.crt",
           "--header", "Content-Type: application/json", "--post-data", "{}", "https://localhost/v1/pcs/submit"]
    done = project.made.tries(*ask, "--certificate", "/etc/mtls/client.crt", "--private-key", "/etc/mtls/client.key")
    assert '"field"' in done.stdout and " 400 " in done.stderr, done  # the gateway's own words
    stranger = project.made.tries(*ask)
    assert stranger.returncode != 0 and not stranger.stdout, stranger
    say("mTLS: a client of the authority is answered, a stranger is not let in")


def check_postgres(project):
    env = {"DEDUP_BACKEND": "postgres"}
    took = project.up("gateway", "worker", "broker-1", "broker-2", "postgres", env=env)
    figures = json.loads(project.made.docker(*project.tool("bench", "--count", 300, "--seconds", 60, "--json")))
    assert figures["accepted"] == 300, figures
    say(f"PostgreSQL as the store: healthy in {took:.0f} s, {figures['answered']} answers")


def check_playbook(made, place, program):
    """The playbook's lines as .env, on a machine said to be a developer's: its key signs, its password opens the metrics."""
    project = Project(made, place, program, "playbook", PLAYBOOK + "FLK_DEV=1\n")
    try:
        project.up("gateway", "worker", "broker-1", "broker-2", "redis")
        summary = json.loads(made.docker(*project.tool("agent", "submit", "--quiet", "--json", "--tries", "0", "--window", "6h", "--slide", "15m",
                                                       "--columns", "longitude,latitude,depth_km", "/quakes.csv", env={"FLK_DEV": "1"}), timeout=300))
        assert summary["accepted"] == summary["answered"] == 594, summary
        assert (project.directory / "secrets" / "pcs_hmac_key").read_text() == "supersecret"
        ask = ["run", "--rm", "--network", f"{project.env['COMPOSE_PROJECT_NAME']}_edge", "--entrypoint", "wget", "caddy:2", "-q", "-O", "-"]
        page = made.docker(*ask, "http://ops:change-me@gateway:8080/metrics")
        assert "flk_accepted 594" in page, page
        assert made.tries(*ask, "http://gateway:8080/metrics").returncode != 0
    finally:
        project.run("down", "-v", "-t", "60")
    say(f"the playbook's lines: {summary['answered']} answers at 100 a second at most, metrics by its password")


def main():
    need_root("compose-test")
    with engine() as made, tempfile.TemporaryDirectory(prefix="flk-compose-") as place, contextlib.ExitStack() as stack:
        build_image(made)
        build_stand_ins(made)
        project = Project(made, place, compose_program())
        check_configurations(project)
        check_playbook(made, place, project.program)
        stack.callback(project.run, "down", "-v", "--remove-orphans", "-t", "60", files=("compose.yaml", "compose.caddy.yaml"))
        took = project.up("gateway", "worker", "broker-1", "broker-2", "redis", "prometheus")
        say(f"up: healthy in {took:.0f} s")
        assert took < HEALTHY_S_MAX, f"{took:.0f} s until all were healthy"
        check_prometheus(project)
        check_scaling(project)
        check_caddy(project)
        check_mtls(project)
        project.run("down", "-v", "-t", "60", files=("compose.yaml", "compose.caddy.yaml"))
        check_postgres(project)
    say("compose: passed")


main()
