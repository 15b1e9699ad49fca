# SPDX-License-Identifier: MIT
"""A proxy answers for the gateway with pages of its own, of every status: agents wait until they reach it, and bury nothing."""
import time

from kit.front import Front
from kit.judge import verdict
from kit.outboxes import OutboxAgent
from kit.trial import Trial


class ProxyInBetween(Trial):
    name = "T44c"
    cluster = dict(workers=1, threads=1)
    limits = dict(gap_s=30)
    rate = 100
    seconds, short_seconds = 60, 2

    def faults(self, run):
        front = Front(run.cluster.gateway.http, run.random)
        run.at_end.append(front.stop)
        agents = [OutboxAgent(run, f"agent-{number}", front.url, 20 if run.short else 100) for number in range(2)]
        run.recorder.fault("strangers", "gateway-0")
        run.nemesis.count += 1
        front.share = 1.0
        for agent in agents:
            agent.start()
        time.sleep(run.seconds)  # for so long nobody reaches the gateway
        front.share = 0.3
        time.sleep(run.seconds / 3)  # then most do
        front.share = 0.0
        run.wrong, run.strange = [line for agent in agents for line in agent.outcome(120)], front.strange

    def extra(self, run, history, ledger):
        run.extra_figures["strange"] = run.strange
        return {"agents": verdict(run.wrong), "hit": verdict([] if run.strange >= 20 else [f"{run.strange} answers were a stranger's"])}


TRIAL = ProxyInBetween()
