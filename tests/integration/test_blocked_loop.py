# SPDX-License-Identifier: MIT
"""A loop that hangs while the process's other threads go on: its pages say so, within a bound, and until it turns again."""
import threading

import pytest

from harness import doors, pcs as reference
from harness.cluster import Cluster
from harness.process import BIN_DIR, SLOW, sanitized, wait_for

STALL = BIN_DIR.parent / "tests" / "libchaos-stall.so"
pytestmark = pytest.mark.skipif(sanitized(), reason="the tool that blocks a loop is built beside the release only")
BOUND_S = {"flk-loop": 10, "flk-relay": 10, "flk-verify": 30, "flk-wal": 30}  # by the thread's name


@pytest.fixture
def cluster(tmp_path):
    """Two gateways: one whose relay hangs, one whose log's writer does."""
    running = Cluster(gateways=2, workers=1, threads=2)
    for daemon in running.daemons():
        daemon.stall = tmp_path / f"{daemon.name}.stall"
        daemon.env.update(LD_PRELOAD=str(STALL), CHAOS_STALL=str(daemon.stall))
    with running:
        yield running
        for daemon in running.daemons():
            daemon.stall.unlink(missing_ok=True)


def pages(daemon):
    """Status and words of /healthz, status of /readyz."""
    health, ready = (doors.http_get(daemon.admin, path) for path in ("/healthz", "/readyz"))
    return health.status, health.raw.decode(), ready.status


# Both pages are 503 and name the loop once it has not turned for its bound, and 200 again when it goes on.
def test_pages_tell_of_a_loop_that_hangs(cluster):
    relay_gateway, log_gateway = cluster.gateways
    hung = [(cluster.broker, "flk-loop", "broker's loop"), (relay_gateway, "flk-relay", "relay"),
            (cluster.worker, "flk-verify", "verify thread"), (log_gateway, "flk-wal", "log's writer")]
    for daemon, _, _ in hung:
        assert pages(daemon)[::2] == (200, 200)
    for daemon, thread, _ in hung:
        daemon.stall.write_text(thread)
    pcs = reference.Factory(1).make()
    client = threading.Thread(target=lambda: doors.HttpDoor(log_gateway.http).submit(pcs), daemon=True)
    client.start()  # something to sync
    for daemon, thread, name in hung:
        wait_for(lambda: pages(daemon)[0] == 503, BOUND_S[thread] + 10, lambda: f"{daemon.name}: {pages(daemon)}")
        health, words, ready = pages(daemon)
        assert f"the {name} has not turned for " in words and ready == 503, (words, ready)
    for daemon, _, _ in hung:
        daemon.stall.unlink()
    for daemon, _, _ in hung:
        wait_for(lambda: pages(daemon)[0] == 200, 20, lambda: f"{daemon.name}: {pages(daemon)}")
    client.join(30 * SLOW)
    assert not client.is_alive()
