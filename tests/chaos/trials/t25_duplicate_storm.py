# SPDX-License-Identifier: MIT
"""One PCS over fifty connections at once, then ten over two gateways and four workers: one outcome each, every answer is that one."""
import threading

from harness import pcs as reference
from kit.judge import verdict
from kit.payload import Payload
from kit.trial import Trial


class DuplicateStorm(Trial):
    name = "T25"
    cluster = dict(gateways=2, workers=4, threads=1)
    limits = dict(gap_s=30)
    rate = 300
    seconds, short_seconds = 20, 3

    def faults(self, run):
        """Fifty senders; `each` is how often one of them sends."""
        factory, each = reference.Factory(run.seed, "storm", escalate_every=3), 20 if run.short else 200
        run.storm = []
        for ids in (1, 10):
            payloads = [Payload(factory.make()) for _ in range(ids)]
            run.recorder.fault("storm", f"{ids} ids")
            threads = [threading.Thread(target=self.send, args=(run, payloads, number, each // 2)) for number in range(50)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            run.nemesis.count += 1

    def send(self, run, payloads, number, times):
        gate, of = number % 2, run.cluster.zmq if number % 5 == 0 else run.cluster.http
        with of(gate) as door:
            for time in range(times):
                payload = payloads[(number + time) % len(payloads)]
                op = run.recorder.send(payload, door.name, gate)
                answer = door.submit(payload.pcs)
                run.recorder.done(op, answer)
                run.storm.append((payload.id, answer.status, answer.body.get("duplicate")))

    def extra(self, run, history, ledger):
        """Over both gateways and all workers one submission of an id is the first, and no more than one."""
        firsts = {}
        for name, status, duplicate in run.storm:
            if status in (200, 202) and not duplicate:
                firsts[name] = firsts.get(name, 0) + 1
        ids = {name for name, _, _ in run.storm}
        wrong = [f"{name}: first {firsts.get(name, 0)} times" for name in ids if firsts.get(name, 0) != 1]
        run.extra_figures["storm"] = len(run.storm)
        return {"first once": verdict(wrong)}


TRIAL = DuplicateStorm()
