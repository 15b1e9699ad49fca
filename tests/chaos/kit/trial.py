# SPDX-License-Identifier: MIT
"""One trial: a cluster, clients, faults, drain, harvest, verdict."""
import json
import pathlib
import random
import shutil
import time
import traceback

from harness import audit
from harness.cluster import Cluster, Daemon
from harness.process import SLOW, sanitized

from . import ledger as books
from .clients import Clients
from .judge import LIMITS, judge
from .nemesis import STOP_S, Nemesis
from .recorder import Recorder, read
from .sampler import Sampler

# For trials that allow no 503: no deadline may pass just because the machine is busy.
PATIENT = dict(gateway_env={"FLK_REQUEST_TIMEOUT_MS": 60000}, worker_env={"FLK_STORE_TIMEOUT_MS": 30000})
AGAIN = 300  # ids that are asked for once more at the end, over both doors


class Trial:
    """The trial that a file in trials/ defines, as TRIAL. Its docstring tells the fault and the promise."""

    name = None
    cluster = dict(workers=4, threads=1)   # harness.cluster.Cluster
    rate = 1000                            # operations/s at most; else `load` of the rate that the clients were seen to reach
    load = 0.7
    seconds, short_seconds = 20, 5         # of faults
    warm_s, base_s, after_s = 0.8, 4, 5    # around them; a quarter of it in a short run
    limits = {}                            # over judge.LIMITS
    drain_s = 60
    traced = False                         # strace watches gateway-0: I6 is measured, and the rate follows
    clients = {}                           # over those of Clients

    def missing(self):
        """Why this trial cannot run here; None when it can."""
        return None

    def settings(self, run):
        """Arguments of the Cluster."""
        return self.cluster

    def prepare(self, run):
        """Before the cluster starts; `run.cluster` is there. Servers go into run.stack."""

    def plan(self, random, seconds):
        """Faults as the nemesis takes them."""
        return []

    def faults(self, run):
        """The fault phase, while the clients go on. Override it where no plan can tell it."""
        run.nemesis.execute(run.plan)

    def heal(self, run):
        run.nemesis.heal()

    def finish(self, run):
        """After the drain, before the cluster stops; its additions to run.ledger are for extra()."""

    def stopped(self, run):
        """After the cluster stopped, before its logs and its store are read."""

    def extra(self, run, history, ledger):
        """Verdicts of this trial alone: {name: judge.verdict(faults)}."""
        return {}


