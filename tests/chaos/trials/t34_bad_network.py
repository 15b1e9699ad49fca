# SPDX-License-Identifier: MIT
"""A network of 1 Mbit/s with 20 ms a hop that loses its connections now and then: slow, nothing lost, no storm of repetitions."""
from kit.judge import verdict
from kit.nemesis import periodic
from kit.trial import Trial
from kit.wires import WireFaults, Wires


class BadNetwork(WireFaults, Trial):
    name = "T34"
    limits = dict(gap_s=60, answers=(200, 202, 503))
    cluster = dict(workers=2, threads=1)
    rate, load = 60, 0.5
    seconds, short_seconds = 20, 6

    def prepare(self, run):
        run.wires = Wires(run).between_brokers().start()

    def plan(self, random, seconds):
        wires = [f"{name} broker-0" for name in ("gateway-0", "worker-0", "worker-1")]
        return periodic(random, seconds, 2 if seconds < 10 else 4, "cut", wires)

    def faults(self, run):
        run.wires.order("all", "delay", 0.02)
        run.wires.order("all", "rate", 125_000)
        run.began = {name: run.cluster.broker.metrics().total(name) for name in ("flk_broker_resubmitted_total", "flk_broker_submitted_total")}
        super().faults(run)
        ended = {name: run.cluster.broker.metrics().total(name) for name in run.began}
        run.again = ended["flk_broker_resubmitted_total"] - run.began["flk_broker_resubmitted_total"]
        run.submitted = ended["flk_broker_submitted_total"] - run.began["flk_broker_submitted_total"]
        run.wires.order("all", "pass")

    def extra(self, run, history, ledger):
        share = run.again / max(run.submitted, 1)
        run.extra_figures["submitted_again_share"] = round(share, 3)
        return {"no storm": verdict([] if share <= 0.2 else [f"{run.again:g} repetitions of {run.submitted:g} submissions"])}


TRIAL = BadNetwork()
