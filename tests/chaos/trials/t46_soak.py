# SPDX-License-Identifier: MIT
"""Everything at once at random: processes killed and stopped, wires held and cut, the store hung. `--seconds 3600` is the long soak."""
from kit.stores import StoreFaults
from kit.trial import Trial
from kit.wires import WireFaults, Wires


class Soak(WireFaults, StoreFaults, Trial):
    name = "T46"
    workers = 3
    limits = dict(gap_s=90, answers=(200, 202, 503))
    load = 0.5
    seconds, short_seconds = 60, 8

    def settings(self, run):
        settings = super().settings(run)
        return {**settings, "brokers": 2, "env": {**settings["env"], "FLK_HEARTBEAT_MS": 300}}

    def prepare(self, run):
        run.wires = Wires(run).between_brokers().start()

    def plan(self, random, seconds):
        daemons = ["gateway-0", "broker-0", "broker-1", "worker-0", "worker-1", "worker-2"]
        wires = ["gateways", "workers", "gateway-0 broker-0", "worker-1 broker-1"]
        plan, at = [], 0.2
        while at < seconds - 1:
            kind, length = random.choice(["crash", "pause", "hold", "cut", "store"]), random.uniform(0.3, 2)
            if kind == "crash":
                plan.append((at, "crash", random.choice(daemons)))
            elif kind == "cut":
                plan.append((at, "cut", random.choice(wires)))
            else:
                begin, end, target = {"pause": ("pause", "resume", random.choice(daemons)), "hold": ("hold", "pass", random.choice(wires)),
                                      "store": ("pause_store", "resume_store", "store")}[kind]
                plan += [(at, begin, target), (at + length, end, target)]
                at += length
            at += random.uniform(0.1, 0.8)
        return [(round(when, 3), *step) for when, *step in plan]

    def faults(self, run):
        super().faults(run)
        run.wires.order("all", "pass")
        self.mend(run)


TRIAL = Soak()
