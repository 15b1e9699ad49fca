# SPDX-License-Identifier: MIT
"""The broker hangs, then the gateway (SIGSTOP, SIGCONT): 503 by the deadline, no answer to the wrong request, nothing lost."""
from kit.trial import Trial


class HungBrokerAndGateway(Trial):
    name = "T9"
    cluster = dict(workers=2, threads=1, env={"FLK_HEARTBEAT_MS": 300}, gateway_env={"FLK_REQUEST_TIMEOUT_MS": 2000})
    limits = dict(gap_s=120, answers=(200, 202, 503))  # expected: as long as the one that hangs
    seconds, short_seconds = 24, 6

    def plan(self, random, seconds):
        part, plan = seconds / 2, []
        for begin, victim in ((0.1, "broker-0"), (0.1 + part, "gateway-0")):
            held = part * random.uniform(0.4, 0.6)
            plan += [(round(begin, 3), "pause", victim), (round(begin + held, 3), "resume", victim)]
        return plan


TRIAL = HungBrokerAndGateway()
