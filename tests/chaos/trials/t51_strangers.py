# SPDX-License-Identifier: MIT
"""Ordinary clients beside strangers at every port, for long: answers go on, and each process's memory stays level. `--seconds 3600` is the long soak."""
import json
import os
import random
import socket
import threading
import time

from harness import doors, pcs as reference
from harness.heads import generate
from harness.strangers import address_of, corpora
from kit import ledger as books
from kit.judge import level, verdict
from kit.trial import Trial

SAMPLES = 60            # of each process's memory, over the whole phase
LEVEL_FROM_S = 600      # a shorter run ends before memory is level
PAUSE_S = 0.05          # between two acts of one stranger
PATH = doors.PATH.encode()


def post(body, kind=b"application/json", length=None):
    """A request whose length may be a lie."""
    length = len(body) if length is None else length
    return b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n" % (PATH, kind, length) + body


def bodies(pick, pcs):
    """Bodies that are no PCS, or not quite one; none of them gets into the log."""
    good = reference.encode(pcs)
    at = pick.randrange(len(good))
    return [b"{" + b"x" * pick.randrange(100000), b"[" * 5000, good[:at], good[:at] + bytes([pick.randrange(128, 256)]) + good[at + 1:],
            json.dumps({**pcs, pick.choice(sorted(pcs)): pick.choice([None, [], {}, "x" * 5000, 1e300, -1]), "pcs_id": "x"}).encode(), b"",
            json.dumps({**pcs, "N_j": {str(n): n for n in range(20000)}, "pcs_id": "x"}).encode(), pick.randbytes(2000), b"\0" * 500]


class Stranger(threading.Thread):
    """Says one hostile thing after the other until it is told to stop, each on a connection of its own."""

    def __init__(self, run, number):
        super().__init__(daemon=True)
        self.pick, self.stopping, self.acts, self.silent = random.Random(run.seed * 100 + number), threading.Event(), 0, []
        self.cluster, self.factory = run.cluster, reference.Factory(run.seed * 100 + number, "stranger")
        self.ports = [gateway.zmq for gateway in run.cluster.gateways]
        self.ports += [endpoint for broker in run.cluster.brokers for endpoint in (broker.frontend, broker.backend)]

    def run(self):
        while not self.stopping.wait(PAUSE_S):
            try:
                self.pick.choice([self.head, self.body, self.late, self.quiet, self.handshake, self.frames])()
            except (OSError, TimeoutError):
                pass  # refused in the middle of it
            self.acts += 1
        for peer in self.silent:
            peer.close()

    def say(self, address, data, read=True):
        with socket.create_connection(address, 5) as peer:
            peer.sendall(data)
            peer.settimeout(0.5)
            if read:
                peer.recv(65536)

    def head(self):
        self.say(self.cluster.gateway.http, b"".join(generate(self.pick) for _ in range(self.pick.randrange(1, 4))))

    def body(self):
        self.say(self.cluster.gateway.http, post(self.pick.choice(bodies(self.pick, self.factory.make()))))

    def late(self):
        """Announces more than it sends, and leaves."""
        self.say(self.cluster.gateway.http, post(b"{", length=self.pick.choice([100, 1 << 20, 1 << 40])), read=False)

    def quiet(self):
        """Stays connected without a word; the oldest of a hundred leaves."""
        where = self.pick.choice([self.cluster.gateway.http, *map(address_of, self.ports)])
        self.silent.append(socket.create_connection(where, 5))
        if len(self.silent) > 100:
            self.silent.pop(0).close()

    def handshake(self):
        self.say(address_of(self.pick.choice(self.ports)), self.pick.choice(list(corpora(self.pick).values())), read=False)

    def frames(self):
        """A peer that speaks ZeroMQ, and a protocol that is not quite ours."""
        pick, peer = self.pick, doors.dealer()
        peer.linger = 200
        peer.connect(pick.choice(self.ports))
        body = pick.choice(bodies(pick, self.factory.make()))
        for parts in ([pick.randbytes(pick.randrange(200))], [b""] * pick.randrange(1, 40), [doors.pack(doors.HELLO, os.urandom(16), "stranger")],
                      [doors.pack(doors.SUBMIT, os.urandom(16)), body], [doors.pack(pick.randrange(20), os.urandom(pick.randrange(20)), 1 << 63)],
                      [doors.pack(doors.VERDICT, os.urandom(16), 200, 0, 1, 1), body], [doors.pack(doors.PING, b"", protocol=9)]):
            peer.send_multipart(parts)
        peer.poll(100)
        peer.close()


class Strangers(Trial):
    name = "T51"
    cluster = dict(workers=2, threads=1, worker_env={"FLK_LMDB_RECENT_BYTES": 1 << 20})  # full within minutes: level is level then
    limits = dict(gap_s=30, answers=(200, 202, 503), rss_slack=256 << 20)  # beside a mapped store: "level" judges own memory
    rate = 100
    seconds, short_seconds = 60, 5

    def faults(self, run):
        run.memory, strangers = [], [Stranger(run, number) for number in range(4)]
        for stranger in strangers:
            stranger.start()
        began = time.monotonic()
        while time.monotonic() < began + run.seconds:
            time.sleep(run.seconds / SAMPLES)  # the samples' period
            run.memory.append({name: found["anonymous"] for name, found in books.resources(run.cluster).items()})
        for stranger in strangers:
            stranger.stopping.set()
        for stranger in strangers:
            stranger.join()
        run.extra_figures.update(acts=sum(stranger.acts for stranger in strangers), measured_s=round(time.monotonic() - began))

    def extra(self, run, history, ledger):
        series = {name: [sample[name] for sample in run.memory] for name in run.memory[0]}
        run.extra_figures["anonymous_mib"] = {name: [round(size / 2**20, 1) for size in sizes[::6]] for name, sizes in series.items()}
        acts = [] if run.extra_figures["acts"] > run.seconds else [f"the strangers did only {run.extra_figures['acts']} things"]
        return {"level": verdict(level(series), run.seconds >= LEVEL_FROM_S), "strangers": verdict(acts)}


TRIAL = Strangers()
