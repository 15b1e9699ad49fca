# SPDX-License-Identifier: MIT
"""The rights that the daemons gave up when they started, the files they make, and that they need no privilege."""
import os
import pathlib
import stat

import pytest

from harness import pcs as reference
from harness.cluster import Cluster
from harness.load import Load
from harness.process import run


def status(daemon):
    lines = pathlib.Path(f"/proc/{daemon.pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def core_limit(daemon):
    limits = pathlib.Path(f"/proc/{daemon.pid}/limits").read_text()
    return next(line for line in limits.splitlines() if line.startswith("Max core file size")).split()[4:6]


# Each daemon: no new privileges, a system call filter, no core dump, /proc/PID root's and not its user's; and every file it makes is for its owner only.
def test_daemons_are_hardened(seed):
    with Cluster() as cluster:
        Load(cluster, seed, http=1, zmq=1, count=20).start().join()
        for daemon in cluster.daemons():
            shown = status(daemon)
            assert (shown["NoNewPrivs"], shown["Seccomp"]) == ("1", "2"), (daemon.name, shown["NoNewPrivs"], shown["Seccomp"])
            assert core_limit(daemon) == ["0", "0"], daemon.name
            assert "not_hardened" not in daemon.log(), daemon.log_tail()
        made = [path for folder in ("store", "gateway-0") for path in (cluster.directory / folder).rglob("*")]
        assert made
        for path in made:
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, f"{path} is {path.stat().st_mode:o}"


# A developer's machine keeps debuggers and core dumps' reader, never the rights of files.
def test_developers_may_debug():
    with Cluster(env={"FLK_DEV": 1}) as cluster:
        assert status(cluster.gateway)["Seccomp"] == "0" and status(cluster.gateway)["NoNewPrivs"] == "1"


# Every thread of every daemon is scheduled as the setting says.
@pytest.mark.parametrize("name, policy", [("other", os.SCHED_OTHER), ("batch", os.SCHED_BATCH)])
def test_scheduler(name, policy, seed):
    with Cluster(env={"FLK_SCHEDULER": name}) as cluster:
        Load(cluster, seed, http=1, zmq=1, count=20).start().join()
        for daemon in cluster.daemons():
            threads = [int(task.name) for task in pathlib.Path(f"/proc/{daemon.pid}/task").iterdir()]
            assert len(threads) > 1 and {os.sched_getscheduler(thread) for thread in threads} == {policy}, daemon.name


# A whole cluster as an unprivileged user without any capability: it serves as it does for root.
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_no_privilege_is_needed(seed):
    as_nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--bounding-set", "-all", "--no-new-privs",
                 "--pdeathsig", "KILL"]
    cluster = Cluster(wrap={"gateway": as_nobody, "broker": as_nobody, "worker": as_nobody})
    os.chown(cluster.directory, 65534, 65534)
    with cluster:
        submissions = Load(cluster, seed, http=2, zmq=1, count=50).start().join()
        assert all(s.status in (200, 202) for s in submissions)
        shown = status(cluster.gateway)
        assert shown["Uid"].split() == ["65534"] * 4 and int(shown["CapEff"], 16) == 0


# Passwords and keys that documents print stop the start of each program that has them, with one line that does not repeat them.
@pytest.mark.parametrize("program,name", [("flk-gateway", "METRICS_PASS"), ("flk-broker", "METRICS_PASS"), ("flk-worker", "METRICS_PASS"),
                                          ("flk-worker", "PCS_HMAC_KEY"), ("flk-worker", "PCS_HMAC_KEYS"), ("flk-agent", "PCS_HMAC_KEY")])
@pytest.mark.parametrize("value", ["change-me", "supersecret"])
def test_sample_passwords_are_refused(program, name, value):
    arguments = ["--check"] if program != "flk-agent" else ["submit", "/dev/null"]
    env = {name: value, "METRICS_USER": "ops" if name == "METRICS_PASS" else None, "PCS_SIGN_ALG": "hmac"}
    done = run(program, *arguments, env=env)
    assert done.returncode != 0 and name in done.stderr and "example" in done.stderr and value not in done.stderr, done
    if program != "flk-agent":
        done = run(program, *arguments, env={**env, "FLK_DEV": 1, "PCS_HMAC_KEY": "x" if name != "PCS_HMAC_KEY" else value})
        assert done.returncode == 0, done
