# SPDX-License-Identifier: MIT
"""Real cgroups: the limits of a process decide how much it takes, and a memory limit is answered with 503 before the kernel's killer comes."""
import os
import pathlib
import re
import subprocess

import pytest

from harness import pcs as reference
from harness.cluster import Cluster
from harness.process import sanitized, wait_for

ROOT = pathlib.Path("/sys/fs/cgroup")
LIMIT = 64 << 20


def make(controller, name):
    """A cgroup of version 1 or 2; skips where none can be made."""
    unified = (ROOT / "cgroup.controllers").exists()
    path = (ROOT if unified else ROOT / controller) / f"flk-test-{os.getpid()}-{name}"
    try:
        path.mkdir()
    except OSError as error:
        pytest.skip(f"no cgroups here: {error}")
    if unified and not (path / f"{controller}.max").exists():
        path.rmdir()
        pytest.skip(f"the controller {controller} is not given to cgroups below {ROOT}")
    return path, unified


@pytest.fixture
def cpu_cgroup():
    path, unified = make("cpu", "cpu")
    if unified:
        (path / "cpu.max").write_text("60000 100000")
    else:
        (path / "cpu.cfs_quota_us").write_text("60000")
    yield path
    path.rmdir()


@pytest.fixture
def memory_cgroup():
    path, unified = make("memory", "memory")
    (path / ("memory.max" if unified else "memory.limit_in_bytes")).write_text(str(LIMIT))
    yield path
    path.rmdir()


def inside(path):
    """Begins a program in the cgroup."""
    return ("sh", "-c", f'echo $$ >{path}/cgroup.procs; exec "$@"', "sh")


def killed(path):
    """How many processes the kernel has killed there."""
    for name, pattern in (("memory.oom_control", r"oom_kill (\d+)"), ("memory.events", r"oom_kill (\d+)")):
        if (path / name).exists():
            return int(re.search(pattern, (path / name).read_text()).group(1))
    return 0


# Six tenths of a core are one thread, on any machine.
def test_threads_follow_the_quota(cpu_cgroup):
    with Cluster(worker_env={"FLK_WORKER_THREADS": 0}, wrap={"worker": inside(cpu_cgroup)}) as cluster:
        assert cluster.worker.metrics().total("flk_worker_threads") == 1


# Without a worker everything piles up: the broker says BUSY, the gateway 503, and nobody is killed.
@pytest.mark.skipif(sanitized(), reason="a sanitizer's own memory is beyond the limit")
@pytest.mark.parametrize("role", ["broker", "gateway"])
def test_memory_limit_is_answered(role, memory_cgroup, seed):
    factory = reference.Factory(seed, "memory")
    env = {"FLK_REQUEST_TIMEOUT_MS": 60000, "FLK_WAL_LOW_WATER_BYTES": 0}
    with Cluster(workers=0, gateway_env=env, wrap={role: inside(memory_cgroup)}) as cluster, cluster.zmq() as zmq:
        wait_for(lambda: cluster.gateway.metrics().total("flk_broker_link_up") == 1, 10, "the link")
        sent = 0
        while sent < 4 * LIMIT:  # four times as much as there is
            pcs = factory.make() | {"padding": "x" * 200_000}
            zmq.post(pcs)
            sent += 200_000
        refused = {"broker": "flk_broker_busy_total", "gateway": "flk_refused_total"}[role]
        daemon = {"broker": cluster.broker, "gateway": cluster.gateway}[role]
        wait_for(lambda: daemon.metrics().total(refused) > 0, 30, f"{role} refuses")
        assert killed(memory_cgroup) == 0 and cluster.gateway.alive() and cluster.broker.alive()
        for process in (cluster.gateway, cluster.broker):
            process.kill()  # a drain would wait for a worker


# A worker asks for no more than it can hold, however large: the rest waits at the broker, and everything is answered.
@pytest.mark.skipif(sanitized(), reason="a sanitizer's own memory is beyond the limit")
def test_worker_within_its_memory(memory_cgroup, seed):
    factory = reference.Factory(seed, "memory")
    env = {"FLK_REQUEST_TIMEOUT_MS": 60000, "FLK_WAL_LOW_WATER_BYTES": 0}
    with Cluster(gateway_env=env, worker_env={"FLK_WORKER_THREADS": 2}, wrap={"worker": inside(memory_cgroup)}) as cluster, cluster.zmq() as zmq:
        assert re.search(r"worker_ready .*credit=7\b", cluster.broker.log()), "7 for each of two threads are 14 MiB"
        cluster.worker.pause()
        for _ in range(4 * LIMIT // 1_000_000):
            zmq.post(factory.make() | {"padding": "x" * 1_000_000})
        wait_for(lambda: cluster.broker.metrics().total("flk_broker_queue_bytes") > 3 * LIMIT, 30, "the broker has it")
        cluster.worker.resume()
        wait_for(lambda: cluster.broker.metrics().total("flk_broker_queue_bytes") == 0 or not cluster.worker.alive(), 60, "it is worked off")
        assert killed(memory_cgroup) == 0 and cluster.worker.alive()


# The limits that nobody set are told in the settings' help.
def test_help_tells_the_rule():
    from harness.process import BIN_DIR
    told = subprocess.run([BIN_DIR / "flk-broker", "--help"], capture_output=True, text=True, env={}).stdout
    assert re.search(r"FLK_QUEUE_BYTES_MAX .*\n?.*quarter of its memory", told), told
