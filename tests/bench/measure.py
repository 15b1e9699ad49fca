# SPDX-License-Identifier: MIT
"""The means of the rows: loads on a door, limits and peers beside it, and the CPU time of processes."""
import contextlib
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "integration"))

from harness import pcs  # noqa: E402
from harness.cluster import Cluster  # noqa: E402
from harness.process import BIN_DIR, environment  # noqa: E402
from harness.servers import Redis  # noqa: E402

BENCH_DIR = BIN_DIR.parent / "bench"
TICKS = os.sysconf("SC_CLK_TCK")
RECORD_BYTES = 640


class Plan:
    """How long and how often. A smoke run sees that everything still runs, in no time, and its figures mean nothing."""

    def __init__(self, smoke=False):
        self.smoke = smoke
        self.rounds, self.seconds, self.warm = (1, 0.15, 0.05) if smoke else (5, 1.5, 0.5)
        self.distinct = 2000 if smoke else 150000

    def pick(self, full, smoke):
        return smoke if self.smoke else full


def median(values):
    return statistics.median(values)


def median_ratio(ours, theirs):
    """Of figures taken in turn: a machine whose speed drifts changes both of a pair."""
    return median([a / b for a, b in zip(ours, theirs)])


# ---- loads ----

def run(*command, env=None, seconds=120):
    done = subprocess.run([str(word) for word in command], env=environment(env), capture_output=True, text=True, timeout=seconds)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return done.stdout


def load(plan, door, outstanding, rate=None, seconds=None):
    """`door`: --http HOST:PORT or --zmq ENDPOINT. The object that flk-load prints, with quantiles by name."""
    command = [BIN_DIR / "flk-load", *door, "--key", pcs.HMAC_KEY, "--outstanding", outstanding, "--seconds", seconds or plan.seconds,
               "--warm", plan.warm, "--distinct", plan.distinct, "--json", *(["--rate", rate] if rate else [])]
    try:
        figures = json.loads(run(*command))
    except RuntimeError:
        if not plan.smoke:
            raise
        figures = json.loads(run(*command, "--seconds", 5))  # a machine so slow that it answered nothing in a smoke run's moment
    if figures["failed"] and not plan.smoke:
        raise RuntimeError(f"{figures['failed']} of {figures['answered']} submissions were not answered with an outcome")
    figures["p50"], figures["p99"] = dict(figures["us"])[0.5], dict(figures["us"])[0.99]
    return figures


def http_door(cluster):
    return "--http", "%s:%d" % cluster.gateway.http


def zmq_door(cluster):
    return "--zmq", cluster.gateway.zmq


def echo(plan, outstanding, credit=32):
    """Rate of a bare libzmq chain."""
    return float(run(BENCH_DIR / "limit_zmq", credit, outstanding, plan.seconds, plan.warm, RECORD_BYTES).split()[0])


def redis_streams(plan, server, outstanding):
    return float(run(BENCH_DIR / "peer_redis", server.port, outstanding, plan.seconds, plan.warm, RECORD_BYTES).split()[0])


@contextlib.contextmanager
def bare_civetweb():
    """A door that does nothing, for --http."""
    server = subprocess.Popen([str(BENCH_DIR / "limit_http")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield "--http", "127.0.0.1:" + server.stdout.readline().strip()
    finally:
        server.stdin.close()
        server.wait(10)
        server.stdout.close()


class BenchCluster(Cluster):
    """A cluster that has the machine to itself, and is told so. Its HTTP door has room for the last load's connections too, which may
    not all be closed when the next load comes."""

    def __init__(self, **options):
        super().__init__(env={"FLK_SCHEDULER": "batch"}, gateway_env={"FLK_HTTP_THREADS": 256}, **options)


class DurableRedis(Redis):
    """Syncs each turn of its event loop before it answers, as our log does."""

    def command(self):
        return [*super().command(), "--appendfsync", "always", "--auto-aof-rewrite-percentage", "0"]


# ---- processes ----

def cpu_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def cpu_exact_s(pid):
    """To the nanosecond, of the threads that are alive: for processes that do next to nothing."""
    return sum(int(path.read_text().split()[0]) for path in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat")) * 1e-9


def rss_mb(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) * 1024 / 1e6


class Meter:
    """CPU time of a cluster's processes for each submission that it answered between the two ends of a `with`."""

    def __init__(self, cluster):
        self.cluster, self.us, self.answered = cluster, {}, 0

    def _state(self):
        answered = self.cluster.gateway.metrics().total("flk_request_seconds_count")
        return answered, {daemon.name.split("-")[0]: cpu_s(daemon.pid) for daemon in self.cluster.daemons()}

    def __enter__(self):
        self.before = self._state()
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            answered, cpu = self._state()
            self.answered = max(1, answered - self.before[0])
            self.us = {name: (cpu[name] - self.before[1][name]) * 1e6 / self.answered for name in cpu}

    @property
    def total(self):
        return sum(self.us.values())


def machine():
    model = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text())
    return {"cpu": model[1] if model else "unknown", "cores": len(os.sched_getaffinity(0)), "kernel": os.uname().release,
            "load_before": os.getloadavg()[0], "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}


__all__ = ["BENCH_DIR", "BIN_DIR", "RECORD_BYTES", "ROOT", "TICKS", "BenchCluster", "DurableRedis", "Meter", "Plan", "bare_civetweb", "cpu_exact_s", "echo",
           "environment", "http_door", "load", "machine", "median", "median_ratio", "pcs", "redis_streams", "rss_mb", "run", "zmq_door"]
