# SPDX-License-Identifier: MIT
"""The rows of the table: each function measures one subject and yields its lines, and leaves the data of plots in `data`.

A ratio is the median of ratios of pairs that were taken in turn, in this very run.
"""
import re
import subprocess
import tempfile
import time

from measure import (BENCH_DIR, BIN_DIR, RECORD_BYTES, BenchCluster, DurableRedis, Meter, bare_civetweb, cpu_exact_s, echo, environment,
                     http_door, load, median, median_ratio, pcs, redis_streams, rss_mb, run, zmq_door)
from harness.servers import BY_NAME

WORKER_THREADS = 2
HTTP_CONNECTIONS, ZMQ_OUTSTANDING = 64, 256


class Line:
    """One line of the table. `fine` None: no target."""

    def __init__(self, what, measured, target="", fine=None):
        self.what, self.measured, self.target, self.fine = what, measured, target, fine


def at_least(what, value, target, form="{:.2f}"):
    return Line(what, form.format(value), "≥ " + form.format(target), value >= target)


def at_most(what, value, target, form="{:.2f}"):
    return Line(what, form.format(value), "≤ " + form.format(target), value <= target)


def microseconds(meter):
    return ", ".join(f"{name} {us:.1f}" for name, us in meter.us.items())


# ---- the doors ----

