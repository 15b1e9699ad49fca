# SPDX-License-Identifier: MIT
"""The HTTP door behind real proxies (Caddy, nginx, haproxy), and in front of ordinary clients: a request that a proxy does not let through is not
reached by another spelling, no request hides in another one, and a refusal is read by a client that still sends."""
import http.client
import os
import re
import shutil
import socket
import subprocess
import threading

import pytest

from harness import doors, pcs as reference
from harness.cluster import Cluster
from harness.process import ROOT, SLOW, Process, free_port, run, wait_for

PROXIES = ("caddy", "nginx", "haproxy")
CADDY = """{{
  import {parts}/options
}}
http://:{port} {{
  import {parts}/paths
  reverse_proxy {gateway} {{
    import {parts}/upstream
    transport http {{
      import {parts}/transport
    }}
  }}
}}
"""  # as Caddyfile.edge, without its TLS
NGINX = """daemon off; pid {directory}/pid; error_log stderr; worker_processes 1; events {{}}
http {{ access_log off; client_body_temp_path {directory}/b; proxy_temp_path {directory}/p; fastcgi_temp_path {directory}/f;
  uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s; client_max_body_size 2m; merge_slashes off;
  upstream door {{ server {gateway}; keepalive 4; }}
  server {{ listen 127.0.0.1:{port};
    location = /v1/pcs/submit {{ proxy_pass http://door; proxy_http_version 1.1; proxy_set_header Connection ""; }}
    location = /v1/pcs/batch {{ client_max_body_size 9m; client_body_buffer_size 9m; proxy_pass http://door; proxy_http_version 1.1; proxy_set_header Connection ""; }}
    location = /healthz {{ proxy_pass http://door; proxy_http_version 1.1; proxy_set_header Connection ""; }}
    location / {{ return 404; }} }} }}
"""
HAPROXY = """defaults
  mode http
  timeout client 30s
  timeout server 30s
  timeout connect 5s
frontend door
  bind 127.0.0.1:{port}
  acl inside path /v1/pcs/submit /v1/pcs/batch /healthz
  http-request deny deny_status 404 unless inside
  default_backend gateway
backend gateway
  server gateway {gateway}
"""


class Proxy(Process):
    def __init__(self, name, gateway, directory):
        program, self.port = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin"), free_port()
        address = "%s:%d" % gateway
        file = directory / f"{name}.conf"
        text = {"caddy": CADDY, "nginx": NGINX, "haproxy": HAPROXY}[name]
        file.write_text(text.format(directory=directory, gateway=address, port=self.port, parts=ROOT / "compose" / "caddy" / "parts"))
        arguments = {"caddy": ["run", "--adapter", "caddyfile", "--config", str(file)], "nginx": ["-c", str(file)],
                     "haproxy": ["-db", "-f", str(file)]}[name]
        env = {"HOME": directory, "XDG_DATA_HOME": directory, "XDG_CONFIG_HOME": directory}
        super().__init__(name, program, env, directory, arguments=arguments)

    def __enter__(self):
        self.start()
        wait_for(self.listens, 30, lambda: f"{self.name} does not listen\n{self.log_tail()}")
        return ("127.0.0.1", self.port)

    def listens(self):
        assert self.alive(), self.log_tail()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def __exit__(self, *_):
        self.kill()


def exchange(address, data, seconds=20 * SLOW):
    """All that comes back until the other side closes, or is silent for so long."""
    with socket.create_connection(address, 20 * SLOW) as sock:
        came = b""
        try:
            sock.sendall(data)
            sock.settimeout(seconds)
            while got := sock.recv(65536):
                came += got
        except OSError:
            pass
        return came


# Spellings that a proxy or a server might take for /metrics, which is for the inside, or for a page that is let through.
TARGETS = ["/metrics", "/metrics%00/../healthz", "/metrics%00", "/metrics.", "/metrics/", "//metrics", "/x/../metrics", "/./metrics", "/%6detrics",
           "/metrics?x", "/metrics;x", "/metrics#x", "/healthz/../metrics", "/healthz/..%2fmetrics", "/healthz%2f..%2fmetrics", "/healthz/..;/metrics",
           "/healthz%00/../metrics", "/healthz/../../metrics", "\\metrics", "/metrics%20", "/METRICS", "http://x/metrics", "http://x/x/../metrics",
           "/v1/pcs/submit/../../../metrics", "/healthz?/../metrics", "/healthz#/../metrics", "/metrics%2e", "/.%2e/metrics"]


