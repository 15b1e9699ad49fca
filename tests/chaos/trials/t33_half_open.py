# SPDX-License-Identifier: MIT
"""A worker's host vanishes: its connection stays open and says nothing. Its deliveries go to others, and its descriptors come back."""
from harness.process import wait_for
from kit.judge import verdict
from kit.trial import Trial
from kit.wires import WireFaults, Wires


class HalfOpen(WireFaults, Trial):
    name = "T33"
    limits = dict(gap_s=30)  # expected: below a second, since the others go on
    cluster = dict(workers=3, threads=1, env={"FLK_HEARTBEAT_MS": 300})
    seconds, short_seconds = 20, 5

    def prepare(self, run):
        run.wires = Wires(run).between_brokers().start()

    def faults(self, run):
        """Held with deliveries on the way, until the broker has given it up; joined again; the next one."""
        broker, run.lost = run.cluster.broker, 0
        lost = lambda: broker.metrics().total("flk_broker_workers_lost_total")
        for number in range(1 if run.short else 4):
            before, name = lost(), f"worker-{number % 3} broker-0"
            run.nemesis.act("hold", name)
            wait_for(lambda: lost() > before, 30, "the broker notices")
            run.lost += 1
            run.nemesis.act("pass", name)
            wait_for(lambda: broker.metrics().total("flk_broker_workers") >= 3, 30, "the worker is back")

    def extra(self, run, history, ledger):
        return {"noticed": verdict([] if run.lost == run.nemesis.count / 2 else [f"{run.lost} of {run.nemesis.count / 2}"])}


TRIAL = HalfOpen()
