# SPDX-License-Identifier: MIT
"""Agents at both doors of a gateway that lets few submissions a second in: they wait their turn, and none of their PCS is given up."""
from kit.judge import verdict
from kit.outboxes import OutboxAgent
from kit.trial import Trial


class AgentsThrottled(Trial):
    name = "T44b"
    cluster = dict(workers=1, threads=1, gateway_env={"TOKEN_RATE": 4})
    limits = dict(gap_s=90, answers=(200, 202, 429, 503))
    rate = 1  # the doors are for the agents
    seconds, short_seconds = 60, 5

    def faults(self, run):
        gateway = run.cluster.gateway
        run.recorder.fault("throttle", "gateway-0")
        run.nemesis.count += 1
        doors = {"http": "http://%s:%d/v1/pcs/submit" % gateway.http, "zmq": gateway.zmq}
        agents = [OutboxAgent(run, f"agent-{door}", endpoint, 8 if run.short else 100) for door, endpoint in doors.items()]
        for agent in agents:
            agent.start()
        run.wrong = [line for agent in agents for line in agent.outcome(300)]
        run.throttled = gateway.metrics().total("flk_throttled_total")

    def extra(self, run, history, ledger):
        run.extra_figures["throttled"] = run.throttled
        return {"agents": verdict(run.wrong), "hit": verdict([] if run.throttled > 0 else ["nothing was throttled"])}


TRIAL = AgentsThrottled()
