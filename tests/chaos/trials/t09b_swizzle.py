# SPDX-License-Identifier: MIT
"""Processes hang one by one in one random order and go on in another: every message that was half sent comes to a right end."""
from kit.trial import Trial


class Swizzle(Trial):
    name = "T9b"
    cluster = dict(gateways=2, brokers=2, workers=2, threads=1, env={"FLK_HEARTBEAT_MS": 300},
                   gateway_env={"FLK_REQUEST_TIMEOUT_MS": 2000})
    limits = dict(gap_s=120, answers=(200, 202, 503))  # expected: while none of a kind runs
    seconds, short_seconds = 24, 5

    def plan(self, random, seconds):
        plan, begin, turn = [], 0.1, min(seconds, 6)
        names = [f"{kind}-{n}" for kind in ("gateway", "broker", "worker") for n in range(2)]
        while begin + turn <= seconds + 0.1:
            victims = random.sample(names, random.randint(3, 6))
            plan += [(round(begin + n * 0.2, 3), "pause", name) for n, name in enumerate(victims)]
            random.shuffle(victims)
            plan += [(round(begin + turn / 2 + n * 0.25, 3), "resume", name) for n, name in enumerate(victims)]
            begin += turn
        return plan


TRIAL = Swizzle()
