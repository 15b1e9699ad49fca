# SPDX-License-Identifier: MIT
"""Output on terminals of 80 columns and fewer: no line is wider, and the most important columns stay."""
import http.server
import json
import re
import threading

import pytest

from harness import pcs
from harness.cluster import Cluster, Daemon
from harness.process import free_port, run, wait_for
from harness.terminal import show

WIDTHS = [200, 80, 60]


@pytest.fixture(scope="module")
def cluster():
    with Cluster(workers=2) as running:
        factory = pcs.Factory(1, "a-shard-with-a-long-name")
        with running.http() as http:
            for _ in range(5):
                assert http.submit(factory.make()).status in (200, 202)
        yield running


def places(cluster):
    return ["--gateway", "%s:%d" % cluster.gateway.http, "--broker", "%s:%d" % cluster.broker.admin,
            *(word for worker in cluster.workers for word in ("--worker", "%s:%d" % worker.admin))]


# The screen of status fits; name, state and rate are always there, all columns where there is room.
@pytest.mark.parametrize("columns", [*WIDTHS, 40])
def test_status(cluster, columns):
    seen = show(columns, "flk", "status", *places(cluster))
    assert seen.status == 0 and seen.widest() <= columns, seen.lines
    text = "\n".join(seen.lines)
    assert re.search(r"^  gateway .*per s", text, re.M) and re.search(r"^  worker-2 +ready +\S", text, re.M), text
    assert ("duplicates" in text) == (columns == 200) and ("redelivered" in text) == (columns >= 80), text
    assert "duplicates" in run("flk", "status", *places(cluster)).stdout  # a pipe is as wide as it must be


# A process that is not well is told below its line when there is no room beside it.
def test_status_notes(cluster, tmp_path):
    address = ("127.0.0.1", free_port())
    env = {"FLK_HTTP_LISTEN": "%s:%d" % address, "FLK_ZMQ_LISTEN": "off", "FLK_FRONTENDS": f"tcp://127.0.0.1:{free_port()}",
           "FLK_DATA_DIR": tmp_path / "data"}
    alone = Daemon("alone", "flk-gateway", env, tmp_path, address).start()  # without a broker
    try:
        wait_for(lambda: " ready http=" in alone.log(), 15, "it serves")
        seen = show(60, "flk", "status", *places(cluster), "--gateway", "%s:%d" % address, "--gateway", "127.0.0.1:1")
    finally:
        alone.stop()
    assert seen.status == 1 and seen.widest() <= 60 and re.search(r"gateway-3 +down", "\n".join(seen.lines)), seen.lines
    at = next(at for at, line in enumerate(seen.lines) if line.startswith("  gateway-2 "))
    assert "broker" not in seen.lines[at] and re.match(r"    \S.*broker", seen.lines[at + 1]), seen.lines


# A stranger that answers on a port of ours steers no terminal: its reason is shown as printable text.
def test_reason_of_a_stranger():
    class Stranger(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps({"ready": False, "reason": "x\x1b]0;mine\x07\x1b[2Jy\u009bz\r\n"}).encode()
            self.send_response(503)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stranger) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = "127.0.0.1:%d" % server.server_port
        status, health = run("flk", "status", "--gateway", address), run("flk", "healthcheck", "gateway", env={"FLK_HTTP_LISTEN": address})
        server.shutdown()
    for said in (status.stdout, health.stderr):
        assert re.search(r"x\?]0;mine", said) and all(" " <= char <= "~" or char == "\n" for char in said), repr(said)


# The list of a log fits; the pcs_id is cut to the length that show and --id take.
@pytest.mark.parametrize("columns", WIDTHS)
def test_wal_list(cluster, columns):
    inbox = cluster.gateway.env["FLK_DATA_DIR"] / "inbox"
    seen = show(columns, "flk", "wal", "list", "--dir", inbox)
    assert seen.status == 0 and seen.widest() <= columns and len(seen.lines) == 6, seen.lines
    assert seen.lines[0].split()[:3] == ["LSN", "TIME", "STATUS"]
    shown = re.search(r"\b[0-9a-f]{16,64}\b", seen.lines[1]).group()
    assert run("flk", "wal", "show", shown, "--dir", inbox).returncode == 0
    assert len(shown) == 64 or columns < 200


# A log that is not there is an error, and no table.
def test_wal_list_of_nothing(tmp_path):
    done = run("flk", "wal", "list", "--dir", tmp_path / "nope")
    assert done.returncode == 1 and not done.stdout and "nope" in done.stderr, done


# bench and submit draw one line over and over, never wider than the terminal, with the time that is left; a pipe gets none of it.
@pytest.mark.parametrize("columns", [80, 60])
def test_progress(cluster, columns, tmp_path):
    env = {"ENDPOINT": "http://%s:%d/v1/pcs/submit" % cluster.gateway.http, "PCS_SIGN_ALG": "hmac", "PCS_HMAC_KEY": pcs.HMAC_KEY}
    args = ["bench", "--seconds", 3, "--parallel", 4]
    seen = show(columns, "flk", *args, env=env)
    drawn = [line for line in seen.redrawn() if "answered" in line]
    assert seen.status == 0 and len(drawn) > 3 and max(map(len, drawn)) < columns and any("ETA" in line for line in drawn), seen.lines
    piped = run("flk", *args[:2], 1, env=env)
    assert "\r" not in piped.stdout + piped.stderr and "ETA" not in piped.stderr, piped
    factory = pcs.Factory(columns, "progress")
    (tmp_path / "pcs").write_bytes(b"".join(pcs.encode(factory.make()) + b"\n" for _ in range(400)))
    seen = show(columns, "flk", "submit", tmp_path / "pcs", env=env)
    drawn = [line for line in seen.redrawn() if "waiting" in line]
    assert seen.status == 0 and all(len(line) < columns for line in drawn), drawn
    assert len([line for line in seen.lines if re.match(r"[0-9a-f]{64}  20", line)]) == 400
