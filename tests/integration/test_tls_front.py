# SPDX-License-Identifier: MIT
"""TLS in front of the HTTP door with real Caddy and the very files of compose/caddy: the public side, and mutual TLS on the hop to the gateway."""
import http.client
import os
import shutil
import socket
import ssl
import subprocess

import pytest

from harness import doors, pcs as reference
from harness.cluster import Cluster
from harness.process import ROOT, SLOW, Process, free_port, wait_for

CADDY = shutil.which("caddy")
FILES = ROOT / "compose" / "caddy"
pytestmark = pytest.mark.skipif(CADDY is None, reason="caddy is not installed")


def openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, timeout=60)


class Authority:
    def __init__(self, directory, name):
        self.directory, self.name = directory, name
        self.key, self.cert = directory / f"{name}.key", directory / f"{name}.pem"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", self.key,
                "-out", self.cert, "-days", 2, "-subj", f"/CN={name}")

    def issue(self, name, start="20200101000000Z", end="20990101000000Z"):
        """Certificate and key for `name`, localhost and 127.0.0.1."""
        key, request, cert = (self.directory / f"{self.name}-{name}.{kind}" for kind in ("key", "csr", "pem"))
        config, database = self.directory / f"{self.name}-{name}.cnf", self.directory / f"{self.name}-{name}.db"
        database.write_text("")
        config.write_text(f"[ca]\ndefault_ca=d\n[d]\ndatabase={database}\nnew_certs_dir={self.directory}\nrand_serial=yes\n"
                          f"default_md=sha256\npolicy=p\nx509_extensions=x\n[p]\ncommonName=supplied\n[x]\n"
                          f"subjectAltName=DNS:{name},DNS:localhost,IP:127.0.0.1\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", request,
                "-subj", f"/CN={name}")
        openssl("ca", "-batch", "-notext", "-config", config, "-cert", self.cert, "-keyfile", self.key, "-in", request,
                "-out", cert, "-startdate", start, "-enddate", end)
        return cert, key


@pytest.fixture(scope="module")
def authorities(tmp_path_factory):
    directory = tmp_path_factory.mktemp("pki")
    return Authority(directory, "ours"), Authority(directory, "theirs")


class Caddy(Process):
    def __init__(self, name, file, port, directory, **env):
        super().__init__(name, CADDY, {"HOME": directory, "XDG_DATA_HOME": directory, "XDG_CONFIG_HOME": directory, **env}, directory)
        self.file, self.port = FILES / file, port

    def start(self):
        self.log_path.touch()
        with open(self.log_path, "ab") as log:
            self.child = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", CADDY, "run", "--adapter", "caddyfile", "--config",
                                           str(self.file)], env={"PATH": os.environ["PATH"], **{k: str(v) for k, v in self.env.items()}},
                                          stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.stopping = False
        wait_for(self.listens, 30, lambda: f"{self.name} does not listen\n{self.log_tail()}")
        return self

    def listens(self):
        assert self.alive(), self.log_tail()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


def context(authority, client=None):
    made = ssl.create_default_context(cafile=str(authority.cert))
    if client:
        made.load_cert_chain(*map(str, client))
    return made


def ask(port, tls, method="GET", path="/healthz", body=None, **headers):
    connection = http.client.HTTPSConnection("localhost", port, timeout=20 * SLOW, context=tls)
    try:
        connection.request(method, path, body=body, headers=headers)
        return doors._answer(connection.getresponse())
    finally:
        connection.close()


def submit(port, tls, pcs):
    return ask(port, tls, "POST", doors.PATH, reference.encode(pcs), **{"Content-Type": "application/json"})


# The public side: PCS are answered over TLS, with the gateway's own answers; the inside's pages are not there, a client that trusts another CA
# does not get as far as a request, and there is neither plain HTTP nor old TLS on the port.
def test_public_side(authorities, seed, tmp_path):
    ours, theirs = authorities
    cert, key = ours.issue("public")
    port = free_port()
    with Cluster(gateway_env={"FLK_HTTP_BEHIND_PROXY": 1}) as cluster, Caddy(
            "caddy", "Caddyfile.edge", port, tmp_path, SITE=f"https://localhost:{port}", SITE_TLS=f"{cert} {key}",
            GATEWAY="%s:%d" % cluster.gateway.http):
        factory = reference.Factory(seed)
        for _ in range(20):
            pcs = factory.make()
            answer = submit(port, context(ours), pcs)
            assert answer.outcome() == doors.predicted(pcs), answer
        assert "strict-transport-security" in answer.headers and "server" not in answer.headers, answer
        assert submit(port, context(ours), {**factory.make(), "sig": "AAAA"}).status == 401
        assert ask(port, context(ours)).status == 200
        for path in ("/metrics", "/", "/v1/pcs/submit/x"):
            assert ask(port, context(ours), path=path).status == 404, path
        assert submit(port, context(ours), factory.make(merkle_root="0" * 2_000_000)).status in (400, 413, 502)
        with pytest.raises(ssl.SSLError):
            ask(port, context(theirs))
        old = context(ours)
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        with pytest.raises(ssl.SSLError):
            ask(port, old)
        plain = doors.http_raw(("127.0.0.1", port), b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert plain is None or plain.status == 400, plain


# The hop across a trust boundary is mutual TLS: the proxy in front gets through; without a certificate, with one of another CA, with an expired
# one, or with one that is not valid yet, nobody gets as far as a request.
def test_mutual_tls_to_the_gateway(authorities, seed, tmp_path):
    ours, theirs = authorities
    public, edge, inner = ours.issue("public-m"), ours.issue("edge"), ours.issue("gateway")
    front, hop = free_port(), free_port()
    with Cluster(gateway_env={"FLK_HTTP_BEHIND_PROXY": 1}) as cluster, Caddy(
            "caddy-hop", "Caddyfile.hop", hop, tmp_path, HOP_LISTEN=f"https://:{hop}", HOP_CA=ours.cert, HOP_CERT=inner[0],
            HOP_KEY=inner[1], GATEWAY="%s:%d" % cluster.gateway.http), Caddy(
            "caddy-edge", "Caddyfile.edge-mtls", front, tmp_path, SITE=f"https://localhost:{front}",
            SITE_TLS="%s %s" % public, GATEWAY_MTLS=f"127.0.0.1:{hop}", HOP_CA=ours.cert, HOP_CERT=edge[0],
            HOP_KEY=edge[1]):
        factory = reference.Factory(seed)
        for _ in range(10):
            pcs = factory.make()
            assert submit(front, context(ours), pcs).outcome() == doors.predicted(pcs)
        assert submit(hop, context(ours, edge), factory.make()).status in (200, 202)
        assert ask(hop, context(ours, edge), path="/metrics").status == 404
        before = cluster.gateway.metrics().total("flk_ingest_total")
        strangers = {"no certificate": None, "another CA": theirs.issue("edge"),
                     "expired": ours.issue("late", "20200101000000Z", "20200102000000Z"),
                     "not valid yet": ours.issue("early", "20980101000000Z", "20990101000000Z")}
        for name, client in strangers.items():
            with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
                print(name, submit(hop, context(ours, client), factory.make()))
        assert cluster.gateway.metrics().total("flk_ingest_total") == before
