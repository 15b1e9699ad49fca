#!/usr/bin/python3 -B
# SPDX-License-Identifier: MIT
"""One line of figures for a table of peers that somebody else makes:

    rate_per_s p50_us p99_us cpu_ms_per_1000 rest_of_machine_ms_per_1000

of a fresh cluster at one door (zmq or http), with BENCH_C outstanding for BENCH_SECS seconds after BENCH_WARM. The CPU time is
that of all processes, the client too, but not of its making and signing the PCS before the clock starts.
"""
import json
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
ROOT = pathlib.Path(__file__).resolve().parents[2]
os.environ.setdefault("FLK_BIN_DIR", str(ROOT / "build" / "bin"))

from measure import BIN_DIR, TICKS, BenchCluster, Meter, environment, http_door, pcs, zmq_door  # noqa: E402

DISTINCT = os.environ.get("BENCH_DISTINCT", "300000")


def busy_s():
    fields = [int(word) for word in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / TICKS


def client(door, seconds, warm):
    """The output of flk-load, False when it fails, and the CPU time that it took."""
    command = [BIN_DIR / "flk-load", *door, "--key", pcs.HMAC_KEY, "--outstanding", os.environ.get("BENCH_C", "256"), "--distinct", DISTINCT,
               "--seconds", seconds, "--warm", warm, "--json"]
    child = subprocess.Popen([str(word) for word in command], env=environment(), stdout=subprocess.PIPE, text=True)
    out = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    return status == 0 and json.loads(out), usage.ru_utime + usage.ru_stime


def main():
    seconds, warm = os.environ.get("BENCH_SECS", "5"), os.environ.get("BENCH_WARM", "1")
    door = {"http": http_door, "zmq": zmq_door}[sys.argv[1] if len(sys.argv) > 1 else "zmq"]
    with BenchCluster(workers=1, threads=2) as cluster:
        _, making_s = client(door(cluster), "0.001", "0")  # answers next to nothing
        busy = busy_s()
        with Meter(cluster) as meter:
            figures, client_s = client(door(cluster), seconds, warm)
        if not figures or figures["failed"]:
            raise SystemExit(f"flk-load: {figures}")
        answered = meter.answered
        rest_us = (busy_s() - busy - client_s) * 1e6 / answered - meter.total
        cpu_us = meter.total + max(0, client_s - making_s) * 1e6 / answered
        latency = dict(figures["us"])
        print(f"{figures['rate']:.0f} {latency[0.5]:.1f} {latency[0.99]:.1f} {cpu_us:.3f} {max(0, rest_us):.3f}")


if __name__ == "__main__":
    main()
