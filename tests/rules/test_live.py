# SPDX-License-Identifier: MIT
"""A real Prometheus scrapes a loaded cluster with the scrape configuration and rules as shipped: every expression of the dashboard
gives data, and every metric that a rule names exists."""
import json
import pathlib
import re
import tempfile

import pytest
import yaml
from prometheus import COMPOSE, PASSWORD, RULES, Prometheus, scraped

from harness.cluster import Cluster
from harness.feed import Follow
from harness.load import Load
from harness.process import wait_for

DASHBOARD = COMPOSE / "grafana" / "dashboards" / "flk.json"
NEED_SINK = {"flk_follow_lag_seconds", "flk_follow_lag_records", "flk_follow_position_lsn"}  # there with a sink only, which this cluster has not
NAME = re.compile(r"\b((?:flk|process)_\w+)\b")


def dashboard_expressions():
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [(panel["title"], target["expr"]) for panel in panels for target in panel.get("targets", [])]


def concrete(expression):
    return expression.replace("$__rate_interval", "10s").replace("$namespace", ".*")


@pytest.fixture(scope="module")
def prometheus():
    env = {"METRICS_USER": "ops", "METRICS_PASS": PASSWORD}
    with Cluster(workers=2, threads=1, env=env) as cluster, tempfile.TemporaryDirectory(prefix="flk-prom-") as directory:
        follow = Follow(cluster, **env).start().wait_ready()
        server = Prometheus(pathlib.Path(directory), {"flk-gateway": [scraped(cluster.gateways)], "flk-broker": [scraped(cluster.brokers)],
                                                      "flk-worker": [scraped(cluster.workers)], "flk-follow": [scraped([follow])]}).start()
        try:
            wait_for(server.ready, 60, lambda: f"Prometheus does not answer\n{server.log_tail()}")
            with Load(cluster, 7, http=2, zmq=1, window=8, duplicate_every=3, pause=0.02):
                wait_for(lambda: server.values('count(up{job=~"flk-.+"} == 1)') == [5.0], 60, "not every target is scraped")
                yield server
        finally:
            server.terminate()
            server.wait(30)
            follow.stop()


# Every expression of the dashboard gives data, and names metrics of ours; a misspelt one gives none.
def test_dashboard_has_data(prometheus):
    wanted = dashboard_expressions()
    assert len(wanted) > 50
    empty = []

    def all_have_data():
        empty[:] = [(title, expression) for title, expression in wanted if not prometheus.values(concrete(expression))]
        return not empty
    wait_for(all_have_data, 90, lambda: "no data for:\n" + "\n".join(f"{title}: {expression}" for title, expression in empty))
    exist = set(prometheus.get("label/__name__/values"))
    unknown = {name for _, expression in wanted for name in NAME.findall(expression)} - exist - NEED_SINK
    assert not unknown, f"the dashboard names metrics that nobody has: {sorted(unknown)}"
    assert not prometheus.values(concrete("sum(rate(flk_ingest_totals[$__rate_interval]))"))


# Every metric that a rule names exists, every rule is evaluated without an error, every recording of a ratio has a value, and no
# alert of a cluster that works is firing.
def test_rules_are_evaluated(prometheus):
    rules = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    recorded = {rule["record"] for rule in rules if "record" in rule}

    def names():
        exist = set(prometheus.get("label/__name__/values"))
        wanted = {name for rule in rules for name in NAME.findall(rule["expr"])} | recorded
        return wanted - exist - NEED_SINK - {"flk_curve_refused_total"}  # there with CURVE only, which this cluster has not
    wait_for(lambda: not names(), 60, lambda: f"nobody has {sorted(names())}")
    evaluated = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
    assert len(evaluated) == len(rules)
    broken = [(rule["name"], rule["health"], rule.get("lastError")) for rule in evaluated if rule["health"] == "err"]
    assert not broken, broken
    for record in recorded:
        wait_for(lambda record=record: prometheus.values(record), 60, f"{record} has no value")
    firing = [alert["labels"]["alertname"] for alert in prometheus.get("alerts")["alerts"] if alert["state"] == "firing"]
    assert not firing, firing


# Each worker's samples say which track it is on, as the canary's gate expects.
def test_tracks(prometheus):
    assert prometheus.values('count(flk_worker_threads{track="stable"})') == [2.0]
