# SPDX-License-Identifier: MIT
"""Work piles up at a broker with little memory: its queue stays within its bytes, 503 with Retry-After beyond, no kill for memory."""
import os
import pathlib
import time

from harness.process import wait_for
from kit.judge import verdict
from kit.ledger import scrape
from kit.trial import Trial

MIB = 1 << 20
GROUPS = (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max"))  # versions 1 and 2


def limited_group(limit_bytes):
    """A control group with that much memory, to be removed by the caller; None where there is no right or no controller."""
    for root, knob in GROUPS:
        group = pathlib.Path(root) / f"flk-chaos-{os.getpid()}"
        try:
            group.mkdir()
            (group / knob).write_text(str(limit_bytes))
            return group
        except OSError:
            if group.exists():
                group.rmdir()
    return None


class BrokerMemory(Trial):
    name = "T11"
    limits = dict(gap_s=120, answers=(200, 202, 503))  # expected: while the workers are away
    seconds, short_seconds = 16, 4
    rate, queue_bytes, group_bytes = 1500, 1 * MIB, 96 * MIB

    def settings(self, run):
        return dict(workers=2, threads=1, broker_env={"FLK_QUEUE_BYTES_MAX": self.queue_bytes}, gateway_env={"FLK_REQUEST_TIMEOUT_MS": 800})

    def prepare(self, run):
        run.group = limited_group(self.group_bytes)
        if run.group:
            run.at_end.append(run.group.rmdir)
        run.extra_figures["memory_group"] = f"{self.group_bytes // MIB} MiB" if run.group else "none: no right to make a control group here"

    def faults(self, run):
        broker = run.cluster.broker
        if run.group:
            (run.group / "cgroup.procs").write_text(str(broker.pid))
        run.nemesis.act("kill", "workers")
        end, run.peak = time.monotonic() + run.seconds, 0

        def busy():
            metrics = scrape(broker)
            run.peak = max(run.peak, metrics.total("flk_broker_queue_bytes"))
            return metrics.total("flk_broker_busy_total")
        wait_for(lambda: busy() > 0, 60, "the broker says that its queue is full")
        while time.monotonic() < end:
            busy()
            time.sleep(0.1)  # between two looks
        run.extra_figures.update(queue_bytes_peak=int(run.peak), busy=int(busy()))
        run.nemesis.act("start", "workers")

    def extra(self, run, history, ledger):
        over = [f"{run.peak:g} bytes in the queue, allowed are {self.queue_bytes}"] if run.peak > self.queue_bytes else []
        return {"queue": verdict(over)}


TRIAL = BrokerMemory()
