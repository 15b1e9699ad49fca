# SPDX-License-Identifier: MIT
"""Debian's Prometheus with the scrape configuration and the rules as shipped."""
import json
import math
import pathlib
import sys
import urllib.error
import urllib.parse
import urllib.request

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "integration"))

from harness.process import Process, free_port  # noqa: E402

COMPOSE = ROOT / "compose"
RULES = COMPOSE / "prometheus" / "flk.rules.yml"
PASSWORD = "a password of this test"


def scraped(daemons, **labels):
    """An entry of static_configs."""
    return {"targets": ["%s:%d" % daemon.admin for daemon in daemons], **({"labels": labels} if labels else {})}


class Prometheus(Process):
    """The shipped configuration with addresses, paths and periods of this machine."""

    def __init__(self, directory, targets):
        """`targets`: job -> its entries of static_configs."""
        self.port = free_port()
        config = yaml.safe_load((COMPOSE / "prometheus" / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "500ms", "evaluation_interval": "500ms"}
        rules = yaml.safe_load(RULES.read_text())
        for group in rules["groups"]:
            group["interval"] = "500ms"
        (directory / "rules.yml").write_text(yaml.safe_dump(rules))
        (directory / "pass").write_text(PASSWORD)
        config["rule_files"] = [str(directory / "rules.yml")]
        targets = dict(targets)
        for job in config["scrape_configs"]:
            del job["dns_sd_configs"]
            job["basic_auth"]["password_file"] = str(directory / "pass")
            job["static_configs"] = targets.pop(job["job_name"], [])
            if any("labels" in config for config in job["static_configs"]):
                job.pop("relabel_configs", None)
        assert not targets, f"no scrape job for {list(targets)}"
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
