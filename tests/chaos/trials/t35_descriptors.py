# SPDX-License-Identifier: MIT
"""Gateway, broker and worker run out of file descriptors while strangers connect: nothing that was accepted is lost, and it heals."""
import resource
import socket
import time

from kit.trial import Trial
from kit.wires import port_of

STRANGERS = 60


class Descriptors(Trial):
    name = "T35"
    cluster = dict(workers=2, threads=1)
    limits = dict(gap_s=60, answers=(200, 202, 503))
    seconds, short_seconds = 24, 6

    def plan(self, random, seconds):
        """Each for a third of the time; the order is drawn."""
        names = random.sample(["gateway-0", "broker-0", "worker-0"], 3)
        plan = []
        for number, name in enumerate(names):
            begin = seconds * number / 3
            plan += [(round(begin, 3), "starve", name), (round(begin + seconds / 4, 3), "feed", name)]
        return plan

    def do_starve(self, run, target):
        """Its limit falls to its open descriptors and two more; then more connect than that."""
        daemon = run.nemesis.daemons(target)[0]
        opened = len(list((run.cluster.directory.parent / f"/proc/{daemon.pid}/fd").iterdir()))
        run.limit = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (opened + 2, run.limit[1]))
        ports = {"gateway-0": [run.cluster.gateway.http[1], port_of(run.cluster.gateway.zmq)],
                 "broker-0": [port_of(run.cluster.broker.frontend), port_of(run.cluster.broker.backend)],
                 "worker-0": [run.cluster.worker.admin[1]]}[target]
        run.strangers = []
        for number in range(STRANGERS):
            stranger = socket.socket()
            stranger.setblocking(False)
            stranger.connect_ex(("127.0.0.1", ports[number % len(ports)]))
            run.strangers.append(stranger)
        run.starved = daemon, self.cpu(daemon), time.monotonic()

    def do_feed(self, run, target):
        daemon, cpu, began = run.starved
        share = (self.cpu(daemon) - cpu) / (time.monotonic() - began)
        run.extra_figures.setdefault("cpu_while_starved", {})[target] = round(share, 2)
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, run.limit)
        for stranger in run.strangers:
            stranger.close()

    @staticmethod
    def cpu(daemon):
        """Seconds of user and system time so far."""
        with open(f"/proc/{daemon.pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / 100


TRIAL = Descriptors()
