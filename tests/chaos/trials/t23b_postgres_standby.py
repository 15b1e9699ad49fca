# SPDX-License-Identifier: MIT
"""PostgreSQL's commits wait for a standby that never comes: 503 meanwhile, no session is left behind at the server, and every record
gets its outcome once nobody waits any more."""
import time

from kit import judge
from kit.stores import StoreFaults
from kit.trial import Trial

SESSIONS_MAX = 8  # of two workers: each has one, one that ends, and now and then its janitor's


class PostgresStandby(StoreFaults, Trial):
    name = "T23b"
    store = "postgres"
    limits = dict(gap_s=60, answers=(200, 202, 503))
    seconds, short_seconds = 20, 6

    def settings(self, run):
        settings = super().settings(run)
        return {**settings, "worker_env": {"FLK_STORE_TIMEOUT_MS": 300}}  # so that many exchanges time out

    def do_await_standby(self, run):
        run.server.sql("ALTER SYSTEM SET synchronous_standby_names = '*'")
        run.server.sql("SELECT pg_reload_conf()")

    def faults(self, run):
        self.do_await_standby(run)
        until, most = time.monotonic() + run.seconds, 0
        while time.monotonic() < until:
            most = max(most, int(run.server.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'flk-worker'")))
            time.sleep(0.1)  # between two looks
        run.ledger["sessions"] = run.extra_figures["sessions"] = most
        run.server.sql("ALTER SYSTEM RESET synchronous_standby_names")
        run.server.sql("SELECT pg_reload_conf()")
        self.mend(run)

    def extra(self, run, history, ledger):
        most = ledger["sessions"]
        return {"sessions": judge.verdict([] if most <= SESSIONS_MAX else [f"{most} sessions at once, {SESSIONS_MAX} are few"])}


TRIAL = PostgresStandby()
