# SPDX-License-Identifier: MIT
"""A PCS that ends every worker by SIGSEGV: isolated, five deaths, a dead letter; no innocent is touched; judged at last, once mended."""
import signal
import threading
import time

from harness.process import BIN_DIR, run as run_program, wait_for
from harness import pcs as reference
from kit import TOOLS
from kit.judge import verdict
from kit.ledger import scrape
from kit.payload import Payload
from kit.trial import Trial

DEATHS_MAX = 5  # twice among others, then three times alone


class Poison(Trial):
    name = "T40"
    cluster = dict(workers=3, threads=1)
    limits = dict(gap_s=30, redriven=True)
    seconds, short_seconds = 20, 4
    rate = 600

    def prepare(self, run):
        for worker in run.cluster.workers:
            worker.program = TOOLS / "flk-worker-poisonable"

    def send_poisons(self, run, count):
        """One after the other, over both doors; each is answered as a dead letter at last."""
        factory = reference.Factory(run.seed, "poison", escalate_every=0)
        for number in range(count):
            payload = Payload(factory.make())
            door = run.cluster.http() if number % 2 else run.cluster.zmq()
            for attempt in range(1, 20):
                op = run.recorder.send(payload, door.name, 0, attempt=attempt)
                try:
                    answer = door.submit(payload.pcs)
                except (OSError, TimeoutError) as error:
                    run.recorder.done(op, error=repr(error))
                    continue
                run.recorder.done(op, answer)
                if answer.status == 202:
                    break
                time.sleep(answer.retry_after or 1)  # as it says
            run.poisons.append((payload, answer))
            door.close()

    def faults(self, run):
        run.deaths, run.poisons = [], []
        count, began = 1 if run.short else 3, time.monotonic()
        sender = threading.Thread(target=self.send_poisons, args=(run, count), daemon=True)
        sender.start()

        def supervise():
            for worker in run.cluster.workers:
                if not worker.alive():
                    run.recorder.fault("died", worker.name)
                    run.deaths.append((worker.name, worker.child.returncode))
                    run.nemesis.ended.add(worker.name)
                    worker.start()
            return not sender.is_alive() and time.monotonic() > began + run.seconds
        wait_for(supervise, 120, "every poison is answered")
        run.nemesis.count = count

    def finish(self, run):
        """The bug is mended, and the dead letters are put back."""
        gateway = run.cluster.gateway
        run.buried = self.dead_letters(run)
        gateway.stop()
        run.nemesis.ended.add(gateway.name)
        for worker in run.cluster.workers:
            worker.stop()
            worker.program = BIN_DIR / "flk-worker"
            worker.start()
        done = run_program("flk-replay", "dlq", "replay", "--all", env={"FLK_DATA_DIR": gateway.env["FLK_DATA_DIR"]})
        assert done.returncode == 0, done.stderr
        gateway.start()
        run.cluster.wait_ready(30)
        wait_for(lambda: scrape(gateway).total("flk_wal_unacked") == 0, 60, "what was put back is settled")
        with run.cluster.zmq() as door:
            run.mended = [(payload, self.ask(run, door, payload)) for payload, _ in run.poisons]

    def ask(self, run, door, payload):
        op = run.recorder.send(payload, "zmq", 0)
        answer = door.submit(payload.pcs)
        run.recorder.done(op, answer)
        return answer

    def dead_letters(self, run):
        done = run_program("flk-replay", "dlq", "list", "--json", env={"FLK_DATA_DIR": run.cluster.gateway.env["FLK_DATA_DIR"]})
        return done.stdout.splitlines()

    def extra(self, run, history, ledger):
        poisons = {payload.id for payload, _ in run.poisons}
        ids = {line["op"]: line["id"] for line in history if line["e"] == "send"}
        dead = {ids[line["op"]] for line in history if line["e"] == "done" and line.get("dead")}
        deaths = [f"{len(run.deaths)} deaths by {len(poisons)} poisons: {run.deaths}"] if len(run.deaths) > DEATHS_MAX * len(poisons) else []
        deaths += [f"{name} ended with {status}" for name, status in run.deaths if status != -signal.SIGSEGV]
        wrong = [f"{payload.id} was answered {answer}" for payload, answer in run.poisons if answer.body.get("reasons") != ["dead_letter"]]
        wrong += [f"{name} is innocent, and was answered as a dead letter" for name in dead - poisons]
        wrong += [] if len(run.buried) == len(poisons) else [f"{len(run.buried)} dead letters of {len(poisons)} poisons"]
        mended = [f"{payload.id} was then answered {answer}" for payload, answer in run.mended
                  if answer.status != payload.expect[0] or not answer.body["duplicate"]]
        run.extra_figures.update(deaths=len(run.deaths), poisons=len(poisons))
        return {"deaths": verdict(deaths), "dead letters": verdict(wrong), "mended": verdict(mended)}


TRIAL = Poison()
