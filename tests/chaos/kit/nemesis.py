# SPDX-License-Identifier: MIT
"""Breaks things at the times that a plan says: [(seconds after the first fault may come, action, target)].

A plan is made from the seed alone, so the same seed breaks the same things at the same times. Targets: a process by its name
("worker-2"), or "gateways", "brokers", "workers", "all". Further actions are methods of the trial: do_NAME(run, target).
"""
import signal
import time

from harness.process import wait_for

STOP_S = 60  # for a clean end; a few seconds are expected


def periodic(random, seconds, period, action, targets, jitter=0.3):
    """A plan: `action` each period, give or take, on a target drawn from `targets`."""
    plan, at = [], period * random.uniform(0.2, 0.6)
    while at < seconds:
        plan.append((round(at, 3), action, random.choice(targets)))
        at += period * random.uniform(1 - jitter, 1 + jitter)
    return plan


class Nemesis:
    def __init__(self, run):
        self.run, self.ended, self.count, self.slowest_stop_s = run, set(), 0, 0.0

    def execute(self, plan):
        """In the main thread: processes are started here."""
        began = time.monotonic()
        for at, action, target in sorted(plan):
            time.sleep(max(0, began + at - time.monotonic()))
            self.act(action, target)

    def act(self, action, target):
        self.count += 1
        self.run.recorder.fault(action, target)
        own = getattr(self.run.trial, f"do_{action}", None)
        if own:
            own(self.run, target)
        else:
            getattr(self, action)(self.daemons(target))

    def daemons(self, target):
        cluster = self.run.cluster
        groups = {"gateways": cluster.gateways, "brokers": cluster.brokers, "workers": cluster.workers,
                  "all": [*cluster.brokers, *cluster.workers, *cluster.gateways]}
        return groups.get(target) or [daemon for daemon in cluster.daemons() if daemon.name == target]

    def kill(self, daemons):
        """At once: all signals go out before the first one is reaped."""
        for daemon in daemons:
            self.ended.add(daemon.name)
            daemon.stopping = True
            if daemon.alive():
                daemon.signal(signal.SIGKILL)
        for daemon in daemons:
            daemon.wait(STOP_S)

    def start(self, daemons):
        for daemon in daemons:
            daemon.start()

    def crash(self, daemons):
        """Killed and started again at once, as a supervisor does it."""
        self.kill(daemons)
        self.start(daemons)

    def pause(self, daemons):
        for daemon in daemons:
            daemon.pause()

    def resume(self, daemons):
        for daemon in daemons:
            daemon.resume()

    def roll(self, daemons):
        """SIGTERM, wait for a clean end, start, wait until it takes work; one after the other."""
        for daemon in daemons:
            self.ended.add(daemon.name)
            began = time.monotonic()
            daemon.stop(STOP_S)
            self.slowest_stop_s = max(self.slowest_stop_s, time.monotonic() - began)
            daemon.start()
            daemon.wait_ready(60)

    def heal(self):
        """Everything that the plan left broken is mended: stopped ones go on, missing ones are started."""
        cluster = self.run.cluster
        for daemon in self.daemons("all"):
            if not daemon.alive() and daemon.stopping:
                daemon.start()
            elif daemon.alive():
                daemon.resume()
        wait_for(lambda: all(daemon.ready() for daemon in cluster.daemons() if daemon.alive()), 60,
                 lambda: "not ready after the faults: " + ", ".join(d.name for d in cluster.daemons() if d.alive() and not d.ready()))
