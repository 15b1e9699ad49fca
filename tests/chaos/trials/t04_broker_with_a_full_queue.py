# SPDX-License-Identifier: MIT
"""The broker is killed and started with 100,000 submissions in its queue: the gateways fill it again, and each gets one outcome."""
import random
import threading
import time

from harness.process import wait_for
from kit.clients import Link, Source
from kit.ledger import scrape
from kit.trial import Trial

from harness import pcs as reference

LINK_WINDOW = 1000  # below the credit of an agent at a gateway


class Flood:
    """Many agents at each gateway, one thread: every link sends until its window is full, then only listens."""

    def __init__(self, run, links):
        self.run, self.stopping, self.links = run, threading.Event(), []
        clients = run.clients
        for number in range(links):
            gate = number % len(run.cluster.gateways)
            source = Source(reference.Factory(run.seed * 100 + 50 + number, f"flood{number}"), clients.retries, 0, 0)
            link = Link(clients, source, run.cluster.gateways[gate], gate, LINK_WINDOW)
            source.set_rate(float("inf"))
            self.links.append(link)
        self.thread = threading.Thread(target=self._go, daemon=True)
        self.thread.start()

    def _go(self):
        while not self.stopping.is_set():
            for link in self.links:
                link.turn(0)
        for link in self.links:
            link.close()

    def sent(self):
        return sum(len(link.flying) for link in self.links)

    def fill(self, links):
        wait_for(lambda: self.sent() >= links * LINK_WINDOW, 180, lambda: f"{self.sent()} were sent")
        for link in self.links:
            link.source.set_rate(0)

    def drain(self):
        wait_for(lambda: self.sent() == 0, 120, lambda: f"{self.sent()} have no answer")
        self.stopping.set()
        self.thread.join()


class FullQueue(Trial):
    name = "T4"
    limits = dict(gap_s=600, rss_slack=1 << 30)  # the queue was in memory, three times over
    seconds, short_seconds = 100, 6              # links of a thousand
    rate, drain_s = 300, 120

    def settings(self, run):
        return dict(gateways=1 if run.short else 4, workers=2, threads=1,
                    gateway_env={"FLK_REQUEST_TIMEOUT_MS": 600000, "FLK_INFLIGHT_MAX": 200000})

    def faults(self, run):
        broker, act = run.cluster.broker, run.nemesis.act
        links = run.seconds

        def held():
            metrics = scrape(broker)
            return metrics.total("flk_broker_queue_depth") + metrics.total("flk_broker_inflight")
        run.clients.set_rate(0)
        act("kill", "workers")
        flood = Flood(run, links)
        flood.fill(links)
        want = links * LINK_WINDOW * 0.999
        wait_for(lambda: held() >= want, 120, lambda: f"the broker holds {held():g} of {want:g}")
        before_mib = scrape(broker).total("process_resident_memory_bytes") / 2**20
        act("crash", "broker-0")
        began = time.monotonic()
        wait_for(lambda: broker.ready() and held() >= want, 120, lambda: f"the broker holds {held():g} of {want:g} again")
        run.extra_figures.update(queued=int(held()), refill_s=round(time.monotonic() - began, 3), queued_rss_mib=round(before_mib, 1))
        time.sleep(random.Random(run.seed).uniform(0, 0.2))  # not always at the same instant of the refill
        act("start", "workers")
        flood.drain()
        run.extra_figures["drained_per_s"] = round(links * LINK_WINDOW / (time.monotonic() - began))
        run.clients.set_rate(run.rate)

    def extra(self, run, history, ledger):
        print(f"        queued {run.extra_figures['queued']} in {run.extra_figures['queued_rss_mib']} MiB, refilled in "
              f"{run.extra_figures['refill_s']} s, then {run.extra_figures['drained_per_s']}/s")
        return {}


TRIAL = FullQueue()
