# SPDX-License-Identifier: MIT
"""Two gateways run from one copied data directory over one broker: no client gets another PCS's outcome, and every record is settled."""
import shutil

from harness.process import wait_for
from kit.judge import verdict
from kit.trial import Trial


def alive(daemon):
    try:
        return daemon.get("/healthz").status == 200
    except OSError:
        return False


class CopiedDirectory(Trial):
    name = "T50"
    cluster = dict(gateways=2, workers=2, threads=1)
    limits = dict(gap_s=30, answers=(200, 202, 503))
    seconds, short_seconds = 15, 3

    def prepare(self, run):
        """As of a restored snapshot or a cloned machine: both logs begin with the same number and go on with the same LSNs."""
        first, second = run.cluster.gateways
        first.start()
        wait_for(lambda: any((first.env["FLK_DATA_DIR"] / "inbox").glob("*.seg")) and alive(first), 30, "the log is there")
        first.stop()
        shutil.copytree(first.env["FLK_DATA_DIR"], second.env["FLK_DATA_DIR"])

    def finish(self, run):
        run.extra_figures["unfit"] = sum(gateway.metrics().total("flk_verdicts_unfit_total") for gateway in run.cluster.gateways)

    def extra(self, run, history, ledger):
        settled = {record["gate"] for record in ledger["log"] if record["acked"]}
        return {"hit": verdict([] if settled == {0, 1} else [f"only gateways {sorted(settled)} settled anything"])}


TRIAL = CopiedDirectory()
