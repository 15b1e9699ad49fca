# SPDX-License-Identifier: MIT
"""Gateway and broker, then brokers and workers, are cut off from each other, one way or both, and joined again: a delay, nothing lost."""
from kit.trial import Trial
from kit.wires import WireFaults, Wires


class Partition(WireFaults, Trial):
    name = "T28"
    limits = dict(gap_s=60, answers=(200, 202, 503))  # expected: as long as the partition, and a second
    cluster = dict(workers=2, threads=1, env={"FLK_HEARTBEAT_MS": 300})
    seconds, short_seconds = 24, 7

    def prepare(self, run):
        run.wires = Wires(run).between_brokers().start()

    def plan(self, random, seconds):
        """Longer than three heartbeats, so that it is noticed; then time to heal."""
        plan, at, held = [], 0.2, 1.6 if seconds < 10 else 4
        ways = [("gateways", ""), ("workers", ""), ("gateways", "/up"), ("gateways", "/down"), ("workers", "/up"), ("workers", "/down")]
        random.shuffle(ways)
        for wires, way in ways:
            if at + held < seconds:
                plan += [(round(at, 3), "hold", wires + way), (round(at + held, 3), "pass", wires)]
                at += held + random.uniform(0.3, 1)
        return plan

    def faults(self, run):
        super().faults(run)
        run.wires.order("all", "pass")


TRIAL = Partition()
