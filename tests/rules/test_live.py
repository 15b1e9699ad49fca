# SPDX-License-Identifier: MIT
"""A real Prometheus scrapes a loaded cluster with the scrape configuration and rules as shipped: every expression of the dashboard
gives data, and every metric that a rule names exists."""
import json
import math
import pathlib
import re
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "integration"))

from harness.cluster import Cluster  # noqa: E402
from harness.load import Load  # noqa: E402
from harness.process import Process, free_port, wait_for  # noqa: E402

COMPOSE = ROOT / "compose"
RULES = COMPOSE / "prometheus" / "flk.rules.yml"
DASHBOARD = COMPOSE / "grafana" / "dashboards" / "flk.json"
PASSWORD = "a password of this test"
NAME = re.compile(r"\b((?:flk|process)_\w+)\b")


class Prometheus(Process):
    """Debian's prometheus over the shipped configuration, with addresses, paths and periods of this machine."""

    def __init__(self, cluster, directory):
        self.port = free_port()
        config = yaml.safe_load((COMPOSE / "prometheus" / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "500ms", "evaluation_interval": "500ms"}
        rules = yaml.safe_load(RULES.read_text())
        for group in rules["groups"]:
            group["interval"] = "500ms"
        (directory / "rules.yml").write_text(yaml.safe_dump(rules))
        (directory / "pass").write_text(PASSWORD)
        config["rule_files"] = [str(directory / "rules.yml")]
        addresses = {"flk-gateway": cluster.gateways, "flk-broker": cluster.brokers, "flk-worker": cluster.workers}
        for job in config["scrape_configs"]:
            del job["dns_sd_configs"]
            job["basic_auth"]["password_file"] = str(directory / "pass")
            job["static_configs"] = [{"targets": ["%s:%d" % daemon.admin for daemon in addresses.pop(job["job_name"])]}]
        assert not addresses, f"no scrape job for {list(addresses)}"
        (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
        super().__init__("prometheus", "/usr/bin/prometheus", {}, directory, arguments=[
            f"--config.file={directory}/prometheus.yml", f"--storage.tsdb.path={directory}/tsdb",
            f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn"])

    def get(self, path, **query):
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=20) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{query}: {error.read().decode()}") from None

    def ready(self):
        self.check()
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=20).status == 200
        except OSError:
            return False

    def values(self, expression):
        """The numbers of an instant query; NaN is none."""
        result = self.get("query", query=expression)["result"]
        return [value for value in (float(sample["value"][1]) for sample in result) if not math.isnan(value)]


def dashboard_expressions():
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [(panel["title"], target["expr"]) for panel in panels for target in panel.get("targets", [])]


def concrete(expression):
    return expression.replace("$__rate_interval", "10s").replace("$namespace", ".*")


@pytest.fixture(scope="module")
def prometheus():
    env = {"METRICS_USER": "ops", "METRICS_PASS": PASSWORD}
    with Cluster(workers=2, threads=1, env=env) as cluster, tempfile.TemporaryDirectory(prefix="flk-prom-") as directory:
        server = Prometheus(cluster, pathlib.Path(directory)).start()
        try:
            wait_for(server.ready, 60, lambda: f"Prometheus does not answer\n{server.log_tail()}")
            with Load(cluster, 7, http=2, zmq=1, window=8, duplicate_every=3, pause=0.02):
                wait_for(lambda: server.values('count(up{job=~"flk-.+"} == 1)') == [4.0], 60, "not every target is scraped")
                yield server
        finally:
            server.terminate()
            server.wait(30)


# Every expression of the dashboard gives data, and what it names is a metric of ours; a misspelt one gives none.
def test_dashboard_has_data(prometheus):
    wanted = dashboard_expressions()
    assert len(wanted) > 50
    empty = []

    def all_have_data():
        empty[:] = [(title, expression) for title, expression in wanted if not prometheus.values(concrete(expression))]
        return not empty
    wait_for(all_have_data, 90, lambda: "no data for:\n" + "\n".join(f"{title}: {expression}" for title, expression in empty))
    exist = set(prometheus.get("label/__name__/values"))
    unknown = {name for _, expression in wanted for name in NAME.findall(expression)} - exist
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
        return wanted - exist
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