# No spelling of /metrics comes through a proxy that is told to keep it inside.
@pytest.mark.parametrize("name", PROXIES)
def test_targets_through_a_proxy(name, tmp_path, seed):
    assert shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin"), f"{name} is not installed"
    with Cluster(gateway_env={"FLK_HTTP_BEHIND_PROXY": 1}) as cluster, Proxy(name, cluster.gateway.http, tmp_path) as proxy:
        factory = reference.Factory(seed)
        for _ in range(5):
            pcs = factory.make()
            with doors.HttpDoor(proxy) as door:
                assert door.submit(pcs).outcome() == doors.predicted(pcs)
                assert [item["duplicate"] for item in door.batch([pcs, pcs, b" " * (1 << 20) + b"{}"]).body[:2]] == [True, True]
        for target in TARGETS:
            answer = exchange(proxy, f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            assert b"flk_" not in answer and not answer.startswith(b"HTTP/1.1 200"), (target, answer)
        assert exchange(proxy, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").startswith(b"HTTP/1.1 200")


SECOND = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
HEAD = b"POST /v1/pcs/submit HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
# A whole request for the inside's page where one of two readers may see its body end.
HIDING = {
    "empty lines": b"\r\n\r\n" + HEAD + b"Content-Length: %d\r\n\r\n" % len(SECOND) + SECOND,
    "lone feeds": b"\n\n" + HEAD + b"Content-Length: %d\r\n\r\n" % len(SECOND) + SECOND,
    "both lengths": HEAD + b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" % (len(SECOND) + 5) + SECOND,
    "two lengths": HEAD + b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(SECOND) + SECOND,
    "list of lengths": HEAD + b"Content-Length: 0, %d\r\n\r\n" % len(SECOND) + SECOND,
    "blank before the colon": HEAD + b"Content-Length : %d\r\n\r\n" % len(SECOND) + SECOND,
    "vertical tab": HEAD + b"Transfer-Encoding:\x0bchunked\r\nContent-Length: %d\r\n\r\n0\r\n\r\n" % (len(SECOND) + 5) + SECOND,
    "folded": HEAD + b"X: a\r\n Transfer-Encoding: chunked\r\nContent-Length: %d\r\n\r\n" % len(SECOND) + SECOND,
    "unknown coding": HEAD + b"Transfer-Encoding: xchunked\r\nContent-Length: %d\r\n\r\n0\r\n\r\n" % (len(SECOND) + 5) + SECOND,
    "chunk extension": HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;a\nb\r\nx\r\n0\r\n\r\n",
    "chunk size": HEAD + b"Transfer-Encoding: chunked\r\n\r\n0x%x\r\n" % len(SECOND) + SECOND + b"\r\n0\r\n\r\n",
    "lone return": HEAD + b"X: a\rContent-Length: %d\r\n\r\n" % len(SECOND) + SECOND,
}


# No request hides in another one: neither directly nor through a proxy that keeps connections does the inside's page come back, and the
# connections that the proxy shares between clients stay in step.
@pytest.mark.parametrize("name", ("",) + PROXIES)
def test_hidden_requests(name, tmp_path):
    with Cluster(gateway_env={"FLK_HTTP_BEHIND_PROXY": 1}) as cluster:
        if not name:
            for case, data in HIDING.items():
                answer = exchange(cluster.gateway.http, data)
                assert b"flk_" not in answer and answer.count(b"HTTP/1.1 ") == 1 and answer.startswith(b"HTTP/1.1 4"), (case, answer)
            return
        with Proxy(name, cluster.gateway.http, tmp_path) as proxy:
            for case, data in HIDING.items():
                assert b"flk_" not in exchange(proxy, data, 0.5 * SLOW), case
                healthy = exchange(proxy, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                assert healthy.startswith(b"HTTP/1.1 200") and b"ok" in healthy, (case, healthy)


# A client that sends its whole body before it reads sees the refusal of its head, every time.
@pytest.mark.parametrize("case", ["too large", "media type", "encoding"])
def test_early_refusal_is_read(case):
    headers = {"too large": {"Content-Type": "application/json"}, "media type": {"Content-Type": "text/plain"},
               "encoding": {"Content-Type": "application/json", "Content-Encoding": "gzip"}}[case]
    status, body = (413 if case == "too large" else 415), b"x" * (2 << 20)
    with Cluster(workers=0) as cluster:
        for _ in range(30):
            connection = http.client.HTTPConnection(*cluster.gateway.http, timeout=20 * SLOW)
            connection.request("POST", doors.PATH, body=body, headers=headers)
            answer = connection.getresponse()
            assert answer.status == status and b'"status":%d' % status in answer.read()
            connection.close()


# A client that never stops sending is let go after a bounded time, and its thread with it.
def test_lingering_is_bounded():
    with Cluster(workers=0) as cluster:
        sock = socket.create_connection(cluster.gateway.http, 20 * SLOW)
        sock.sendall(HEAD + b"Content-Length: 99999999\r\n\r\n")
        def drip():
            try:
                while True:
                    sock.sendall(b"x")
                    threading.Event().wait(0.05)
            except OSError:
                pass
        threading.Thread(target=drip, daemon=True).start()
        wait_for(lambda: cluster.gateway.metrics().total("flk_http_connections") <= 1, 15, "the dripping client is let go")
        sock.close()


def served(listen, host, port, directory):
    """The log of a gateway that listens there and was asked at host:port; port 0: at the one that it tells."""
    env = {"FLK_HTTP_LISTEN": listen, "FLK_ZMQ_LISTEN": "off", "FLK_FRONTENDS": f"tcp://127.0.0.1:{free_port()}",
           "FLK_DATA_DIR": directory / f"data-{host.replace(':', '.')}-{port}"}
    gateway = Process(f"gateway-{host.replace(':', '.')}-{port}", "flk-gateway", env, directory).start()
    try:
        told = wait_for(lambda: re.search(r" ready http=(\S+)", gateway.log()), 15, "it is ready").group(1)
        assert port == 0 or told.endswith(f":{port}"), told
        answer = doors.http_get((host, int(told.rsplit(":", 1)[1])), "/healthz")
        assert answer.status == 200, answer
        return gateway.log()
    finally:
        gateway.stop()


# The door is reached over IPv6 and IPv4, as the address says; beyond loopback it warns.
@pytest.mark.parametrize("listen, hosts, warns", [("[::1]:{}", ["::1"], False), ("localhost:{}", ["127.0.0.1", "::1"], False),
                                                  (":{}", ["127.0.0.1", "::1"], True), ("*:{}", ["127.0.0.1", "::1"], True),
                                                  ("{}", ["127.0.0.1", "::1"], True), ("[::]:{}", ["127.0.0.1", "::1"], True),
                                                  ("0.0.0.0:{}", ["127.0.0.1"], True), ("127.0.0.1:{}", ["127.0.0.1"], False)])
def test_addresses(listen, hosts, warns, tmp_path):
    if not os.path.exists("/proc/net/if_inet6") and "::1" in hosts:
        pytest.skip("this host has no IPv6")
    for host in hosts:
        for port in (free_port(), 0):
            log = served(listen.format(port), host, port, tmp_path)
            assert ("http_without_tls" in log) == warns, log


# A port alone is every address, of the pages too, and is warned of; a written address is intended.
@pytest.mark.parametrize("program", ["flk-broker", "flk-worker"])
@pytest.mark.parametrize("listen, warns", [("0", True), (":0", True), ("0.0.0.0:0", False), ("127.0.0.1:0", False), ("off", False)])
def test_addresses_of_pages(program, listen, warns, tmp_path):
    env = {"FLK_ADMIN_LISTEN": listen, "FLK_FRONTENDS": f"tcp://127.0.0.1:{free_port()}", "FLK_BACKENDS": f"tcp://127.0.0.1:{free_port()}",
           "FLK_DATA_DIR": tmp_path, "DEDUP_BACKEND": "memory"}
    daemon = Process(program, program, {name: value for name, value in env.items() if program == "flk-broker" or name != "FLK_FRONTENDS"},
                     tmp_path).start()
    try:
        wait_for(lambda: "_started" in daemon.log(), 15, "it has started")
        assert ("http_without_tls" in daemon.log()) == warns, daemon.log()
    finally:
        daemon.stop()


# A client that sends more bytes than its address may is answered 429 before its body is read; other addresses are not touched, and behind
# a proxy the address is the one that the proxy wrote last, behind any that the client wrote.
@pytest.mark.parametrize("behind", [0, 1])
def test_bytes_of_one_address(behind, seed):
    factory = reference.Factory(seed)

    def submit(address, forwarded):
        body = reference.encode(factory.make()) + b" " * 50000
        head = b"X-Forwarded-For: %s\r\nContent-Length: %d\r\n\r\n" % (forwarded, len(body))
        with socket.socket() as sock:
            sock.bind((address, 0))
            sock.settimeout(20 * SLOW)
            sock.connect(cluster.gateway.http)
            sock.sendall(HEAD + head + body)
            return int(sock.recv(65536).split(b" ")[1])

    with Cluster(gateway_env={"FLK_HTTP_ADDRESS_BYTES": 10000, "FLK_HTTP_BEHIND_PROXY": behind}) as cluster:
        first = [submit("127.0.0.1", b"9.9.%d.9, 8.8.8.8" % number) for number in range(4)]
        assert first == [200, 429, 429, 429] or first == [202, 429, 429, 429], first
        assert submit("127.0.0.2", b"8.8.8.8") in ([429] if behind else [200, 202])
        assert submit("127.0.0.1", b"8.8.8.8, 7.7.7.7") in ([200, 202] if behind else [429])
        assert cluster.gateway.metrics().total("flk_http_address_throttled_total") == 4


# A text that is no address is refused by --check, and at the start with the same line, in each program; a port does not
# wrap.
@pytest.mark.parametrize("program, name", [("flk-gateway", "FLK_HTTP_LISTEN"), ("flk-broker", "FLK_ADMIN_LISTEN"), ("flk-worker", "FLK_ADMIN_LISTEN")])
def test_refused_addresses(program, name, tmp_path):
    def refused(*arguments):
        done = run(program, *arguments, env={name: listen, "FLK_DATA_DIR": tmp_path})
        assert done.returncode == 2 and name in done.stderr and why in done.stderr, done.stderr
        return done.stderr

    for listen, why in (("127.0.0.1:65536", "at most 65535"), ("127.0.0.1:99999999999", "at most 65535"), ("127.0.0.1:", "an address is"),
                        ("127.0.0.1", "an address is"), ("::1:8080", "in brackets"), ("256.0.0.1:80", "an address is"), ("127.0.0.1:+80", "an address is"),
                        ("127.0.0.1: 80", "an address is"), ("a b:80", "an address is")):
        checked = refused("--check")
    assert refused() == checked
