# SPDX-License-Identifier: MIT
"""One cluster on each store in turn, 256 submissions outstanding: rate, latency, and how many PCS share a round trip to the store."""
import argparse
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "integration"))

from harness import pcs  # noqa: E402
from harness.cluster import Cluster  # noqa: E402
from harness.process import BIN_DIR, environment  # noqa: E402
from harness.servers import BY_NAME  # noqa: E402

OUTSTANDING = 256
TRIPS_MAX = 0.2  # what a store with a server may need a PCS
STORES = ["memory", "lmdb", *BY_NAME]


def measure(env, seconds):
    with Cluster(workers=1, threads=2, worker_env=env) as cluster:
        door = ["--zmq", cluster.gateway.zmq, "--key", pcs.HMAC_KEY, "--outstanding", OUTSTANDING, "--seconds", seconds]
        load = subprocess.run([str(BIN_DIR / "flk-load"), *map(str, door)], env=environment(), capture_output=True, text=True)
        assert load.returncode == 0, load.stderr
        rate, p50_us, p99_us, _, others = map(float, load.stdout.split())
        assert others == 0, load.stdout
        metrics = cluster.worker.metrics()
        answered = metrics.total("flk_worker_verdicts_total")
        calls = metrics.total("flk_store_batch_items_count")
        return dict(rate=rate, p50_ms=p50_us / 1000, p99_ms=p99_us / 1000,
                    keys=metrics.total("flk_store_batch_items_sum") / calls,
                    call_ms=1000 * metrics.total("flk_store_seconds_sum") / calls,
                    trips=metrics.total("flk_store_round_trips_total") / answered)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("stores", nargs="*", default=STORES, metavar="STORE", help=", ".join(STORES))
    options = parser.parse_args()
    print(f"stores: {OUTSTANDING} outstanding at the ZeroMQ door, 1 worker with 2 threads, {options.seconds:g} s each")
    print(f"{'store':9}{'PCS/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'keys/call':>11}{'ms/call':>9}{'round trips/PCS':>17}")
    fine = True
    for store in options.stores:
        if store in BY_NAME:
            with BY_NAME[store]() as server:
                figures = measure(server.env, options.seconds)
        else:
            figures = measure({"DEDUP_BACKEND": store}, options.seconds)
        print("{:9}{rate:9.0f}{p50_ms:9.1f}{p99_ms:9.1f}{keys:11.1f}{call_ms:9.2f}{trips:17.4f}".format(store, **figures), flush=True)
        if figures["trips"] >= TRIPS_MAX:
            print(f"stores: {store} needs {figures['trips']:.3f} round trips a PCS, not less than {TRIPS_MAX}", file=sys.stderr)
            fine = False
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
