# SPDX-License-Identifier: MIT
"""The package in a fresh root: installs, runs a cluster from the units' own command lines, upgrades, removes, purges.
usage: deb.py FLK.deb SUITE"""
import contextlib
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from roots import ROOT, call, copy, free_port, inside, need_root, say, with_proc

UNITS = "usr/lib/systemd/system"
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
QUAKES = ROOT / "tests" / "data" / "earthquakes.csv"


def read_env(path):
    lines = [line.strip() for line in path.read_text().splitlines()]
    return dict(line.split("=", 1) for line in lines if line and line[0] not in "#;")


class Unit:
    """A unit file, read as systemd reads the parts of it that we need."""

    def __init__(self, root, name):
        base, at, instance = name.removesuffix(".service").partition("@")
        self.root, self.name, self.instance = root, name, instance
        self.lines = [line.partition("=")[::2] for line in (root / UNITS / f"{base}{at}.service").read_text().splitlines()
                      if "=" in line and line[0] != "#"]

    def all(self, key):
        return [value.replace("%i", self.instance) for name, value in self.lines if name == key]

    def environment(self):
        env = {}
        for value in self.all("Environment"):
            env.update(word.split("=", 1) for word in shlex.split(value))
        for value in self.all("EnvironmentFile"):
            path = self.root / value.removeprefix("-").lstrip("/")
            assert path.exists() or value.startswith("-"), f"{self.name}: {value} is not there"
            env.update(read_env(path) if path.exists() else {})
        return env


