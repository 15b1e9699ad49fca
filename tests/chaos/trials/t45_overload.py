# SPDX-License-Identifier: MIT
"""More than twice the workers' rate: the rest is told 503 at once, every accepted PCS is answered, and then all is as before."""
import time

from kit import figures
from kit.judge import verdict
from kit.stores import StoreFaults
from kit.trial import Trial
from kit.wires import Wires

STORE_DELAY_S = 0.02  # makes the worker slow, so that these clients are enough to overload it


class Overload(StoreFaults, Trial):
    name = "T45"
    workers = 1
    limits = dict(gap_s=30, answers=(200, 202, 503))
    rate = 80  # below half of the highest rate
    clients = dict(window=512, http=24)
    seconds, short_seconds = 20, 5

    def settings(self, run):
        return {**super().settings(run), "worker_env": {"FLK_WORKER_CREDIT": 16}, "gateway_env": {"FLK_INFLIGHT_MAX": 64}}

    def prepare(self, run):
        run.wires = Wires(run)
        port = run.wires.add("worker-0 store", run.server.port)
        run.cluster.worker.env["REDIS_ADDR"] = f"127.0.0.1:{port}"
        run.wires.start()
        run.wires.order("all", "delay", STORE_DELAY_S)

    def faults(self, run):
        run.clients.set_rate(run.rate * 10)
        time.sleep(run.seconds)  # the length of the phase
        run.clients.set_rate(run.rate)
        run.nemesis.count = 1

    def finish(self, run):
        run.wires.order("all", "pass")

    def extra(self, run, history, ledger):
        """Goodput under overload, as a share of the full speed before, in the same run."""
        spans = figures.phases(history)
        done = [line["t"] for line in history if line["e"] == "done" and line["result"] == "ok"]
        def rate(phase, seconds):
            begin = spans[phase][0]
            return sum(begin <= t < begin + seconds for t in done) / seconds
        share = rate("faults", run.seconds) / max(rate("warm", self.warm_s), 1)
        run.extra_figures["goodput_share"] = round(share, 2)
        refused = sum(line["e"] == "done" and line.get("status") == 503 for line in history)
        return {"goodput": verdict([] if share >= 0.5 else [f"{share:.2f} of what it was"]),
                "overloaded": verdict([] if refused else ["nobody was told 503"])}


TRIAL = Overload()