def http(plan, data):
    """HTTP door, 64 connections, beside civetweb with a handler that does nothing."""
    ours, bare, cpu = [], [], []
    with BenchCluster(workers=1, threads=WORKER_THREADS) as cluster, bare_civetweb() as limit:
        for _ in range(plan.rounds):
            bare.append(load(plan, limit, HTTP_CONNECTIONS)["rate"])
            with Meter(cluster) as meter:
                ours.append(load(plan, http_door(cluster), HTTP_CONNECTIONS)["rate"])
            cpu.append(meter)
        data["http_rate"] = median(ours)
        yield Line("HTTP door, HMAC, LMDB, 64 connections", f"{median(ours):,.0f} PCS/s")
        yield Line("bare civetweb, same load and bodies", f"{median(bare):,.0f} req/s")
        yield at_least("ratio to bare civetweb", median_ratio(ours, bare), 0.50)
        meter = sorted(cpu, key=lambda m: m.total)[len(cpu) // 2]
        data["http_cpu_us"] = meter.us
        yield Line("CPU a PCS by HTTP, client excluded", f"{meter.total:.1f} µs ({microseconds(meter)})")
        yield from latency(plan, data, "http", http_door(cluster), HTTP_CONNECTIONS, 5)


def zmq(plan, data):
    """ZeroMQ door, 256 outstanding, beside Redis Streams and a bare libzmq chain."""
    ours, chain, streams, cpu = [], [], [], []
    with BenchCluster(workers=1, threads=WORKER_THREADS) as cluster, DurableRedis() as redis:
        for _ in range(plan.rounds):
            chain.append(echo(plan, ZMQ_OUTSTANDING))
            streams.append(redis_streams(plan, redis, ZMQ_OUTSTANDING))
            with Meter(cluster) as meter:
                ours.append(load(plan, zmq_door(cluster), ZMQ_OUTSTANDING)["rate"])
            cpu.append(meter)
        data["zmq_rate"] = median(ours)
        yield Line("ZeroMQ door, HMAC, LMDB, 256 outstanding", f"{median(ours):,.0f} PCS/s")
        yield Line("Redis Streams, appendfsync always", f"{median(streams):,.0f} records/s")
        yield at_least("ratio to Redis Streams", median_ratio(ours, streams), 1.3)
        yield Line("bare libzmq chain, credit 32", f"{median(chain):,.0f} records/s")
        yield at_least("ratio to the bare chain", median_ratio(ours, chain), 0.35)
        meter = sorted(cpu, key=lambda m: m.total)[len(cpu) // 2]
        data["zmq_cpu_us"] = meter.us
        yield Line("CPU a PCS by ZeroMQ, client excluded", f"{meter.total:.1f} µs ({microseconds(meter)})", "≤ 25 µs", meter.total <= 25)
        yield from latency(plan, data, "zmq", zmq_door(cluster), ZMQ_OUTSTANDING, 3)


def latency(plan, data, name, door, outstanding, target_ms):
    """Open loop at 70 % of the highest rate; more may be outstanding than at the highest rate, so that the door waits."""
    rate = max(0.7 * data[name + "_rate"], 20 / plan.seconds)  # so that some fall due, however slow the machine
    rounds = [load(plan, door, outstanding * (1 if name == "http" else 4), rate) for _ in range(plan.rounds)]
    middle = sorted(rounds, key=lambda figures: figures["p99"])[len(rounds) // 2]
    data.setdefault("latency", {})[name] = {"rate": rate, "us": middle["us"]}
    yield at_most(f"p99 at 70 % of that ({rate:,.0f}/s, open loop), ms", middle["p99"] / 1000, target_ms)


# ---- one process alone ----

def verify(plan, data):
    """One core, by bench_verify."""
    steps = {name.strip(): float(ns) / 1000 for name, ns in re.findall(r"^(.+?)\s+(\d+) ns", run(BENCH_DIR / "bench_verify"), re.M)}
    data["verify_us"] = steps
    yield at_most("verify: decode, id, HMAC, verdict, µs", steps["worker: read msgpack, verify, verdict"], 6)
    ours, sodium = (next(us for name, us in steps.items() if name.startswith(start)) for start in ("verify Ed25519", "libsodium's"))
    yield at_most("Ed25519 verify to libsodium's own", ours / sodium, 1.15)
    for name, us in steps.items():
        yield Line("  " + name, f"{us:.2f} µs")


def stores(plan, data):
    """A cluster on each store, all of them there at once, loaded in turn."""
    servers = [BY_NAME[name]() for name in ("redis", "postgres")]
    rates = {}
    try:
        for server in servers:
            server.start()
        environments = {**{name: {"DEDUP_BACKEND": name} for name in ("memory", "lmdb")}, **{server.backend: server.env for server in servers}}
        clusters = {name: BenchCluster(workers=1, threads=WORKER_THREADS, worker_env=env) for name, env in environments.items()}
        try:
            for cluster in clusters.values():
                cluster.start()
            for _ in range(plan.rounds):
                for name, cluster in clusters.items():
                    rates.setdefault(name, []).append(load(plan, zmq_door(cluster), ZMQ_OUTSTANDING)["rate"])
            trips = {name: trips_a_pcs(cluster) for name, cluster in clusters.items()}
        finally:
            for cluster in clusters.values():
                cluster.stop()
                cluster.abandon()
    finally:
        for server in servers:
            server.__exit__()
    data["store_rates"] = {name: median(values) for name, values in rates.items()}
    for name, values in rates.items():
        yield Line(f"store {name}, 256 outstanding", f"{median(values):,.0f} PCS/s, {trips[name]:.3f} round trips a PCS")
    yield at_least("Redis store to LMDB", median_ratio(rates["redis"], rates["lmdb"]), 0.8)
    yield at_least("Postgres store to LMDB", median_ratio(rates["postgres"], rates["lmdb"]), 0.5)


def trips_a_pcs(cluster):
    """Round trips to the store; none when it is in the process."""
    metrics = cluster.worker.metrics()
    return metrics.total("flk_store_round_trips_total") / max(1, metrics.total("flk_worker_verdicts_total"))


def broker(plan, data):
    """bench_broker: one process, its queue filled to a million and emptied, each in ten steps."""
    depth = plan.pick(1000000, 2000)
    text = run(BENCH_DIR / "bench_broker", plan.pick(400000, 2000), RECORD_BYTES, depth)
    steps = [(phase, float(us)) for phase, us in re.findall(r"^(\w+) .*process\s+([\d.]+) us", text, re.M)]
    steady, drain = median([us for phase, us in steps if phase == "steady"]), [us for phase, us in steps if phase == "drain"]
    fill = [us for phase, us in steps if phase == "fill"]
    ratio, beside = (float(x) for x in re.search(r"bodies: ([\d.]+) x, (-?\d+) bytes", text).groups())
    memory = ratio * RECORD_BYTES
    data["broker"] = {"depth": depth, "fill_us": fill, "drain_us": drain, "steady_us": steady}
    # A core's deliveries: the CPU time of the whole process, libzmq's thread included, that one of them takes.
    worst = 1e6 / max(steady, median(drain), 0.1)
    yield at_least("broker, deliveries/s on one core", worst, 250000, "{:,.0f}")
    first, last = median(drain[:3]), median(drain[-3:])
    yield Line("broker, a delivery at 1,000,000 queued and at the end", f"{first:.2f} and {last:.2f} µs", "flat: within 1.3 x",
               max(first, last) <= 1.3 * max(min(first, last), 0.1))
    yield at_most("broker, memory a queued delivery of 640 bytes", memory, 1.3 * RECORD_BYTES + 200, "{:.0f} bytes")
    yield Line("  of it beside the body", f"{beside:.0f} bytes")


def agent(plan, data):
    """bench_signals, and the memory of flk-agent over a short and a long stream."""
    points = plan.pick(1000000, 1000)
    text = run(BENCH_DIR / "bench_signals", points)
    row = re.findall(rf"^\s*{points}\s+(.*)$", text, re.M)[0]
    coherence, boxcount = (float(ms) / 1000 for ms in re.findall(r"([\d.]+) ms", row)[:2])
    yield at_most(f"agent, signals of {points:,} 3-D points, 100 directions, s", coherence + boxcount, 0.25)
    lengths = plan.pick((20000, 500000), (1000, 20000))
    peaks = [streaming_mb(rows) for rows in lengths]
    data["agent_mb"] = dict(zip(lengths, peaks))
    yield Line(f"agent, peak memory over {lengths[0]:,} and {lengths[1]:,} rows", f"{peaks[0]:.1f} and {peaks[1]:.1f} MB", "the same: within 1 MB",
               abs(peaks[1] - peaks[0]) <= 1)


def streaming_mb(rows):
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
        file.write("x,y,z\n")
        for i in range(rows):
            file.write(f"{i % 97 * 0.01:.2f},{i % 89 * 0.011:.3f},{i % 83 * 0.012:.3f}\n")
        file.flush()
        command = [str(BIN_DIR / "flk-agent"), "compute", "--columns", "x,y,z", "--window", "1000", file.name]
        with subprocess.Popen(["/usr/bin/python3", "-c", PEAK, *command], stdout=subprocess.PIPE, env=environment(), text=True) as child:
            out = child.communicate()[0]
        return int(out) * 1024 / 1e6


PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


# ---- the cluster ----

def workers(plan, data):
    """Worker threads that take 2 ms a PCS, from 1 to 64, behind one broker."""
    counts = plan.pick((1, 2, 4, 8, 16, 32, 64), (1, 4))
    rates = {count: [] for count in counts}
    with BenchCluster(gateways=0, workers=0) as cluster:
        for _ in range(plan.rounds):
            for count in counts:
                rates[count].append(slow_workers(plan, cluster, count))
    data["workers"] = {count: median(values) for count, values in rates.items()}
    last = counts[-1]
    efficiency = median([b / (a * last) for a, b in zip(rates[1], rates[last])])
    yield Line("1 worker thread, 2 ms a PCS", f"{median(rates[1]):,.0f} PCS/s")
    yield Line(f"{last} worker threads, 2 ms a PCS", f"{median(rates[last]):,.0f} PCS/s")
    yield at_least(f"efficiency from 1 to {last} threads", efficiency, 0.95)


def slow_workers(plan, cluster, threads):
    worker = subprocess.Popen([str(BENCH_DIR / "slow_worker"), cluster.broker.backend, str(threads), "2000"], stdout=subprocess.PIPE,
                              env=environment({"PCS_SIGN_ALG": "hmac", "PCS_HMAC_KEY": pcs.HMAC_KEY}))
    try:
        assert worker.stdout.readline() == b"ready\n"
        # Twice as many as the threads may hold, so that none of them ever waits for the client.
        return load(plan, ("--zmq", cluster.broker.frontend), 2 * 16 * threads, seconds=plan.pick(1.0, 0.2))["rate"]
    finally:
        worker.terminate()
        worker.communicate(timeout=30)


def idle(plan, data):
    """A cluster that has nothing to do, as it is after its start."""
    seconds, limits = plan.pick(3, 0.2), {"gateway": 40, "broker": 15, "worker": 20}
    with BenchCluster(workers=1, threads=WORKER_THREADS) as cluster:
        time.sleep(plan.pick(1, 0))
        shares = []
        for _ in range(plan.rounds):
            before, began = sum(cpu_exact_s(daemon.pid) for daemon in cluster.daemons()), time.monotonic()
            time.sleep(seconds)
            shares.append((sum(cpu_exact_s(daemon.pid) for daemon in cluster.daemons()) - before) / (time.monotonic() - began))
        yield at_most("idle cluster, % of a core", 100 * median(shares), 0.5)
        for daemon in cluster.daemons():
            kind = daemon.name.split("-")[0]
            yield at_most(f"idle {kind}, resident memory, MB", rss_mb(daemon.pid), limits[kind], "{:.1f}")


def batch(plan, data):
    """How rate and latency go with the number outstanding: every stage takes all that are there."""
    points = {"http": (1, 4, 16, 64, 128), "zmq": (1, 4, 16, 64, 256, 1024)}
    with BenchCluster(workers=1, threads=WORKER_THREADS) as cluster:
        for name, door in (("http", http_door(cluster)), ("zmq", zmq_door(cluster))):
            curve = [[n, *(load(plan, door, n, seconds=plan.pick(0.8, 0.1))[key] for key in ("rate",))] for n in points[name]]
            data.setdefault("outstanding", {})[name] = curve
            yield Line(f"{name} door, rate by number outstanding", ", ".join(f"{n}: {rate:,.0f}" for n, rate in curve))


def wal(plan, data):
    """bench_wal: group commit of our log beside a bare loop of pwrite and fdatasync."""
    with tempfile.TemporaryDirectory() as directory:
        text = run(BENCH_DIR / "bench_wal", directory, plan.pick(0.1, 0.005), plan.pick(1000000, 2000), plan.pick(7, 1))
    for outstanding, bare, loop, ratio in re.findall(r"^\s+(\d+)\s+(\d+)\s+(\d+)\s+([\d.]+)", text, re.M):
        data.setdefault("wal", []).append([int(outstanding), float(bare), float(loop)])
        yield Line(f"log, {outstanding} outstanding", f"{float(loop):,.0f} records/s, {ratio} of the bare loop's")
    data["wal_start"] = re.search(r"start with .*", text)[0]
    yield Line("log, start", data["wal_start"].removeprefix("start "))


ROWS = {row.__name__: row for row in (http, zmq, verify, stores, broker, workers, idle, agent, batch, wal)}
