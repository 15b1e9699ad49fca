# SPDX-License-Identifier: MIT
"""A parent's legacy must not matter: closed standard streams, signals that are blocked or ignored, a limit of file size, a
umask. And no signal but those that ask for it ends a daemon."""
import itertools
import os
import pathlib
import resource
import signal
import subprocess

import pytest

from harness import pcs
from harness.cluster import Cluster
from harness.process import BIN_DIR, SLOW, environment, free_port, run, wait_for

KINDS = ("gateway", "broker", "worker")
STREAMS = {0: "<&-", 1: ">&-", 2: "2>&-"}
CLOSINGS = [closed for count in (1, 2, 3) for closed in itertools.combinations(STREAMS, count)]


def shell(prefix, redirections=""):
    return ["sh", "-c", f'{prefix}exec "$@" {redirections}', "sh"]


def submit(cluster, count, seed=1):
    """The answers' statuses."""
    maker = pcs.Factory(seed)
    with cluster.http() as door:
        return [door.submit(maker.make()).status for _ in range(count)]


def streams_of(daemon):
    return {fd: os.readlink(f"/proc/{daemon.pid}/fd/{fd}") for fd in STREAMS}


# A closed stream's number never becomes that of a log, a store or a socket: each program serves, drains, and its log is whole.
@pytest.mark.parametrize("closed", CLOSINGS, ids=str)
def test_closed_streams_of_daemons(closed):
    wrap = shell("", " ".join(STREAMS[fd] for fd in closed))
    with Cluster(wrap={kind: wrap for kind in KINDS}) as cluster:
        assert set(submit(cluster, 20)) <= {200, 202}
        for daemon in cluster.daemons():
            for fd, target in streams_of(daemon).items():
                assert (target == "/") == (fd in closed), f"{daemon.name}: {fd} is {target}"
            daemon.signal(signal.SIGHUP)  # something to log
        cluster.stop()
        verify = run("flk-replay", "verify", "--dir", cluster.gateway.env["FLK_DATA_DIR"] / "inbox")
        assert verify.returncode == 0, verify


@pytest.fixture
def csv(tmp_path):
    file = tmp_path / "rows.csv"
    file.write_text("x,y\n" + "".join(f"{number},{number * number % 97}\n" for number in range(500)))
    return file


def sh(command, *args, env=None):
    return subprocess.run(["sh", "-c", command, "sh", *map(str, args)], capture_output=True, text=True, timeout=60 * SLOW,
                          env=environment({"BIN": BIN_DIR, **(env or {})}))


# A tool whose output is closed says so by its status, and its other input and output is whole.
def test_closed_streams_of_tools(csv, tmp_path):
    with Cluster() as cluster:
        door = {"ENDPOINT": "http://%s:%d/v1/pcs/submit" % cluster.gateway.http, "FLK_DATA_DIR": tmp_path / "agent",
                "PCS_SIGN_ALG": "hmac", "PCS_HMAC_KEY": pcs.HMAC_KEY}
        for closed in CLOSINGS:
            streams = " ".join(STREAMS[fd] for fd in closed)
            done = sh(f'"$BIN/flk-agent" submit --shard s{"".join(map(str, closed))} "$1" {streams}', csv, env=door)
            assert done.returncode == 0, (closed, done)
        accepted = cluster.gateway.metrics().total("flk_ingest_total")
        assert accepted == 5 * len(CLOSINGS)
        verify = run("flk-replay", "verify", "--dir", tmp_path / "agent" / "outbox")
        assert verify.returncode == 0, verify
        inbox = cluster.gateway.env["FLK_DATA_DIR"] / "inbox"
        assert sh('"$BIN/flk-replay" list --dir "$1" >&-', inbox).returncode == 1, "nobody saw the list"
        assert sh('"$BIN/flk-replay" verify --dir "$1" <&- 2>&-', inbox).returncode == 0
        assert sh('"$BIN/flk-agent" compute "$1" >&-', csv).returncode == 1, "nobody saw the PCS"
        assert sh('"$BIN/flk-agent" compute - <&-').returncode == 1, "there was nothing to read from"
        assert sh('"$BIN/flk" version >&-').returncode == 1
        assert sh('"$BIN/flk" version <&- 2>&-').returncode == 0
        for program in ("flk-gateway", "flk-broker", "flk-worker", "flk-agent", "flk-replay", "flk-follow", "flk"):
            assert sh(f'"$BIN/{program}" --help >&-').returncode == 1, f"{program}: nobody saw the help"