class Service:
    """A unit's ExecStart in the root, as the unit's user, with a socket to notify."""

    def __init__(self, unit):
        user, = unit.all("User")
        ids = [int(inside(unit.root, "id", flag, user)) for flag in ("-u", "-g")]
        self.unit, self.heard = unit, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        name = f"@flk-deb-{os.getpid()}-{unit.name}"
        self.heard.bind("\0" + name[1:])
        self.heard.settimeout(60)
        command = shlex.split(unit.all("ExecStart")[0])
        self.log = unit.root / "tmp" / f"{unit.name}.log"
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", "chroot", f"--userspec={ids[0]}:{ids[1]}", "--groups=", str(unit.root), *command],
            env={"PATH": PATH, "NOTIFY_SOCKET": name, **unit.environment()}, stdin=subprocess.DEVNULL,
            stdout=self.log.open("wb"), stderr=subprocess.STDOUT)

    def wait_for(self, state):
        try:
            said = self.heard.recv(4096).decode()
        except TimeoutError:
            raise AssertionError(f"{self.unit.name} did not say {state}:\n{self.log.read_text()}") from None
        assert state in said.splitlines(), said

    def stop(self):
        """SIGTERM, and 0 within the time that the unit gives."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(float(self.unit.all("TimeoutStopSec")[0]))
        assert status == 0, f"{self.unit.name} ended with {status}\n{self.log.read_text()}"


def configure(root):
    """Free ports and a key by the files of /etc/flk, as an operator would."""
    front, back = (f"tcp://127.0.0.1:{free_port()}" for _ in range(2))
    http, zmq, pages = free_port(), free_port(), [free_port() for _ in range(3)]
    key = root / "etc/flk/hmac-key"
    key.write_text("0123456789abcdef0123456789abcdef\n")
    call("chroot", root, "chown", "root:flk", "/etc/flk/hmac-key")
    key.chmod(0o640)
    signing = "PCS_SIGN_ALG=hmac\nPCS_HMAC_KEY_FILE=/etc/flk/hmac-key\n"
    texts = {"gateway": f"FLK_HTTP_LISTEN=127.0.0.1:{http}\nFLK_ZMQ_LISTEN=tcp://127.0.0.1:{zmq}\nFLK_FRONTENDS={front}\n",
             "broker": f"FLK_FRONTENDS={front}\nFLK_BACKENDS={back}\n", "worker": f"FLK_BACKENDS={back}\n{signing}",
             "agent": f"ENDPOINT=http://127.0.0.1:{http}/v1/pcs/submit\n{signing}",
             "agent@quakes": "AGENT_ARGS=--window 6h --slide 15m --columns longitude,latitude,depth_km /srv/quakes.csv\n"}
    for name, text in texts.items():
        (root / "etc/flk" / f"{name}.env").write_text(text)
    shutil.copy(QUAKES, root / "srv" / "quakes.csv")
    return pages


def run_cluster(root):
    pages = configure(root)
    names = [f"flk-broker@{pages[0]}.service", *(f"flk-worker@{page}.service" for page in pages[1:]), "flk-gateway.service"]
    with contextlib.ExitStack() as stack:
        services = []
        for name in names:
            service = Service(Unit(root, name))
            stack.callback(service.process.kill)
            service.wait_for("READY=1")
            services.append(service)
        gateway = services[-1].unit.environment()
        wait_healthy(root, gateway)
        summary = run_agent(root)
        assert summary["accepted"] == summary["answered"] == 594 and summary["dead"] == 0, summary
        submit_again(root)
        for service in reversed(services):  # gateway, workers, broker
            service.stop()
            service.wait_for("STOPPING=1")
    say(f"a cluster from the units: {summary['answered']} answers, all stopped with 0")


def wait_healthy(root, env):
    end = time.monotonic() + 60
    while subprocess.run(["chroot", str(root), "flk", "healthcheck", "gateway"], env={"PATH": PATH, **env},
                         capture_output=True).returncode != 0:
        assert time.monotonic() < end, "the gateway is not healthy after 60 s"
        time.sleep(0.1)


def run_agent(root):
    unit = Unit(root, "flk-agent@quakes.service")
    env = unit.environment()
    command = unit.all("ExecStart")[0].replace("$AGENT_ARGS", env.pop("AGENT_ARGS"))
    ids = inside(root, "id", "-u", "flk").strip(), inside(root, "id", "-g", "flk").strip()
    done = call("chroot", f"--userspec={ids[0]}:{ids[1]}", "--groups=", root, *shlex.split(command), env={"PATH": PATH, **env}, timeout=120)
    return json.loads(done)


def submit_again(root):
    """The front door, beside the cluster: the same PCS by another way, answered from the store."""
    env = {"PATH": PATH, **Unit(root, "flk-agent@quakes.service").environment()}
    env.pop("AGENT_ARGS")
    one = call("chroot", root, "flk", "agent", "compute", "--window", "6h", "--slide", "15m", "--columns",
               "longitude,latitude,depth_km", "/srv/quakes.csv", env=env).splitlines()[0]
    done = subprocess.run(["chroot", str(root), "flk", "submit", "--json", "-"], env=env, input=one + "\n", text=True, capture_output=True, timeout=60)
    assert done.returncode == 0 and json.loads(done.stdout)["duplicate"], done


def check_documents(root):
    programs = sorted(path.name for path in (root / "usr/bin").glob("flk*"))
    assert len(programs) == 6, programs
    for program in programs:
        assert (root / f"usr/share/man/man1/{program}.1.gz").exists() or not (root / "usr/share/man/man1").exists(), program
    script = ("source /usr/share/bash-completion/completions/flk; COMP_WORDS=(flk he); COMP_CWORD=1; _flk; echo ${COMPREPLY[@]};"
              "COMP_WORDS=(flk doctor --j); COMP_CWORD=2; _flk; echo ${COMPREPLY[@]}")
    verbs, options = inside(root, "bash", "-c", script).splitlines()
    assert verbs.split() == ["healthcheck", "help"] and options == "--json", (verbs, options)


def check_life(root, deb):
    """Installing again keeps the operator's changes; removing keeps log, store and settings; purging keeps nothing."""
    mine = (root / "etc/flk/gateway.env").read_text()
    inside(root, "apt-get", "install", "-y", "--reinstall", f"/{deb.name}")
    assert (root / "etc/flk/gateway.env").read_text() == mine
    assert (root / "etc/flk/gateway.env").stat().st_mode & 0o777 == 0o640
    inside(root, "apt-get", "remove", "-y", "flk")
    assert (root / "var/lib/flk/inbox").is_dir() and (root / "etc/flk/gateway.env").exists() and not (root / "usr/bin/flk").exists()
    inside(root, "dpkg", "--purge", "flk")
    assert not (root / "var/lib/flk").exists() and not (root / "etc/flk/gateway.env").exists()


def lint(deb):
    if shutil.which("lintian") is None:
        say("lintian is not here: not run")
        return
    said = subprocess.run(["lintian", "--fail-on", "error", str(deb)], capture_output=True, text=True)
    assert said.returncode == 0, said.stdout
    say(f"lintian: no errors, {len(re.findall('^W:', said.stdout, re.M))} warnings")


def main():
    deb, suite = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2]
    need_root("deb")
    lint(deb)
    with tempfile.TemporaryDirectory(prefix="flk-deb-") as place, contextlib.ExitStack() as stack:
        root = copy(suite, pathlib.Path(place) / "root")
        shutil.copy(deb, root)
        stack.enter_context(with_proc(root))
        inside(root, "apt-get", "update", "-q")
        inside(root, "apt-get", "install", "-y", "--no-install-recommends", f"/{deb.name}")
        say(f"{deb.name} installed in a fresh {suite}")
        check_documents(root)
        run_cluster(root)
        check_life(root, deb)
    say("deb: passed")


main()
