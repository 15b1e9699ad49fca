# SPDX-License-Identifier: MIT
"""Container images without an engine or a registry: programs of this machine with the libraries that they need, as archives that
containerd imports. compose/Dockerfile makes flk's lean image, for which `./run image` needs an engine; this one takes a second."""
import hashlib
import io
import json
import pathlib
import re
import shutil
import subprocess
import tarfile
import tempfile

from .place import BIN, IMAGES, Broken, call

PAUSE = r"""
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
static void reap(int number) { (void)number; while (waitpid(-1, NULL, WNOHANG) > 0) { } }
static void leave(int number) { (void)number; _exit(0); }
int main(void) { signal(SIGCHLD, reap); signal(SIGTERM, leave); signal(SIGINT, leave); for (;;) pause(); }
"""
FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nflk:x:10001:10001:flk:/var/lib/flk:/bin/sh\n",
    "etc/group": "root:x:0:\nflk:x:10001:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
FOLDERS = ("bin", "usr", "usr/bin", "etc", "lib", "lib64", "var", "var/lib", "proc", "sys", "dev", "root")
PATH = "PATH=/usr/bin:/bin"


class Layer:
    def __init__(self):
        self.bytes = io.BytesIO()
        self.tar = tarfile.open(fileobj=self.bytes, mode="w")

    def _add(self, name, data=None, **facts):
        entry = tarfile.TarInfo(name.lstrip("/"))
        for fact, value in facts.items():
            setattr(entry, fact, value)
        entry.size = len(data or b"")
        self.tar.addfile(entry, io.BytesIO(data) if data is not None else None)

    def folder(self, name, mode=0o755, owner=0):
        self._add(name, type=tarfile.DIRTYPE, mode=mode, uid=owner, gid=owner)

    def file(self, name, data, mode=0o755):
        self._add(name, data, mode=mode)

    def link(self, name, target):
        self._add(name, type=tarfile.SYMTYPE, linkname=target, mode=0o777)

    def end(self):
        self.tar.close()
        return self.bytes.getvalue()


def libraries(program):
    """path -> file of the shared libraries that a program loads, and its loader."""
    told = subprocess.run(["ldd", str(program)], capture_output=True, text=True).stdout
    return {found: pathlib.Path(found).resolve() for line in told.splitlines() for found in re.findall(r"(/\S+) \(0x", line)}


def add_busybox(layer, taken):
    busybox = shutil.which("busybox")
    layer.file("bin/busybox", pathlib.Path(busybox).read_bytes())
    for applet in call(busybox, "--list").split():
        if applet != "busybox" and applet not in taken:
            layer.link(f"bin/{applet}", "busybox")


def fill(programs, shell, texts):
    """programs: path in the image -> file here; texts: path -> content."""
    layer, needed = Layer(), {}
    for name in FOLDERS:
        layer.folder(name)
    layer.folder("tmp", 0o1777)
    layer.folder("var/lib/flk", 0o750, 10001)
    for name, text in {**FILES, **texts}.items():
        layer.file(name, text.encode(), 0o644)
    for path, file in programs.items():
        if file is None or not pathlib.Path(file).exists():
            raise Broken(f"{path}: there is no such program on this machine")
        layer.file(path, pathlib.Path(file).read_bytes())
        needed.update(libraries(file))
    if needed:  # names are resolved by modules that the C library loads by itself
        needed.update({str(file): file.resolve() for file in pathlib.Path("/lib").glob("*-linux-gnu/libnss_*.so.2")})
    for path, file in needed.items():
        layer.file(path, file.read_bytes())
    if shell:
        add_busybox(layer, {pathlib.PurePosixPath(path).name for path in programs})
    return layer.end()


def image(file, name, programs, shell=True, texts=None, **config):
    data = fill(programs, shell, texts or {})
    digest = hashlib.sha256(data).hexdigest()
    about = json.dumps({"architecture": "amd64", "os": "linux", "created": "2024-01-01T00:00:00Z", "config": {"Env": [PATH], **config},
                        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]}}).encode()
    key = hashlib.sha256(about).hexdigest()
    outer = Layer()
    outer.file(f"{digest}.tar", data, 0o644)
    outer.file(f"{key}.json", about, 0o644)
    outer.file("manifest.json", json.dumps([{"Config": f"{key}.json", "RepoTags": [f"docker.io/library/{name}"],
                                             "Layers": [f"{digest}.tar"]}]).encode(), 0o644)
    IMAGES.mkdir(parents=True, exist_ok=True)
    target = IMAGES / file
    archive = outer.end()
    if not target.exists() or target.read_bytes() != archive:  # a newer file is imported again
        target.write_bytes(archive)


def made():
    """Whether make_cluster has run since the programs were built."""
    last = IMAGES / "promtool.tar"
    return last.exists() and last.stat().st_mtime >= max((BIN / name).stat().st_mtime for name in ("kube", "coredns"))


def make_cluster():
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        (scratch / "pause.c").write_text(PAUSE)
        call("gcc", "-Os", "-static", "-s", "-o", scratch / "pause", scratch / "pause.c")
        image("pause.tar", "pause:1", {"/pause": scratch / "pause"}, shell=False, Entrypoint=["/pause"])
    image("coredns.tar", "coredns:1", {"/coredns": BIN / "coredns"}, shell=False, Entrypoint=["/coredns"])
    image("metrics.tar", "metrics:1", {"/metrics-server": BIN / "kube"}, shell=False, Entrypoint=["/metrics-server"])
    image("tools.tar", "tools:1", {}, Cmd=["sh"])
    image("redis.tar", "redis:1", {f"/usr/bin/{name}": shutil.which(name) for name in ("redis-server", "redis-cli")}, Cmd=["redis-server"])
    image("promtool.tar", "promtool:1", {"/usr/bin/promtool": shutil.which("promtool")}, Cmd=["sh"])


def make_flk(built, *tags, texts=None, env=()):
    """The same programs under each tag. Texts and environment are there beside."""
    programs = {f"/usr/bin/{file.name}": file for file in sorted(built.glob("flk*")) if file.is_file() and file.name != "flk-load"}
    if len(programs) < 5:
        raise Broken(f"{built} has no programs of flk: run ./run build")
    programs["/usr/bin/tini"] = shutil.which("tini")
    for tag in tags:
        image(f"flk-{tag}.tar", f"flk:{tag}", programs, texts=texts, User="10001:10001", WorkingDir="/var/lib/flk",
              Env=[PATH, "FLK_DATA_DIR=/var/lib/flk", "FLK_HTTP_LISTEN=0.0.0.0:8080", *env],
              Labels={"tag": tag}, Volumes={"/var/lib/flk": {}}, Entrypoint=["/usr/bin/tini", "--", "/usr/bin/flk"], Cmd=["help"])
