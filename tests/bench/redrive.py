# SPDX-License-Identifier: MIT
"""Records without an outcome, and then a start: how long until every one has its outcome, and the memory that the gateway needs.

A gateway alone takes the records in and answers 503; it is killed, started again on the same log, and given a broker and a worker.
usage: redrive.py RECORDS...
"""
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "integration"))

from harness import pcs  # noqa: E402
from harness.cluster import Cluster  # noqa: E402
from harness.process import BIN_DIR, environment, wait_for  # noqa: E402

SETTINGS = {"FLK_REQUEST_TIMEOUT_MS": 100, "FLK_INFLIGHT_MAX": 65536}


def memory_mib(daemon, field):
    status = pathlib.Path(f"/proc/{daemon.pid}/status").read_text()
    return int(status.split(f"{field}:")[1].split()[0]) / 1024


def take_in(gateway, records):
    """Until so many are in the log without an outcome; they are all different."""
    gateway.start()
    wait_for(lambda: unacked(gateway) is not None, 30, "the gateway is there")
    door = ["--zmq", gateway.zmq, "--key", pcs.HMAC_KEY, "--outstanding", 8192, "--distinct", records + 100000, "--seconds", 3600]
    load = subprocess.Popen([str(BIN_DIR / "flk-load"), *map(str, door)], env=environment(), stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: unacked(gateway) >= records, 600, lambda: f"{unacked(gateway):g} of {records} records are in")
    finally:
        load.kill()
        load.wait()


def unacked(gateway):
    try:
        return gateway.metrics().total("flk_wal_unacked")
    except (OSError, AssertionError):
        return None  # not there yet


def measure(records):
    cluster = Cluster(workers=1, threads=2, gateway_env=SETTINGS)
    gateway = cluster.gateway
    try:
        take_in(gateway, records)
        gateway.kill()
        began = time.monotonic()
        gateway.start()
        wait_for(lambda: unacked(gateway) is not None, 600, "the gateway is there")
        opened, found, base_mib = time.monotonic() - began, unacked(gateway), memory_mib(gateway, "VmRSS")
        for daemon in (*cluster.brokers, *cluster.workers):
            daemon.start()
        began = time.monotonic()
        wait_for(lambda: unacked(gateway) == 0, 1200, lambda: f"{unacked(gateway):g} are left")
        seconds = time.monotonic() - began
        return dict(records=found, opened_s=opened, redriven_s=seconds, per_s=found / seconds, opened_mib=base_mib,
                    peak_mib=memory_mib(gateway, "VmHWM"))
    finally:
        cluster.abandon()


def main():
    print(f"{'records':>10} {'opened':>9} {'re-driven':>10} {'rate':>10} {'memory at start':>16} {'at most':>9}")
    for records in map(int, sys.argv[1:] or ["250000", "500000", "1000000"]):
        found = measure(records)
        print(f"{found['records']:10.0f} {found['opened_s']:7.2f} s {found['redriven_s']:8.1f} s {found['per_s']:8.0f}/s "
              f"{found['opened_mib']:12.1f} MiB {found['peak_mib']:5.1f} MiB", flush=True)


if __name__ == "__main__":
    main()
