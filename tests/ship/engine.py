# SPDX-License-Identifier: MIT
"""A Docker engine of our own: Debian's dockerd with its data, socket and networks in a temporary directory, ended by its pid.
An engine that DOCKER_HOST names is used as it is."""
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

from roots import ROOT, base, call, copy, give_up, inside, say, thin, unmount_below

BASE = "debian:trixie-slim"
IMAGE = "flk:0.1.0"


class Engine:
    def __init__(self, host):
        self.env = {**os.environ, "DOCKER_HOST": host, "DOCKER_BUILDKIT": "0"}

    def docker(self, *words, **options):
        return call("docker", *words, env=self.env, **options)

    def tries(self, *words, **options):
        """The same, for a command that may fail: CompletedProcess."""
        return subprocess.run(["docker", *map(str, words)], env=self.env, capture_output=True, text=True, **options)

    def look(self, kind, name):
        return json.loads(self.docker(kind, "inspect", name))[0]

    def answers(self):
        return self.tries("version", "--format", "{{.Server.Version}}")


@contextlib.contextmanager
def engine():
    host = os.environ.get("DOCKER_HOST")
    if host:
        yield Engine(host)
        return
    if shutil.which("dockerd") is None:
        give_up("no Docker engine: install docker.io, or set DOCKER_HOST")
    with tempfile.TemporaryDirectory(prefix="flk-engine-") as place:
        socket = f"unix://{place}/docker.sock"
        kept = ROOT / "build" / "docker"  # layers outlive the run: the next build is short
        command = ["dockerd", "--data-root", str(kept), "--exec-root", f"{place}/exec", "--pidfile", f"{place}/pid", "-H", socket,
                   "--iptables=false", "--ip6tables=false", "--bridge=none"]
        with open(ROOT / "build" / "dockerd.log", "wb") as log:
            daemon = subprocess.Popen(["setpriv", "--pdeathsig", "TERM", *command], stdout=log, stderr=log)
        try:
            yield wait_for_engine(Engine(socket), daemon)
        finally:
            daemon.terminate()
            daemon.wait(60)
            unmount_below(place)  # it leaves the namespace of --network host
            unmount_below(kept)


def wait_for_engine(made, daemon):
    end = time.monotonic() + 60
    while (answer := made.answers()).returncode != 0:
        if daemon.poll() is not None or time.monotonic() > end:
            tail = (ROOT / "build" / "dockerd.log").read_text().splitlines()[-3:]
            give_up("no Docker engine can run here: " + " | ".join(tail))
        time.sleep(0.2)
    say(f"Docker engine {answer.stdout.strip()}")
    return made


def make_base(made):
    """Images cannot be pulled everywhere: a debootstrapped root, as thin as Debian's own slim image, under its name."""
    if made.tries("image", "inspect", BASE).returncode == 0:
        return
    with tempfile.TemporaryDirectory(prefix="flk-base-") as place:
        root = thin(copy("trixie", pathlib.Path(place) / "root"))
        (root / "etc" / "resolv.conf").unlink()
        call("sh", "-c", f"tar -C '{root}' -c . | docker import - {BASE}", env=made.env)


def build_image(made):
    """The real Dockerfile, with the host's network for apt."""
    make_base(made)
    commit = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip() or "unknown"
    say("building the image: some minutes for the first time")
    made.docker("build", "--network", "host", "--label", f"org.opencontainers.image.revision={commit}", "-f", ROOT / "compose" / "Dockerfile",
                "-t", IMAGE, ROOT, timeout=3000)


def compose_program():
    """Compose v2: the host's, or the one of a trixie root, which needs nothing of it but the C library."""
    host = pathlib.Path("/usr/libexec/docker/cli-plugins/docker-compose")
    if host.exists():
        return [str(host)]
    root = base("trixie")
    program = root / "usr/libexec/docker/cli-plugins/docker-compose"
    if not program.exists():
        say("taking docker-compose from Debian 13, once")
        shutil.copy("/etc/resolv.conf", root / "etc" / "resolv.conf")
        inside(root, "apt-get", "update", "-q")
        inside(root, "sh", "-c", "cd /tmp && apt-get download -q docker-compose && dpkg -x docker-compose_*.deb /tmp/compose")
        program.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / "tmp/compose" / program.relative_to(root), program)
        shutil.rmtree(root / "tmp/compose")
    library = next(root.glob("usr/lib/*-linux-gnu/libc.so.6")).parent
    loader = next(root.glob("usr/lib64/ld-linux*.so.*"), None) or next(library.glob("ld-linux*.so.*"))
    return [str(loader), "--library-path", str(library), str(program)]
