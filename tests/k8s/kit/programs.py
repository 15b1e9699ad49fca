# SPDX-License-Identifier: MIT
"""The cluster's programs, built from their Go modules once. The one of Kubernetes takes half an hour of two cores, so it is kept."""
import os
import pathlib
import re
import shutil
import subprocess
import sys

from .place import BIN, COREDNS, ETCD, HERE, KUBERNETES, METRICS_SERVER, ROOT, SOURCES, TOOLS, Broken, call, say

sys.path.insert(0, str(ROOT / "tests" / "chart"))
import tools  # noqa: E402

COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "metrics-server")
ENVIRONMENT = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=mod -trimpath"}


def go(*words, cwd, seconds=3 * 3600):
    return call("nice", "go", *words, cwd=cwd, env=ENVIRONMENT, timeout=seconds)


def module(name, text, source):
    """A folder with a go.mod, whose sums are filled in. Modules that only tests of far dependencies need may be missing."""
    place = SOURCES / name
    place.mkdir(parents=True, exist_ok=True)
    (place / "go.mod").write_text(text)
    shutil.copy(HERE / "programs" / source, place / "main.go")
    with open(place / "tidy.log", "w") as log:
        subprocess.run(["go", "mod", "tidy", "-e"], cwd=place, env=ENVIRONMENT, stdout=log, stderr=log)
    return place


def upstream_modules(scratch):
    """Modules that Kubernetes' go.mod takes from its staging folder, and says v0.0.0 of: they are published as v0.MINOR.PATCH."""
    scratch.mkdir(parents=True, exist_ok=True)
    go("mod", "download", f"k8s.io/kubernetes@v{KUBERNETES}", cwd=scratch)
    cache = go("env", "GOMODCACHE", cwd=scratch).strip()
    with open(f"{cache}/k8s.io/kubernetes@v{KUBERNETES}/go.mod") as file:
        staged = re.findall(r"^\s*(k8s\.io/\S+) v0\.0\.0$", file.read(), re.M)
    return [*staged, "k8s.io/sample-cli-plugin", "k8s.io/sample-controller"]


def build_kube():
    published = f"v0.{KUBERNETES.partition('.')[2]}"
    replaced = "".join(f"\t{name} => {name} {published}\n" for name in upstream_modules(SOURCES / "scratch"))
    place = module("kube", f"""module k8s.local/cluster

go 1.24.4

require (
\tk8s.io/kubernetes v{KUBERNETES}
\tsigs.k8s.io/metrics-server v{METRICS_SERVER}
\tgo.etcd.io/etcd/server/v3 v{ETCD}
)

replace (
{replaced})
""", "kube.go")
    major, minor, _ = KUBERNETES.split(".")
    version = "k8s.io/component-base/version"
    said = [f"-X {version}.gitVersion=v{KUBERNETES}", f"-X k8s.io/client-go/pkg/version.gitVersion=v{KUBERNETES}",
            f"-X {version}.gitMajor={major}", f"-X {version}.gitMinor={minor}"]
    go("build", "-ldflags", " ".join(["-s", "-w", *said]), "-o", BIN / "kube", ".", cwd=place)


def build_coredns():
    place = module("coredns", f"module k8s.local/dns\n\ngo 1.25.0\n\nrequire github.com/coredns/coredns v{COREDNS}\n", "coredns.go")
    go("build", "-ldflags", "-s -w", "-o", BIN / "coredns", ".", cwd=place)


def make():
    try:
        tools.install(TOOLS)
    except tools.Missing as reason:
        raise Broken(str(reason)) from reason
    BIN.mkdir(parents=True, exist_ok=True)
    for name, build in (("kube", build_kube), ("coredns", build_coredns)):
        if not (BIN / name).exists():
            if shutil.which("go") is None:
                raise Broken("go is not installed: 1.25 or later builds the cluster's programs")
            say(f"building {name} into {BIN}, once")
            build()
    for name in COMPONENTS:
        if not (BIN / name).exists():
            (BIN / name).symlink_to("kube")


def download(name):
    """The folder of a Go module, which is not built."""
    scratch = SOURCES / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    go("mod", "download", name, cwd=scratch)
    path, _, version = name.partition("@")
    return pathlib.Path(go("env", "GOMODCACHE", cwd=scratch).strip()) / f"{path}@{version}"
