# SPDX-License-Identifier: MIT
"""The canary's gate, as the chart runs it, before a real Prometheus and two real tracks of workers: it passes a canary that answers as
the stable track does, and stops one with another policy, and one that has nothing to do."""
import json
import os
import pathlib
import subprocess
import tempfile

from prometheus import PASSWORD, ROOT, Prometheus, scraped

from harness.cluster import Cluster
from harness.load import Load
from harness.process import SLOW, wait_for

GATE = ROOT / "helm" / "flk" / "files" / "canary-gate.sh"
OTHER_POLICY = {"version": "other-1", "base": 0.2}  # no budget fits it


def gate(server, **more):
    env = {"PATH": os.environ["PATH"], "PROMETHEUS": f"http://127.0.0.1:{server.port}", "NAMESPACE": "space", "ESCALATED_MAX": "0.3",
           "UNAVAILABLE_MAX": "0.01", "MIN_VERDICTS": "500", "WATCH_SECONDS": "4", "PERIOD": "1", **more}
    return subprocess.run(["/bin/sh", str(GATE)], env=env, capture_output=True, text=True, timeout=120 * SLOW)


def judged(canary_env, act):
    """Runs act(server) over a cluster whose second worker is the canary, under load, once the recordings have values."""
    env = {"METRICS_USER": "ops", "METRICS_PASS": PASSWORD, "FLK_WORKER_CREDIT": 1}
    cluster = Cluster(workers=2, threads=1, env=env)
    cluster.workers[1].env.update(canary_env)
    with cluster, tempfile.TemporaryDirectory(prefix="flk-canary-") as directory:
        stable, canary = cluster.workers
        server = Prometheus(pathlib.Path(directory), {
            "flk-gateway": [scraped(cluster.gateways, namespace="space")], "flk-broker": [scraped(cluster.brokers, namespace="space")],
            "flk-worker": [scraped([stable], namespace="space", track="stable"), scraped([canary], namespace="space", track="canary")]}).start()
        try:
            wait_for(server.ready, 60, lambda: f"Prometheus does not answer\n{server.log_tail()}")
            # From the first verdict on: an increase begins with the first sample, and a few hundred verdicts differ by chance.
            for track in ("canary", "stable"):
                wait_for(lambda: server.values('flk_worker_verdicts_total{track="%s"} == 0' % track), 60, f"the {track} track is not scraped")
            with Load(cluster, 11, http=4, zmq=1, window=16, pause=0.005):
                wait_for(lambda: server.values('flk:track_verdicts:increase10m{track="canary"} > 1000'), 60, "the canary has no work")
                wait_for(lambda: server.values('flk:track_verdicts:increase10m{track="stable"} > 1000'), 60, "the stable track has no work")
                return act(server)
        finally:
            server.terminate()
            server.wait(30)


# A canary that escalates the same as the stable track is over the budget with it, and passes: the data is to blame. One
# that had too little to do cannot be judged, and does not pass; nor does one that Prometheus tells nothing about.
def test_gate_judges_a_good_canary():
    good, few, silent = judged({}, lambda server: (gate(server, ESCALATED_MAX="0.02"), gate(server, MIN_VERDICTS="100000000", WATCH_SECONDS="2"),
                                                   gate(server, PROMETHEUS="http://127.0.0.1:9", WATCH_SECONDS="2")))
    assert good.returncode == 0 and "kept its error budget" in good.stdout, good.stdout + good.stderr
    for done in (few, silent):
        assert done.returncode == 1 and "cannot be judged" in done.stdout, done.stdout + done.stderr


# A canary whose policy escalates more than the budget and more than the stable track is stopped at once.
def test_gate_stops_a_bad_canary(tmp_path):
    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps(OTHER_POLICY))
    done = judged({"FLK_POLICY_FILE": policy}, gate)
    assert done.returncode == 1 and "over its error budget" in done.stdout, done.stdout + done.stderr
