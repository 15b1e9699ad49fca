# SPDX-License-Identifier: MIT
"""The chart's sidecar: Debian's Caddy with the chart's files and environment, and certificates made here, before a real gateway."""
import http.client
import re
import shutil
import socket
import ssl
import subprocess

import pytest
from conftest import render
from test_policy import Cluster  # harness, by the path that it sets

from harness import doors, pcs as reference
from harness.process import Process, free_port, wait_for


def openssl(directory, *arguments):
    done = subprocess.run(["openssl", *arguments], cwd=directory, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def authority(directory, name):
    openssl(directory, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={name}",
            "-keyout", f"{name}.key", "-out", f"{name}.crt")


def certificate(directory, name, issuer):
    openssl(directory, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
            "-addext", "subjectAltName=DNS:gateway,IP:127.0.0.1", "-keyout", f"{name}.key", "-out", f"{name}.csr")
    openssl(directory, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{issuer}.crt", "-CAkey", f"{issuer}.key", "-CAcreateserial", "-days", "2",
            "-copy_extensions", "copy", "-out", f"{name}.crt")


def rendered(kind):
    """The objects of one kind, of a chart whose sidecar is switched on."""
    return [item for item in render("--set", "gateway.mtlsSidecar.enabled=true,gateway.mtlsSidecar.existingSecret=tls") if item["kind"] == kind]


def mount(directory):
    """Caddy's files as the ConfigMap's volume has them."""
    texts = next(item["data"] for item in rendered("ConfigMap") if item["metadata"]["name"].endswith("-caddyfile"))
    volumes = [volume for item in rendered("StatefulSet") for volume in item["spec"]["template"]["spec"].get("volumes", ())]
    volume = next(volume for volume in volumes if volume["name"] == "caddyfile")
    for item in volume["configMap"]["items"]:
        path = directory / item["path"]
        path.parent.mkdir(exist_ok=True)
        path.write_text(texts[item["key"]])


def environment(directory):
    """The container's environment, with its mounts' paths in `directory`."""
    containers = [container for item in rendered("StatefulSet") for container in item["spec"]["template"]["spec"]["containers"]]
    caddy = next(container for container in containers if container["name"] == "caddy")
    return {entry["name"]: re.sub("^(/etc/flk/tls|/tmp)", str(directory), entry["value"]) for entry in caddy["env"]}


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory):
    """(port, directory with certificates) of a Caddy that is set up as the chart's sidecar is, and the gateway behind it."""
    if not shutil.which("caddy"):
        pytest.skip("caddy is not installed (apt-get install caddy)")
    directory, port = tmp_path_factory.mktemp("sidecar"), free_port()
    for name in ("ca", "stranger"):
        authority(directory, name)
    for name, issuer in (("tls", "ca"), ("client", "ca"), ("impostor", "stranger")):
        certificate(directory, name, issuer)
    with Cluster() as cluster:
        mount(directory)
        env = {**environment(directory), "HOP_LISTEN": f"https://:{port}", "GATEWAY": "%s:%d" % cluster.gateway.http, "HOME": directory}
        caddy = Process("caddy", shutil.which("caddy"), env, directory,
                        arguments=["run", "--config", str(directory / "Caddyfile.hop"), "--adapter", "caddyfile"]).start()

        def listens():
            caddy.check()
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0
        try:
            wait_for(listens, 60, lambda: f"Caddy does not listen\n{caddy.log_tail()}")
            yield port, directory
        finally:
            caddy.terminate()
            caddy.wait(30)


def request(sidecar, name, method, path, body=None):
    port, directory = sidecar
    context = ssl.create_default_context(cafile=str(directory / "ca.crt"))
    if name:
        context.load_cert_chain(directory / f"{name}.crt", directory / f"{name}.key")
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=30)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        return connection.getresponse().status
    finally:
        connection.close()


# A client with a certificate of the CA submits, and reaches nothing but the door.
def test_a_known_client_submits(sidecar):
    made = reference.Factory(3, "mtls", escalate_every=0).make()
    assert request(sidecar, "client", "POST", doors.PATH, reference.encode(made)) == 200
    assert request(sidecar, "client", "GET", "/metrics") == 404


# A client without a certificate, or with one of another CA, is turned away in the handshake.
@pytest.mark.parametrize("name", [None, "impostor"])
def test_others_are_turned_away(sidecar, name):
    with pytest.raises((ssl.SSLError, ConnectionError)):
        request(sidecar, name, "GET", doors.PATH)
