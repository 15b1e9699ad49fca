# SPDX-License-Identifier: MIT
"""A worker hangs (SIGSTOP) and goes on later: its deliveries go to others, its late answers change nothing."""
from harness.servers import Redis
from kit.trial import Trial


class HungWorker(Trial):
    name = "T8"
    limits = dict(gap_s=30, answers=(200, 202, 503))  # expected: below 2 s
    seconds, short_seconds = 20, 5

    def settings(self, run):
        """Redis: a worker that is stopped inside a write transaction keeps LMDB's lock, and its host's workers answer 503."""
        redis = Redis()
        run.at_end.append(lambda: redis.__exit__(None, None, None))
        redis.start()
        return dict(workers=4, threads=1, env={"FLK_HEARTBEAT_MS": 300, **redis.env})

    def plan(self, random, seconds):
        plan, at, held = [], 0.2, (1.5 if seconds < 10 else 5)
        while at + held < seconds:
            victim = f"worker-{random.randrange(4)}"
            plan += [(round(at, 3), "pause", victim), (round(at + held, 3), "resume", victim)]
            at += held + random.uniform(0.3, 1.5)
        return plan


TRIAL = HungWorker()
