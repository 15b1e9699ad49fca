# SPDX-License-Identifier: MIT
"""Nobody reads the output of a process: its log on stderr, its stdout, its datagrams to the service manager. It goes on, and ends
when it is told to."""
import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import time

import pytest

from harness import pcs
from harness.cluster import Cluster
from harness.process import BIN_DIR, SLOW, environment, free_port, wait_for

F_SETPIPE_SZ = 1031


class FullPipe:
    """A pipe without any room left, and blocking, as one that a log shipper holds which has stalled."""

    def __init__(self):
        self.reader, self.writer = os.pipe()
        fcntl.fcntl(self.writer, F_SETPIPE_SZ, 4096)
        os.set_blocking(self.writer, False)
        try:
            while True:
                os.write(self.writer, b"x")
        except BlockingIOError:
            os.set_blocking(self.writer, True)

    def text(self, seconds=1):
        """The lines that come once somebody reads again, without the filling."""
        os.set_blocking(self.reader, False)
        data, end = b"", time.monotonic() + seconds * SLOW
        while time.monotonic() < end and select.select([self.reader], [], [], 0.2)[0]:
            data += os.read(self.reader, 65536)
        return data.lstrip(b"x").decode()

    def close(self):
        os.close(self.reader)
        os.close(self.writer)


@pytest.fixture
def full():
    pipe = FullPipe()
    yield pipe
    pipe.close()


def into(pipe):
    """Stdout and stderr of the program behind it go into the pipe."""
    return ["bash", "-c", f'exec "$@" >&{pipe.writer} 2>&{pipe.writer}', "bash"]


@pytest.fixture
def inherited(monkeypatch):
    """Popen hands every descriptor down that is inheritable."""
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *args, **options: popen(*args, **{**options, "close_fds": False}))


# Each daemon serves and drains with a full pipe as stdout and stderr; its lines come once somebody reads, and lost ones
# are told.
def test_daemons_with_a_full_pipe(full, inherited):
    os.set_inheritable(full.writer, True)
    maker = pcs.Factory(7)
    with Cluster(wrap={kind: into(full) for kind in ("gateway", "broker", "worker")}, env={"FLK_LOG_LEVEL": "debug"}) as cluster:
        with cluster.http() as door:
            for _ in range(50):
                assert door.submit(maker.make()).status in (200, 202)
        cluster.worker.signal(signal.SIGHUP)
        for daemon in cluster.daemons():
            assert daemon.ready()
            assert daemon.metrics().total("flk_log_lines_lost_total") == 0
        cluster.stop()
    assert all(daemon.exits == [0] for daemon in cluster.daemons())


# Lines that wait in a process go out, in order, when its reader comes back.
def test_log_of_a_daemon_after_a_stall(full, inherited):
    os.set_inheritable(full.writer, True)
    with Cluster(workers=0, gateways=0, wrap={"broker": into(full)}) as cluster:
        assert " broker_started " in full.text()
        cluster.stop()
        assert " draining " in full.text()


# A start that is refused ends, with its status, also where its line has no reader.
@pytest.mark.parametrize("program", ["flk-gateway", "flk-broker", "flk-worker"])
def test_refused_start_with_a_full_pipe(program, full):
    for arguments, env in (([], {"FLK_LOG_LEVEL": "loud"}), (["--nonsense"], {}), (["--check"], {"FLK_LOG_LEVEL": "loud"})):
        done = subprocess.run([BIN_DIR / program, *arguments], env=environment(env), stdout=full.writer, stderr=full.writer,
                              timeout=10 * SLOW)
        assert done.returncode == 2


# The service manager does not read: the process serves, drains, and its watchdog's loop turns.
def test_manager_that_does_not_read(tmp_path):
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filler:
        manager.bind(address)
        filler.setblocking(False)
        try:
            while True:
                filler.sendto(b"x", address)
        except BlockingIOError:
            pass
        maker = pcs.Factory(8)
        with Cluster(env={"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "200000"}) as cluster:
            with cluster.http() as door:
                assert door.submit(maker.make()).status in (200, 202)
            time.sleep(1)  # some keep-alives are due
            assert all(daemon.ready() for daemon in cluster.daemons())
            cluster.stop()
            assert "notify_failed" in cluster.broker.log()


# flk up supervises and stops its cluster although nobody reads its output.
@pytest.mark.parametrize("arguments", [[], ["--json"]], ids=["text", "json"])
def test_supervisor_with_a_full_pipe(arguments, full, tmp_path):
    ports = [free_port() for _ in range(4)]
    env = environment({"FLK_DATA_DIR": tmp_path / "data", "FLK_ZMQ_LISTEN": f"tcp://127.0.0.1:{ports[1]}",
                       "FLK_FRONTENDS": f"tcp://127.0.0.1:{ports[2]}", "FLK_BACKENDS": f"tcp://127.0.0.1:{ports[3]}"})
    command = [BIN_DIR / "flk", "up", "--http", f"127.0.0.1:{ports[0]}", *arguments]
    with subprocess.Popen(command, env=env, stdout=full.writer, stderr=full.writer, start_new_session=True) as child:
        cluster = tmp_path / "data" / "cluster.json"
        wait_for(cluster.exists, 20, "no cluster")
        worker = next(member for member in json.loads(cluster.read_text())["members"] if member["program"] == "worker")
        os.kill(worker["pid"], signal.SIGKILL)
        wait_for(lambda: any(member["name"] == worker["name"] and member["pid"] != worker["pid"]
                             for member in json.loads(cluster.read_text())["members"]), 20, "it was not started again")
        child.terminate()
        assert child.wait(30 * SLOW) == 0


# A tool that waits for its reader ends when it is told to, by the first signal.
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_tool_with_a_full_pipe(number, full, tmp_path):
    file = tmp_path / "rows.csv"
    file.write_text("x,y\n" + "".join(f"{row},{row * row % 97}\n" for row in range(5000)))
    for arguments in (["flk-agent", "compute", file], ["flk-agent", "submit", "--json", file]):
        env = environment({"FLK_DATA_DIR": tmp_path / "data", "ENDPOINT": "http://127.0.0.1:1/v1/pcs/submit"})
        with subprocess.Popen([BIN_DIR / arguments[0], *map(str, arguments[1:])], env=env, stdout=full.writer,
                              stderr=full.writer) as child:
            time.sleep(0.5)
            assert child.poll() is None, arguments
            child.send_signal(number)
            child.wait(10 * SLOW)
