# SPDX-License-Identifier: MIT
"""An agent is killed with -9, its outbox's disk fails and is full, its signatures are refused: all it was given arrives, none is dropped silently."""
import json
import time

from disk import FaultyDisk, missing
from harness import pcs as reference
from harness.process import Process, run as run_program, wait_for
from kit.judge import verdict
from kit.payload import Payload, WRONG_SIGNATURE
from kit.trial import Trial

PCS = 150
FAULTS = (("fdatasync error 5 3 1",), ("fdatasync error 5 2 0",), ("fallocate error 28 0 0", "statvfs full 0 0 0"), ("pwritev error 28 2 0",))
ANSWERED, BAD_KEY = 0, 5  # exit statuses of flk-agent
IN_A_ROW = 20  # refused signatures that stop it


class AgentFaults(Trial):
    name = "T44"
    cluster = dict(workers=2, threads=1)
    limits = dict(gap_s=30)
    rate = 200
    seconds, short_seconds = 20, 5

    def missing(self):
        return missing()

    def prepare(self, run):
        run.home = run.cluster.directory / "agent"
        run.home.mkdir()
        run.agent = Process("agent", "flk-agent", {
            "ENDPOINT": run.cluster.gateway.zmq if run.seed % 2 else "http://%s:%d/v1/pcs/submit" % run.cluster.gateway.http,
            "FLK_DATA_DIR": run.home, "FLK_WAL_SEGMENT_BYTES": 1 << 17, "PCS_SIGN_ALG": "hmac", "PCS_HMAC_KEY": reference.HMAC_KEY},
            run.cluster.directory)
        run.disk = FaultyDisk(run.agent, run.home / "outbox", run.directory)
        run.faults_seen, run.wrong = 0, []

    def file(self, run, name, **members):
        factory = reference.Factory(run.random.getrandbits(30), name, escalate_every=0)
        payloads = [Payload(factory.make(**members)) for _ in range(PCS)]
        for payload in payloads:
            run.recorder.send(payload, "agent", 0)
        path = run.home / f"{name}.ndjson"
        path.write_bytes(b"\n".join(payload.body for payload in payloads) + b"\n")
        return path

    def begin(self, run, *words):
        run.agent.arguments = [*words, "--quiet", "--json", "--timeout", "5s"]
        run.agent.start()

    def drain(self, run, *words, status=ANSWERED):
        """Until nothing is pending; an agent that could not write says so by its status and is run again."""
        def done():
            self.begin(run, "drain", "--tries", "3", *words)
            return run.agent.wait(60) == status
        wait_for(done, 60, lambda: f"the agent drains\n{run.agent.log_tail()}")

    def status(self, run):
        return json.loads(run_program("flk-agent", "status", "--json", env={"FLK_DATA_DIR": run.home}).stdout)

    def faults(self, run):
        for number in range(2 if run.short else 8):
            self.killed(run, f"kill{number}")
        for number, rules in enumerate(FAULTS):
            self.on_a_bad_disk(run, f"disk{number}", rules)
        self.refused(run)

    def killed(self, run, name):
        """At any moment; then the outbox goes on, and the file is given once more."""
        path = self.file(run, name)
        self.begin(run, "submit", "--pcs", str(path))
        time.sleep(run.random.uniform(0.01, 0.2))  # the moment of the kill
        run.nemesis.count += 1
        run.recorder.fault("kill", "agent")
        run.agent.kill()
        self.given_again(run, path)

    def on_a_bad_disk(self, run, name, rules):
        """It ends by itself with a status and a line, or gets through; on the mended disk all arrives."""
        path = self.file(run, name)
        run.recorder.fault("; ".join(rules), "agent")
        run.disk.set(*rules)
        self.begin(run, "submit", "--pcs", str(path))
        ended = run.agent.wait(60)
        run.disk.heal()
        run.nemesis.count += 1
        if ended < 0:
            run.wrong.append(f"{rules}: ended by signal {-ended}")
        run.faults_seen += ended != ANSWERED
        self.given_again(run, path)

    def given_again(self, run, path):
        self.drain(run)
        self.begin(run, "submit", "--pcs", str(path))
        status = run.agent.wait(60)
        if status != ANSWERED:
            run.wrong.append(f"{path.name}: given again, it ended with {status}: {run.agent.log_tail(3)}")

    def refused(self, run):
        """Refused signatures, one after the other, stop it: few dead letters, with their reason, and the lines that it has read wait. So again by command."""
        path, before = self.file(run, "refused", sig=WRONG_SIGNATURE), self.rejected(run)
        self.begin(run, "submit", "--pcs", str(path))
        run.kept = None  # it may stop before it has read the whole file
        for command in ("submitted", "sent again"):
            ended, status = run.agent.wait(60), self.status(run)
            run.kept = run.kept or status["pending"]
            stopped = ended == BAD_KEY and status["dead"] == IN_A_ROW and "401" in str(status)
            if not stopped or status["pending"] != run.kept or not 0 < run.kept <= PCS - IN_A_ROW:
                run.wrong.append(f"refused PCS, {command}: ended with {ended}, {status}")
            if command == "submitted":
                self.begin(run, "drain", "--dead-letters")
        if self.rejected(run) < before + 2 * IN_A_ROW:
            run.wrong.append(f"the gateway refused {self.rejected(run) - before:g} of {2 * IN_A_ROW}")

    def rejected(self, run):
        return run.cluster.gateway.metrics().total("flk_rejected_total")

    def finish(self, run):
        run.left = self.status(run)
        run.agent.stopping = True

    def extra(self, run, history, ledger):
        """Every PCS that the agent was given has an outcome, or is a dead letter, or waits behind those."""
        given = {line["id"] for line in history if line["e"] == "send" and line["door"] == "agent" and line["expect"] is not None}
        wrong = run.wrong + [f"{name}: given to the agent, and no outcome" for name in given - set(ledger["store"])]
        wrong += [f"left over: {run.left}"] if run.left["pending"] != run.kept or run.left["dead"] != IN_A_ROW else []
        run.extra_figures.update(given=len(given), disk_faults_seen=run.faults_seen)
        return {"agent": verdict(wrong), "hit": verdict([] if run.faults_seen >= 2 else [f"{run.faults_seen} faults were felt"])}


TRIAL = AgentFaults()