# SIGTERM drains a daemon whose parent had it blocked or ignored, and SIGCHLD ignored is no trouble.
@pytest.mark.parametrize("how", ["--block-signal", "--ignore-signal"])
def test_inherited_signals(how):
    with Cluster(wrap={kind: ["env", f"{how}=TERM,HUP,CHLD,PIPE,USR1"] for kind in KINDS}) as cluster:
        assert set(submit(cluster, 5)) <= {200, 202}
    assert all(daemon.exits == [0] for daemon in cluster.daemons())


# No signal that others send by mistake ends a daemon, and none takes a record with it.
def test_stray_signals():
    stray = [signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF, signal.SIGPOLL, signal.SIGPIPE,
             signal.SIGPWR, signal.SIGSTKFLT, signal.SIGXFSZ, signal.SIGRTMIN, signal.SIGRTMIN + 3, signal.SIGRTMAX, signal.SIGWINCH,
             signal.SIGURG, signal.SIGCHLD, signal.SIGCONT, signal.SIGHUP]
    with Cluster() as cluster:
        for number in stray:
            for daemon in cluster.daemons():
                daemon.signal(number)
        assert set(submit(cluster, 20)) <= {200, 202}
        for daemon in cluster.daemons():
            assert daemon.alive() and daemon.ready(), daemon.log_tail()


# The signals by which a limit of CPU time or a terminal ends a process drain it too.
@pytest.mark.parametrize("number", [signal.SIGQUIT, signal.SIGXCPU, signal.SIGINT])
def test_signals_that_drain(number):
    with Cluster() as cluster:
        assert set(submit(cluster, 5)) <= {200, 202}
        for daemon in cluster.daemons():
            daemon.stopping = True
            daemon.signal(number)
            assert daemon.wait(15) == 0, daemon.log_tail()
            assert number.name in daemon.log()


# A limit of file size is a full disk: 503 while it lasts, nothing lost, and service again once there is room.
def test_limit_of_file_size():
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    with Cluster(gateway_env={"FLK_REQUEST_TIMEOUT_MS": 2000}) as cluster:
        assert set(submit(cluster, 3)) <= {200, 202}
        for daemon in cluster.daemons():
            resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        wait_for(lambda: submit(cluster, 3, seed=2) == [503] * 3, 20, lambda: cluster.logs())
        assert all(daemon.alive() for daemon in cluster.daemons()), cluster.logs()
        for daemon in cluster.daemons():
            resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, unlimited)
        wait_for(lambda: set(submit(cluster, 3, seed=3)) <= {200, 202}, 20, lambda: cluster.logs())


# The same limit at the start: not ready, not dead.
def test_limit_of_file_size_at_start():
    cluster = Cluster(wrap={kind: ["prlimit", "--fsize=4096:unlimited"] for kind in ("gateway", "broker")})
    try:
        cluster.start(wait=False)
        wait_for(lambda: "ready" in cluster.gateway.log(), 20, lambda: cluster.logs())
        cluster.broker.wait_ready()
        assert cluster.gateway.get("/readyz").status == 503 and submit(cluster, 1) == [503]
        resource.prlimit(cluster.gateway.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        cluster.wait_ready()
        assert set(submit(cluster, 3)) <= {200, 202}
        cluster.stop()
    finally:
        cluster.abandon()


# flk up waits for its children also where SIGCHLD was ignored, and takes SIGTERM also where that was blocked.
def test_inherited_signals_of_a_supervisor(tmp_path):
    ports = [free_port() for _ in range(4)]
    env = environment({"FLK_DATA_DIR": tmp_path / "data", "FLK_ZMQ_LISTEN": f"tcp://127.0.0.1:{ports[1]}",
                       "FLK_FRONTENDS": f"tcp://127.0.0.1:{ports[2]}", "FLK_BACKENDS": f"tcp://127.0.0.1:{ports[3]}"})
    command = ["env", "--ignore-signal=CHLD,TERM", "--block-signal=TERM,CHLD", str(BIN_DIR / "flk"), "up", "--json", "--http",
               f"127.0.0.1:{ports[0]}"]
    with open(tmp_path / "out", "wb") as out, subprocess.Popen(command, env=env, stdout=out, stderr=out) as child:
        said = (tmp_path / "out").read_text
        wait_for(lambda: '"ready"' in said(), 20, said)
        child.terminate()
        assert child.wait(20 * SLOW) == 0, said()
    assert '"clean": true' in said().replace('"clean":true', '"clean": true'), said()


# A umask that takes the owner's own rights away does not keep a daemon out of its directories.
def test_umask():
    with Cluster(wrap={kind: shell("umask 0777; ") for kind in KINDS}) as cluster:
        assert set(submit(cluster, 5)) <= {200, 202}
        inbox = pathlib.Path(cluster.gateway.env["FLK_DATA_DIR"]) / "inbox"
        assert inbox.stat().st_mode & 0o777 == 0o700
