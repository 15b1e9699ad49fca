# SPDX-License-Identifier: MIT
"""A normal run of each program under valgrind: no leak, no wrong access."""
import re
import shutil
import subprocess

import pytest

from harness import doors, pcs as reference
from harness.cluster import Cluster
from harness.process import BIN_DIR, ROOT, SLOW, environment, free_port, sanitized

pytestmark = pytest.mark.skipif(sanitized(), reason="valgrind does not run sanitizer builds")
ERROR_EXIT = 96


def valgrind(log):
    assert shutil.which("valgrind"), "apt-get install valgrind"
    return ["valgrind", "--quiet", "--leak-check=full", "--show-leak-kinds=definite,indirect,possible",
            "--errors-for-leak-kinds=definite,indirect,possible", f"--suppressions={ROOT}/tests/valgrind.supp", f"--error-exitcode={ERROR_EXIT}", f"--log-file={log}"]


# Gateway, broker and worker take good and bad submissions by both doors, stop on SIGTERM, and valgrind has nothing to say.
@pytest.mark.parametrize("backend", ["lmdb", "memory"])
def test_daemons_do_not_leak(backend, seed):
    factory = reference.Factory(seed)
    cluster = Cluster(workers=1, threads=2, env={"FLK_HEARTBEAT_MS": 5000}, worker_env={"DEDUP_BACKEND": backend},
                      gateway_env={"FLK_REQUEST_TIMEOUT_MS": 30000, "FLK_HTTP_THREADS": 8})
    for daemon in cluster.daemons():
        daemon.wrap = valgrind(cluster.directory / f"{daemon.name}.valgrind")
    cluster.start(wait=False)
    try:
        cluster.wait_ready(60)
        with cluster.http(seconds=40) as http, cluster.zmq(seconds=40) as zmq:
            for door in (http, zmq):
                for pcs in [factory.make() for _ in range(10)]:
                    assert door.submit(pcs).outcome() == doors.predicted(pcs)
                    assert door.submit(pcs).body["duplicate"] is True
                assert door.submit(factory.make(sig="A" * 44)).status == 401
                assert door.submit(factory.make(epoch=-1)).status == 400
            assert http.post(b"{").status == 400
            zmq.send(b"nonsense")
            for daemon in cluster.daemons():
                daemon.metrics()
        for daemon in cluster.daemons():
            daemon.terminate()
            status = daemon.wait(60)
            report = (cluster.directory / f"{daemon.name}.valgrind").read_text()
            assert status == 0 and not re.search(r"==\d+== \S", report), f"{daemon.name} ended with {status}\n{report[:6000]}"
    finally:
        cluster.abandon()


# The agent computes, submits over both doors, fails to, shows its state and drains; the front door tells the cluster's state: nothing leaks.
def test_tools_do_not_leak(tmp_path):
    rows = tmp_path / "rows.csv"
    rows.write_text("".join((ROOT / "tests" / "data" / "earthquakes.csv").read_text().splitlines(keepends=True)[:200]))
    with Cluster(workers=1, gateway_env={"FLK_REQUEST_TIMEOUT_MS": 30000}) as cluster:
        http = "http://%s:%d/v1/pcs/submit" % cluster.gateway.http
        env = {"PCS_SIGN_ALG": "hmac", "PCS_HMAC_KEY": reference.HMAC_KEY, "FLK_DATA_DIR": tmp_path / "agent", "ENDPOINT": http}
        submit = ["flk-agent", "submit", "--window", "20", "--quiet", rows]
        closed = f"http://127.0.0.1:{free_port()}/v1/pcs/submit"
        runs = [(["flk-agent", "compute", "--window", "20", rows], {}, 0), (submit, {}, 0), (submit, {"ENDPOINT": cluster.gateway.zmq}, 0),
                ([*submit, "--shard", "other", "--tries", "1"], {"ENDPOINT": closed}, 3), (["flk-agent", "status"], {}, 3),
                (["flk-agent", "dead", "list"], {}, 0), (["flk-agent", "drain", "--resign"], {}, 0),
                (["flk-agent", "compute", "--columns", "none", rows], {}, 2), (["flk", "version"], {}, 0), (["flk", "--help"], {}, 0)]
        for number, (args, extra, status) in enumerate(runs):
            report = tmp_path / f"{number}.valgrind"
            done = subprocess.run([*valgrind(report), BIN_DIR / args[0], *args[1:]], env=environment({**env, **extra}), capture_output=True,
                                  text=True, timeout=60 * SLOW)
            assert done.returncode == status and not re.search(r"==\d+== \S", report.read_text()), f"{args}: {done}\n{report.read_text()[:6000]}"
