# SPDX-License-Identifier: MIT
"""The gateway is away while agents have something to say: they keep it, back off, and all of it arrives once it is back."""
import json
import subprocess
import time

from harness import pcs as reference
from harness.process import BIN_DIR, SLOW, environment
from kit.judge import verdict
from kit.payload import Payload
from kit.trial import Trial

PCS_EACH = 20


class AgentsComeBack(Trial):
    name = "T43"
    cluster = dict(workers=2, threads=1)
    limits = dict(gap_s=90, answers=(200, 202, 503))  # the gateway is away on purpose
    rate = 200
    seconds, short_seconds = 60, 3

    def agent(self, run, number):
        """A program of its own with an outbox of its own; every third speaks ZeroMQ."""
        factory = reference.Factory(run.seed, f"agent{number}", escalate_every=0)
        payloads = [Payload(factory.make()) for _ in range(PCS_EACH)]
        for payload in payloads:
            run.recorder.send(payload, "agent", 0)
        gateway, home = run.cluster.gateway, run.cluster.directory / f"agent-{number}"
        home.mkdir()
        (home / "pcs.ndjson").write_text("\n".join(payload.body if isinstance(payload.body, str) else payload.body.decode() for payload in payloads))
        endpoint = gateway.zmq if number % 3 == 0 else "http://%s:%d/v1/pcs/submit" % gateway.http
        env = environment({"ENDPOINT": endpoint, "FLK_DATA_DIR": home, "FLK_WAL_SEGMENT_BYTES": 1 << 20, "PCS_SIGN_ALG": "hmac",
                           "PCS_HMAC_KEY": reference.HMAC_KEY})
        return subprocess.Popen([str(BIN_DIR / "flk-agent"), "submit", "--pcs", "--json", "--quiet", str(home / "pcs.ndjson")],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)

    def faults(self, run):
        run.nemesis.act("kill", "gateway-0")
        agents = [self.agent(run, number) for number in range(6 if run.short else 24)]
        run.at_end += [agent.kill for agent in agents]
        run.recorder.phase("away")
        time.sleep(run.seconds)  # the gateway is away for so long
        run.nemesis.act("start", "gateway-0")
        run.cluster.gateway.wait_ready(30)
        run.said = []
        for agent in agents:
            out, err = agent.communicate(timeout=240 * SLOW)
            run.said.append((agent.returncode, json.loads(out.strip().splitlines()[-1]) if out.strip() else {}, err[-300:]))

    def extra(self, run, history, ledger):
        wrong = [str(said) for said in run.said if said[0] != 0 or said[1].get("accepted", 0) + said[1].get("duplicates", 0) < PCS_EACH]
        run.extra_figures["agents"] = len(run.said)
        return {"agents": verdict(wrong)}


TRIAL = AgentsComeBack()
