# SPDX-License-Identifier: MIT
"""Redis loses all that it kept (FLUSHALL, as a promoted replica that lags may): noticed, and verified anew to the same outcomes."""
from harness.process import wait_for
from kit.judge import verdict
from kit.stores import StoreFaults
from kit.trial import Trial


class RedisForgets(StoreFaults, Trial):
    name = "T22"
    limits = dict(gap_s=30, forgets=True, answers=(200, 202, 503))
    seconds, short_seconds = 12, 4

    def plan(self, random, seconds):
        return [(round(share * seconds, 3), "flush", "store") for share in (0.3, 0.7)]

    def do_flush(self, run, target):
        """No worker may have put its mark back in between: each looks at the mark with its next batch."""
        assert run.server.cli("FLUSHALL") == "OK"
        run.flushed = getattr(run, "flushed", 0) + 1
        wait_for(lambda: self.noticed(run) >= run.flushed, 30, "the workers notice that the store is empty")

    def noticed(self, run):
        return max(worker.metrics().total("flk_store_emptied_total") for worker in run.cluster.workers)

    def finish(self, run):
        run.noticed = self.noticed(run)

    def extra(self, run, history, ledger):
        return {"noticed": verdict([] if run.noticed >= run.flushed else [f"{run.noticed:g} of {run.flushed}"])}


TRIAL = RedisForgets()
