# SPDX-License-Identifier: MIT
"""A log on a disk that is smaller than the records that pass through it: settled history goes, signed work is never refused."""
import contextlib
import subprocess
import threading

import pytest

from harness import pcs as reference
from harness.cluster import Cluster
from harness.load import Load, statuses
from harness.process import wait_for

DISK_BYTES = 60 << 20
JUNK_BYTES, JUNK = 900_000, 150  # 135 MB in all, twice the disk
SETTINGS = {"FLK_WAL_SEGMENT_BYTES": 1 << 20, "FLK_WAL_LOW_WATER_BYTES": 10 << 20, "FLK_REQUEST_TIMEOUT_MS": 60000}


@contextlib.contextmanager
def small_disk(path):
    path.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(path)], capture_output=True, text=True)
    if made.returncode != 0:
        pytest.skip(f"a file system of 60 MB cannot be mounted here: {made.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def send_junk(cluster, factory, results, over):
    """Unsigned PCS with a large member that nobody knows: each is logged, then refused."""
    with cluster.http() as http:
        while not over.is_set() and len(results) < JUNK:
            junk = factory.make(padding="x" * JUNK_BYTES)
            junk.pop("sig", None)
            results.append(http.submit(junk).status)


# With no cap at all, junk and work fill the disk twice over: each signed PCS is answered 200 or 202, never 503, and the gateway stays
# ready; it tells the number given up. A new start finds nothing amiss.
@pytest.mark.parametrize("cap", [0, "auto"])
def test_small_disk_never_refuses_signed_work(seed, cap, tmp_path):
    junk, over = [], threading.Event()
    with small_disk(tmp_path / "disk"):
        settings = {**SETTINGS, "FLK_WAL_RETAINED_BYTES": cap, "FLK_DATA_DIR": tmp_path / "disk" / "data"}
        with Cluster(workers=1, threads=1, gateway_env=settings) as cluster:
            thread = threading.Thread(target=send_junk, args=(cluster, reference.Factory(seed, "junk"), junk, over))
            thread.start()
            with Load(cluster, seed, http=2, zmq=1, window=16, seconds=60) as load:
                wait_for(lambda: len(junk) >= JUNK or not thread.is_alive(), 100, lambda: f"{len(junk)} of {JUNK} were sent")
                submissions = load.stop()
            thread.join()
            assert junk == [401] * JUNK, junk
            assert set(statuses(submissions)) <= {200, 202}, statuses(submissions)
            assert cluster.gateway.get("/readyz").status == 200
            if cap == 0:
                assert cluster.gateway.metrics().total("flk_wal_given_up_bytes_total") > 10 << 20
                assert "log_low" in cluster.gateway.log()
            cluster.gateway.stop()
            cluster.gateway.start().wait_ready()
            assert cluster.gateway.metrics().total("flk_wal_damaged_records") == 0
