# SPDX-License-Identifier: MIT
"""A normal run of each program under valgrind: no leak, no wrong access."""
import re
import shutil

import pytest

from harness import doors, pcs as reference
from harness.cluster import Cluster
from harness.process import sanitized

pytestmark = pytest.mark.skipif(sanitized(), reason="valgrind does not run sanitizer builds")
ERROR_EXIT = 96


def valgrind(log):
    assert shutil.which("valgrind"), "apt-get install valgrind"
    return ["valgrind", "--quiet", "--leak-check=full", "--show-leak-kinds=definite,indirect,possible",
            "--errors-for-leak-kinds=definite,indirect,possible", f"--error-exitcode={ERROR_EXIT}", f"--log-file={log}"]


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