class Run:
    """One execution of a trial. Everything random comes from the seed."""

    def __init__(self, trial, seed, short, directory):
        self.trial, self.seed, self.short, self.directory = trial, seed, short, directory
        self.random, self.seconds = random.Random(seed), trial.short_seconds if short else trial.seconds
        self.plan = trial.plan(random.Random(seed), self.seconds)
        self.ledger, self.extra_figures, self.at_end = {}, {}, []

    def execute(self):
        """The result as it goes into results.ndjson. A run that could not be carried out has not held."""
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        self.cluster = Cluster(**self._patient(self.trial.settings(self)))
        try:
            self._operate()
            result = self._judge()
        except Exception:
            result = dict(holds=False, error=traceback.format_exc())
        finally:
            for log in pathlib.Path(self.cluster.directory).glob("*.log"):
                shutil.copy(log, self.directory)
            self.cluster.keep_directory = False
            self.cluster.abandon()
            for cleanup in reversed(self.at_end):
                cleanup()
        return dict(trial=self.trial.name, seed=self.seed, short=self.short, **result)

    def _patient(self, settings):
        if 503 in self.trial.limits.get("answers", LIMITS["answers"]):
            return settings
        return {**settings, **{kind: {**env, **settings.get(kind, {})} for kind, env in PATIENT.items()}}

    def _operate(self):
        self.recorder, self.nemesis = Recorder(self.directory / "history.ndjson"), Nemesis(self)
        if self.trial.traced:
            self.cluster.gateway.wrap = [*audit.STRACE, str(self.directory / "gateway.strace")]
        self.trial.prepare(self)
        self.cluster.start()
        self.clients = Clients(self.cluster, self.recorder, self.seed, random.Random(self.seed), **self.trial.clients).start()
        sampler = Sampler(self.cluster, self.recorder).start()
        try:
            self._load()
        finally:
            self.clients.stop()
            sampler.stop()
        self.extra_figures["slowest_scrape_s"] = round(sampler.slowest_s, 3)
        self._settle()
        self.trial.finish(self)
        self.ledger["counters"] = books.counters(self.cluster)
        self.ledger["reports"] = self._stop()
        self.trial.stopped(self)
        self.ledger.update(ended=sorted(self.nemesis.ended), **books.harvest(self.cluster))
        self.ledger.setdefault("syscalls", self._audit_syscalls() if self.trial.traced else None)
        self.recorder.close()
        (self.directory / "ledger.json").write_text(json.dumps(self.ledger))

    def _phase(self, name, seconds=0):
        self.recorder.phase(name)
        time.sleep(seconds)  # a phase's length, not a wait for something

    def _load(self):
        self.clients.set_rate(float("inf"))
        trial, share = self.trial, 0.25 if self.short else 1
        self._phase("warm", trial.warm_s)
        capacity = sum(self.recorder.results.values()) / trial.warm_s
        self.rate = min(trial.rate, trial.load * capacity)
        self.clients.set_rate(self.rate)
        self._phase("base", trial.base_s * share)
        before = books.resources(self.cluster)
        self.recorder.phase("faults")
        self.trial.faults(self)
        trial.heal(self)
        self._phase("after", trial.after_s * share)
        self.recorder.phase("drain")
        self.clients.set_rate(0)
        drained = books.drain(self.cluster, self.trial.drain_s, self.recorder.now)
        self.ledger.update(drained=drained, resources=dict(before=before, after=books.resources(self.cluster)))

    def _settle(self):
        """Promised outcomes are asked for again; then the last stragglers of the clients' retries are settled too."""
        self.recorder.phase("again")
        if self.ledger["drained"]["in_time"]:
            self._ask_again()
            again = books.drain(self.cluster, self.trial.drain_s, self.recorder.now)
            if not again["in_time"]:
                self.ledger["drained"] = again

    def _ask_again(self):
        known = {payload.id: payload for source in self.clients.sources for payload in source.earlier}
        sample = self.random.sample(sorted(known), min(AGAIN, len(known)))
        for gate in range(len(self.cluster.gateways)):
            with self.cluster.zmq(gate) as zmq, self.cluster.http(gate) as http:
                for number, name in enumerate(sample[gate::len(self.cluster.gateways)]):
                    door = http if number % 2 else zmq
                    op = self.recorder.send(known[name], door.name, gate)
                    self.recorder.done(op, door.submit(known[name].pcs))

    def _stop(self):
        """Every process must end on SIGTERM, with nothing ugly in its log."""
        reports = []
        for step in (Daemon.check, lambda daemon: daemon.stop(STOP_S), Daemon.check):
            for daemon in self.cluster.daemons():
                try:
                    step(daemon)
                except AssertionError as error:
                    reports.append(str(error)[:2000])
        return reports

    def _audit_syscalls(self):
        gateway = self.cluster.gateway
        self.recorder.flush()
        ids = {line["id"] for line in read(self.recorder.path) if line["e"] == "send"}
        lines = (self.directory / "gateway.strace").read_text(errors="replace").splitlines()
        ports = (gateway.http[1], int(gateway.zmq.rsplit(":", 1)[1]))
        replied, violations = audit.audit(lines, ids, str(gateway.env["FLK_DATA_DIR"]), ports)
        return dict(replied=sorted(replied), violations=violations)

    def _judge(self):
        history = read(self.recorder.path)
        limits = dict(self.trial.limits)
        limits["gap_s"] = limits.get("gap_s", 60) * SLOW
        if sanitized():
            limits["rss_slack"] = 1 << 30  # freed memory is kept for a while, to catch a late use
        verdicts, measured = judge(history, self.ledger, limits)
        verdicts.update(self.trial.extra(self, history, self.ledger))
        after = self.ledger["resources"]["after"]
        return dict(holds=all(found["holds"] is not False for found in verdicts.values()), verdicts=verdicts,
                    faults=self.nemesis.count, rate=round(self.rate), left_out=self.clients.left_out(),
                    drain_s=self.ledger["drained"]["seconds"], disk_bytes=self.ledger["disk_bytes"],
                    rss_mib={name: round(found["rss"] / 2**20, 1) for name, found in after.items()}, **measured, **self.extra_figures)
