# SPDX-License-Identifier: MIT
"""PostgreSQL loses its backends in mid-transaction, is stopped at once and hangs: an error at COMMIT is no answer, nothing twice."""
from kit.nemesis import periodic
from kit.stores import StoreFaults, outages
from kit.trial import Trial


class PostgresFaults(StoreFaults, Trial):
    name = "T23"
    store = "postgres"
    limits = dict(gap_s=60, answers=(200, 202, 503))
    seconds, short_seconds = 30, 6

    def plan(self, random, seconds):
        """Backends are not ended while the server is away: psql could not reach it."""
        plan = outages(random, seconds, 5 if seconds < 10 else 10, 1.2 if seconds < 10 else 3)
        away = [(plan[i][0] - 0.2, plan[i + 1][0] + 1.5) for i in range(0, len(plan), 2)]
        return plan + [step for step in periodic(random, seconds, 0.4, "end_backends", ["store"])
                       if not any(begin < step[0] < end for begin, end in away)]

    def do_end_backends(self, run, target):
        run.server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'flk%' OR query LIKE '%flk%'"
                       " AND pid <> pg_backend_pid()")

    def faults(self, run):
        super().faults(run)
        self.mend(run)


TRIAL = PostgresFaults()
