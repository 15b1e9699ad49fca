# SPDX-License-Identifier: MIT
"""Hosts on one machine: each a network, mount and pid namespace. Its process 1 is its power: when that ends, all that ran on it is gone."""
import json
import os
import pathlib
import signal
import subprocess

from .place import CONTROL_IP, NODES, RUN, Broken, call, node_ip, node_pods, until

BOOT = "hostname {name}; mount --make-rshared /; mount -t tmpfs tmpfs /run; ip link set lo up; exec tini -s -- sleep infinity"


def started(pid):
    """When a process started, in ticks: with the pid it names one process for good. None when it has ended."""
    try:
        state, *fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if state in "ZX" else fields[18]


class Process:
    """A process that outlives the program which started it; its pid is kept in a file."""

    def __init__(self, file):
        self.file = file

    @property
    def pid(self):
        if not self.file.exists():
            return None
        kept = json.loads(self.file.read_text())
        return kept["pid"] if started(kept["pid"]) == kept["started"] else None

    def keep(self, pid):
        self.file.write_text(json.dumps({"pid": pid, "started": started(pid)}))

    def end(self, how=signal.SIGTERM):
        if pid := self.pid:
            os.kill(pid, how)
            until(f"end of {self.file.stem} ({pid})", 20, lambda: started(pid) is None, pause=0.05)


class Host:
    def __init__(self, name):
        self.name, self.place = name, RUN / name
        self.init = Process(self.place / "init.pid")

    @property
    def up(self):
        return self.init.pid is not None

    def boot(self):
        if self.up:
            return
        (self.place / "log").mkdir(parents=True, exist_ok=True)
        with open(self.place / "log" / "init", "wb") as log:
            outer = subprocess.Popen(
                ["unshare", "--net", "--mount", "--uts", "--pid", "--fork", "--mount-proc", "--propagation", "private", "--", "sh", "-ec",
                 BOOT.format(name=self.name)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

        def inner():
            if outer.poll() is not None:
                raise Broken((self.place / "log" / "init").read_text())
            for pid in pathlib.Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split():
                if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "tini":
                    return int(pid)
            return None
        self.init.keep(until(f"{self.name} boots", 10, inner, pause=0.05))

    def power_off(self):
        self.init.end(signal.SIGKILL)

    def words(self, *command, only_network=False):
        """The command as it is run on this host; with its network alone, or with its mounts and processes too."""
        pid = self.init.pid
        if pid is None:
            raise Broken(f"{self.name} is not up")
        spaces = ["-n"] if only_network else ["-m", "-n", "-p", "-u"]
        return ["nsenter", "-t", str(pid), *spaces, "--", *map(str, command)]

    def run(self, *command, **options):
        return call(*self.words(*command), **options)

    def sh(self, script, *arguments):
        return self.run("sh", "-ec", script, "sh", *arguments)

    def tries(self, *command):
        return subprocess.run(self.words(*command), capture_output=True, text=True).returncode == 0

    def daemon(self, name, *command, **environment):
        """Starts it unless it runs; its log is in log/NAME."""
        process = Process(self.place / f"{name}.pid")
        if process.pid:
            return
        with open(self.place / "log" / name, "ab") as log:
            made = subprocess.Popen(self.words(*command), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                                    env={**os.environ, **environment})
        process.keep(made.pid)

    def stop(self, name):
        """Ends the daemon below its nsenter, which ends with it."""
        process = Process(self.place / f"{name}.pid")
        if process.pid is None:
            return
        for pid in pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            os.kill(int(pid), signal.SIGTERM)
        process.end()


CONTROL = Host("control")
NODE = {name: Host(name) for name in NODES}
ALL = [CONTROL, *NODE.values()]


def cable(node):
    """The control host's end of the node's cable."""
    return f"to-{node}"


def wire():
    """A bridge on the control host, a cable to each node, a route to each node's pods."""
    CONTROL.sh("ip link show br0 >/dev/null 2>&1 || { ip link add br0 type bridge; ip addr add $1/24 dev br0; ip link set br0 up; }"
               "; sysctl -qw net.ipv4.ip_forward=1", CONTROL_IP)
    for name, node in NODE.items():
        if not node.tries("ip", "link", "show", "eth0"):
            CONTROL.tries("ip", "link", "del", cable(name))
            # With the machine's processes in sight: the other end is named by a pid.
            call(*CONTROL.words("ip", "link", "add", cable(name), "type", "veth", "peer", "name", "eth0", "netns", node.init.pid, only_network=True))
            CONTROL.sh('ip link set "$1" master br0 up', cable(name))
            node.sh("ip addr add $1/24 dev eth0; ip link set eth0 up; ip route add default via $2; sysctl -qw net.ipv4.ip_forward=1",
                    node_ip(name), CONTROL_IP)
    for name in NODE:
        for host in ALL:
            if host.name != name:
                host.run("ip", "route", "replace", node_pods(name), "via", node_ip(name))
