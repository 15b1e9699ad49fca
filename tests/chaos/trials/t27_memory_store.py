# SPDX-License-Identifier: MIT
"""The memory store over clean restarts of its worker: nothing forgotten. A second worker on the same snapshot is refused."""
from harness.process import run as run_program
from kit.judge import verdict
from kit.trial import Trial


class MemoryStore(Trial):
    name = "T27"
    cluster = dict(workers=1, threads=2, env={"DEDUP_BACKEND": "memory"})
    limits = dict(gap_s=60, answers=(200, 202, 503))
    seconds, short_seconds = 12, 3

    def plan(self, random, seconds):
        return [(round(share * seconds, 3), "roll", "worker-0") for share in ((0.3,) if seconds < 10 else (0.1, 0.4, 0.7))]

    def finish(self, run):
        run.second = run_program("flk-worker", env={**run.cluster.worker.env, "FLK_ADMIN_LISTEN": "off"})

    def extra(self, run, history, ledger):
        said = run.second.stderr.strip().splitlines()[-1:]
        return {"one worker": verdict([] if run.second.returncode != 0 else [f"a second worker ran: {said}"])}


TRIAL = MemoryStore()
