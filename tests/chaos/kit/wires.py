# SPDX-License-Identifier: MIT
"""Puts wires that can be cut, held and slowed (tools/wires.py) between the processes of a cluster.

A wire's name tells its two ends: "gateway-0 broker-0", "worker-1 broker-0", "worker-1 store". In plans: `hold`, `pass`, `cut`, `slow`
of a trial that has WireFaults among its bases, with the name of a wire, or "gateways" and "workers" for all of theirs.
"""
import pathlib
import subprocess
import sys

from harness.process import free_port

PROGRAM = pathlib.Path(__file__).resolve().parents[1] / "tools" / "wires.py"


def port_of(endpoint):
    return int(endpoint.rsplit(":", 1)[1])


class Wires:
    def __init__(self, run):
        self.run, self.names, self.pairs, self.child = run, [], [], None

    def add(self, name, target):
        """The port to connect to instead of `target`."""
        listen = free_port()
        self.names.append(name)
        self.pairs.append(f"{listen}:{target}")
        return listen

    def between_brokers(self):
        """A wire of its own for each gateway and each worker, to each broker."""
        for daemons, setting, side in ((self.run.cluster.gateways, "FLK_FRONTENDS", "frontend"),
                                       (self.run.cluster.workers, "FLK_BACKENDS", "backend")):
            for daemon in daemons:
                ports = [self.add(f"{daemon.name} {broker.name}", port_of(getattr(broker, side))) for broker in self.run.cluster.brokers]
                daemon.env[setting] = ",".join(f"tcp://127.0.0.1:{port}" for port in ports)
        return self

    def start(self):
        self.child = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", sys.executable, "-B", str(PROGRAM), *self.pairs],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.run.at_end.append(self.stop)
        self.answered()
        return self

    def answered(self):
        answer = self.child.stdout.readline()
        assert answer == "ok\n", f"the wires broke: {answer!r}"

    def order(self, target, what, value=""):
        groups = {"gateways": "gateway-", "workers": "worker-", "all": ""}
        chosen = [number for number, name in enumerate(self.names) if name == target or name.startswith(groups.get(target, "\0"))]
        assert chosen, f"there is no wire {target}; there are {self.names}"
        for number in chosen:
            print(number, what, value, file=self.child.stdin, flush=True)
            self.answered()

    def stop(self):
        self.child.stdin.close()
        self.child.kill()
        self.child.wait()


class WireFaults:
    """Actions for plans: a target is a wire, "gateways", "workers" or "all"; `hold` may say a way: "worker-0 broker-0/up"."""

    def do_hold(self, run, target):
        name, _, way = target.partition("/")
        run.wires.order(name, "hold", way or "both")

    def do_pass(self, run, target):
        run.wires.order(target, "pass")

    def do_cut(self, run, target):
        run.wires.order(target, "cut")
