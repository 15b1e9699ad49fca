# SPDX-License-Identifier: MIT
"""flk-agent as trials run it: PCS of its own, an outbox of its own, and the question whether all of them were answered."""
import json

from harness import pcs as reference
from harness.process import Process, SLOW, run as run_program

from .payload import Payload


class OutboxAgent(Process):
    """Submits `count` PCS to `endpoint`; they are in the history as sent, so that the judge looks for them."""

    def __init__(self, run, name, endpoint, count):
        self.home = run.cluster.directory / name
        self.home.mkdir()
        factory = reference.Factory(run.random.getrandbits(30), name, escalate_every=0)
        payloads = [Payload(factory.make()) for _ in range(count)]
        for payload in payloads:
            run.recorder.send(payload, "agent", 0)
        path = self.home / "pcs.ndjson"
        path.write_bytes(b"\n".join(payload.body for payload in payloads) + b"\n")
        super().__init__(name, "flk-agent", {
            "ENDPOINT": endpoint, "FLK_DATA_DIR": self.home, "FLK_WAL_SEGMENT_BYTES": 1 << 20,
            "PCS_SIGN_ALG": "hmac", "PCS_HMAC_KEY": reference.HMAC_KEY}, run.cluster.directory,
            arguments=["submit", "--pcs", str(path), "--quiet"])
        self.stopping = True  # it ends by itself

    def outcome(self, seconds):
        """The faults once it has ended, in words; nothing when all of its PCS were answered."""
        ended = self.wait(seconds * SLOW)
        status = json.loads(run_program("flk-agent", "status", "--json", env={"FLK_DATA_DIR": self.home}).stdout)
        if ended == 0 and not status["dead"] and not status["pending"]:
            return []
        return [f"{self.name} ended with {ended}, {status}: {self.log_tail(3)}"]
