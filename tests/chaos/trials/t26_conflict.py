# SPDX-License-Identifier: MIT
"""The same id with other signed content, while workers die: the first outcome stays, later answers are that one and say conflict."""
from harness import pcs as reference
from kit.judge import verdict
from kit.nemesis import periodic
from kit.payload import Payload
from kit.trial import Trial


class Conflict(Trial):
    name = "T26"
    limits = dict(gap_s=30)
    rate = 500
    seconds, short_seconds = 15, 4

    def plan(self, random, seconds):
        return periodic(random, seconds, 0.7, "contest", ["id"]) + periodic(random, seconds, 2, "crash", ["worker-0", "worker-1"])

    def do_contest(self, run, target):
        """Both contents over both doors; the first door is drawn."""
        factory = run.__dict__.setdefault("factory", reference.Factory(run.seed, "contest", escalate_every=0))
        first = factory.make()
        other = dict(first, r=reference.round9(first["r"] / 2))
        other["sig"] = reference.sign_hmac(other)
        sent = []
        with run.cluster.http() as http, run.cluster.zmq() as zmq:
            doors = run.random.sample([http, zmq], 2)
            for number, pcs in enumerate((first, other, first, other)):
                payload, door = Payload(pcs), doors[number % 2]
                op = run.recorder.send(payload, door.name, 0)
                answer = door.submit(pcs)
                run.recorder.done(op, answer)
                sent.append(bool(answer.body.get("conflict")))
        run.__dict__.setdefault("contests", []).append(sent)

    def finish(self, run):
        run.counted = run.cluster.gateway.metrics().total("flk_dedup_conflicts_total")

    def extra(self, run, history, ledger):
        wrong = [f"conflict was said {sent}" for sent in run.contests if sent != [False, True, False, True]]
        wrong += [] if run.counted == 2 * len(run.contests) else [f"{run.counted:g} counted of {2 * len(run.contests)}"]
        run.extra_figures["contests"] = len(run.contests)
        return {"conflict": verdict(wrong)}


TRIAL = Conflict()
