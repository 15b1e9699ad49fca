# SPDX-License-Identifier: MIT
"""Prometheus rules under promtool: they parse, every alert fires when it should, and stays silent when it almost should."""
import pathlib
import re
import subprocess

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROMETHEUS = ROOT / "compose" / "prometheus"
RULES = PROMETHEUS / "flk.rules.yml"
MINUTES = 1500  # a bit more than the longest window, a day
GATEWAY, BROKER, WORKER, FOLLOW = ('job="flk-%s",instance="%s"' % pair for pair in (("gateway", "g"), ("broker", "b"), ("worker", "w"), ("follow", "f")))


def grows(per_minute, at=0):
    """A counter that stands still for `at` minutes, then grows."""
    return (f"0+0x{at} " if at else "") + f"0+{per_minute}x{MINUTES - at}"


def stays(value):
    return f"{value}+0x{MINUTES}"


def latency(fast, slow):
    """Of the requests of a minute: those within 100 ms, and those of half a second."""
    name = f"flk_request_seconds_%s{{{GATEWAY},door=\"http\"%s}}"
    buckets = {"0.1": fast, "0.2": fast, "0.5": fast + slow, "+Inf": fast + slow}
    return {name % ("count", ""): grows(fast + slow),
            **{name % ("bucket", f',le="{le}"'): grows(count) for le, count in buckets.items()}}


def track(name, verdicts, escalated, unavailable=0):
    labels = f'{WORKER},track="{name}"'
    return {f'flk_worker_verdicts_total{{{labels},status="200"}}': grows(verdicts - escalated),
            f'flk_worker_verdicts_total{{{labels},status="202"}}': grows(escalated),
            f"flk_worker_unavailable_total{{{labels}}}": grows(unavailable)}


def gateway(name, values, labels=""):
    return {f"flk_{name}{{{GATEWAY}{labels}}}": values}


def broker(name, values):
    return {f"flk_broker_{name}{{{BROKER}}}": values}


def broker_curve(name, values):
    return {f"flk_curve_{name}{{{BROKER}}}": values}


def store(name, values, labels=""):
    return {f"flk_store_{name}{{{WORKER}{labels}}}": values}


def follow(name, values, labels=',sink="s"'):
    return {f"flk_follow_{name}{{{FOLLOW}{labels}}}": values}


# 600 submissions a minute, half of them duplicates, 1 % escalated, one bad signature.
HEALTHY = {
    **gateway("ingest_total", grows(600)), **gateway("escalated", grows(6)), **gateway("dedup_hits", grows(300)),
    **gateway("rejected_total", grows(1), ',code="401"'), **gateway("throttled_total", grows(0)),
    **gateway("refused_total", grows(0)), **gateway("timeouts_total", grows(0)), **gateway("dedup_conflicts_total", grows(0)),
    **gateway("wal_healthy", stays(1)), **gateway("wal_damaged_records", stays(0)), **gateway("wal_quarantined_segments", stays(0)),
    **gateway("wal_unreadable_records", stays(0)), **gateway("wal_bytes", grows(1000)), **gateway("wal_free_bytes", stays(10 ** 9)),
    **gateway("wal_given_up_bytes_total", stays(0)), **gateway("wal_holds_broken_total", stays(0)),
    **gateway("wal_oldest_unacked_seconds", stays(1)), **gateway("dead_letters_total", grows(0)), **gateway("dlq_records", stays(0)),
    **gateway("broker_link_up", stays(1), ',broker="b"'),
    **broker("workers", stays(2)), **broker("workers_lost_total", grows(0)), **broker("oldest_seconds", stays(0.1)),
    **broker("busy_total", grows(0)), **broker("queue_depth", stays(10)),
    **store("errors_total", grows(0), ',kind="timeout"'), **store("connections", stays(4)), **store("connections_wanted", stays(4)),
    f'flk_keyring_next_end_timestamp_seconds{{{WORKER}}}': stays(10 ** 9), f'flk_rules_reloads_total{{{WORKER},result="refused"}}': stays(2),
    **broker_curve("refused_total", stays(7)), f'flk_build_info{{{WORKER},version="1"}}': stays(1), f'flk_build_info{{{GATEWAY},version="1"}}': stays(1),
    f'flk_policy_info{{{WORKER},version="p",digest="a"}}': stays(1), **store("emptied_total", grows(0)), f"flk_worker_threads{{{WORKER}}}": stays(2),
    **follow("lag_seconds", stays(2)), **follow("gaps_total", stays(1)), **follow("gaps_total", grows(1), ',sink="feed"'),
    **follow("failures_total", stays(3), ',sink="s",step="commit"'),
    **{f"up{{{labels}}}": stays(1) for labels in (GATEWAY, BROKER, WORKER, FOLLOW)},
    f"process_open_fds{{{GATEWAY}}}": stays(100), f"process_max_fds{{{GATEWAY}}}": stays(1024),
    **latency(600, 0), **track("stable", 600, 6), **track("canary", 60, 1),
}

# alert -> (series that make it fire, minutes until then, series that almost do)
CASES = {
    "FlkLatencyHigh": (latency(500, 100), 20, latency(590, 10)),
    "FlkEscalationBudgetBurnsFast": (gateway("escalated", grows(160)), 40, gateway("escalated", grows(160, at=37))),
    "FlkEscalationBudgetBurns": (gateway("escalated", grows(40)), 300, gateway("escalated", grows(30))),
    "FlkEscalationBudgetSpent": (gateway("escalated", grows(13)), 1490, gateway("escalated", grows(11))),
    "FlkServerErrors": (gateway("refused_total", grows(4)) | gateway("timeouts_total", grows(4)), 15,
                        gateway("timeouts_total", grows(5))),
    "FlkDedupRatioLow": (gateway("dedup_hits", grows(100)), 500, gateway("dedup_hits", grows(0))),
    "FlkThrottled": (gateway("throttled_total", grows(40)), 20, gateway("throttled_total", grows(20))),
    "FlkSignatureFailures": (gateway("rejected_total", grows(60), ',code="401"'), 15,
                             gateway("rejected_total", grows(20), ',code="401"')),
    "FlkConflicts": (gateway("dedup_conflicts_total", grows(1, at=10)), 20, {}),
    "FlkKeyEndsSoon": ({f'flk_keyring_next_end_timestamp_seconds{{{WORKER}}}': stays(13 * 86400)}, 20,
                       {f'flk_keyring_next_end_timestamp_seconds{{{WORKER}}}': stays(15 * 86400)}),
    "FlkReloadRefused": ({f'flk_rules_reloads_total{{{WORKER},result="refused"}}': "2+0x10 3+0x1000"}, 15,
                         {f'flk_rules_reloads_total{{{WORKER},result="refused"}}': stays(9)}),
    "FlkPeersRefused": (broker_curve("refused_total", grows(2)), 20, broker_curve("refused_total", "0+0x10 4+0x1000")),
    "FlkVersionSkew": ({f'flk_build_info{{{WORKER},version="1"}}': "_x1000", f'flk_build_info{{{WORKER},version="2"}}': stays(1)}, 70,
                       {f'flk_build_info{{{WORKER},version="2"}}': "_x10 1+0x30 _x1000"}),
    "FlkPolicyAmbiguous": ({f'flk_policy_info{{{WORKER},version="p",digest="b"}}': stays(1)}, 30,
                           {f'flk_policy_info{{{WORKER},version="p",digest="b"}}': stays(0),
                            f'flk_policy_info{{{WORKER},version="q",digest="b"}}': stays(1)}),
    "FlkWalUnhealthy": (gateway("wal_healthy", "1+0x10 0+0x1000"), 15, gateway("wal_healthy", "1+0x14 0+0x1 1+0x1000")),
    "FlkWalDamaged": (gateway("wal_quarantined_segments", stays(1)), 5, {}),
    "FlkWalGivesUp": (gateway("wal_given_up_bytes_total", "0+0x10 67108864+0x1000"), 15, gateway("wal_given_up_bytes_total", stays(7))),
    "FlkWalHoldBroken": (gateway("wal_holds_broken_total", "0+0x10 1+0x1000"), 15, gateway("wal_holds_broken_total", stays(7))),
    "FlkWalGrowth": (gateway("wal_free_bytes", f"1000000000-2000000x{MINUTES}") | gateway("wal_bytes", grows(2000000)), 320,
                     gateway("wal_free_bytes", f"1000000000-2000000x{MINUTES}") | gateway("wal_bytes", stays(5))),
    "FlkWalBacklog": (gateway("wal_oldest_unacked_seconds", grows(60)), 15, gateway("wal_oldest_unacked_seconds", stays(200))),
    "FlkDeadLetters": (gateway("dead_letters_total", "0+0x10 1+0x1000", ',reason="unsettled"'), 15,
                       gateway("dead_letters_total", stays(7), ',reason="unsettled"')),
    "FlkDeadLettersWait": (gateway("dlq_records", stays(1)), 70, gateway("dlq_records", "1+0x50 0+0x1000")),
    "FlkVerdictsUnfit": (gateway("verdicts_unfit_total", "0+0x10 1+0x1000", ',broker="b"'), 15,
                         gateway("verdicts_unfit_total", stays(7), ',broker="b"')),
    "FlkDown": ({f"up{{{WORKER}}}": "1+0x10 0+0x1000"}, 15, {f"up{{{WORKER}}}": "1+0x14 0+0x1 1+0x1000"}),
    "FlkNoGateway": ({f"up{{{GATEWAY}}}": "1+0x10 0+0x1000"}, 15, {f"up{{{GATEWAY}}}": "1+0x14 0+0x1 1+0x1000"}),
    "FlkNoWorkers": (broker("workers", "2+0x10 0+0x1000"), 15, broker("workers", stays(1))),
    "FlkBrokerUnlinked": (gateway("broker_link_up", stays(0), ',broker="b"'), 5,
                          gateway("broker_link_up", "1+0x4 0+0x1 1+0x1000", ',broker="b"')),
    "FlkWorkersLost": (broker("workers_lost_total", "0+0x10 8+0x1000"), 15, broker("workers_lost_total", "0+0x10 2+0x1000")),
    "FlkQueueOld": (broker("oldest_seconds", stays(3)), 5, broker("oldest_seconds", stays(1.5))),
    "FlkQueueFull": (broker("busy_total", grows(60)), 10, broker("busy_total", stays(60))),
    "FlkStoreOutage": (store("errors_total", grows(60), ',kind="timeout"'), 10, store("errors_total", stays(60), ',kind="timeout"')),
    "FlkStoreEmptied": (store("emptied_total", "0+0x10 1+0x1000"), 15, {}),
    "FlkFollowLag": (follow("lag_seconds", grows(60)), 15, follow("lag_seconds", stays(250))),
    "FlkFollowFails": (follow("failures_total", grows(2), ',sink="s",step="commit"'), 20,
                       follow("failures_total", "0+0x10 4+0x1000", ',sink="s",step="commit"')),
    "FlkFollowGap": (follow("gaps_total", "1+0x10 2+0x1000"), 15, follow("gaps_total", stays(7))),
    "FlkFileDescriptors": ({f"process_open_fds{{{GATEWAY}}}": stays(900)}, 10, {f"process_open_fds{{{GATEWAY}}}": stays(700)}),
    "FlkCanaryOverBudget": (track("canary", 60, 6), 20, track("canary", 60, 6) | track("stable", 600, 55)),
}
MORE = [  # alerts with a second reason
    ("FlkStoreOutage", store("connections", stays(3)), 10),
    ("FlkWalDamaged", gateway("wal_damaged_records", stays(2)), 5),
    ("FlkWalDamaged", gateway("wal_unreadable_records", stays(2)), 5),
    ("FlkCanaryOverBudget", track("canary", 60, 1, unavailable=6), 20),
    ("FlkNoGateway", {f"up{{{GATEWAY}}}": "_x1000"}, 15),
]


def alerts():
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}


def promtool(*arguments):
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def scenario(name, overrides, minutes, alert, fires):
    """One group of promtool's: healthy but for the overrides; is the alert there at that minute?"""
    until = {series: re.sub(r"x(\d+)", lambda run: f"x{min(int(run[1]), minutes + 5)}", values)
             for series, values in (HEALTHY | overrides).items()}
    firing = 'ALERTS{alertstate="firing"%s}' % (f',alertname="{alert}"' if alert else "")
    return {"name": name, "interval": "1m",
            "input_series": [{"series": series, "values": values} for series, values in until.items()],
            "promql_expr_test": [{"expr": f"count({firing})", "eval_time": f"{minutes}m",
                                  "exp_samples": [{"labels": "{}", "value": 1}] if fires else []}]}


def run_scenarios(tmp_path, scenarios):
    """Those that take hours are evaluated less often, since evaluations cost time. Recordings come before their readers: a series
    recorded an evaluation ago may be too old to count."""
    order = [group["name"] for group in yaml.safe_load(RULES.read_text())["groups"]]
    for interval, chosen in (("1m", lambda minutes: minutes <= 100), ("10m", lambda minutes: minutes > 100)):
        tests = [test for test in scenarios if chosen(int(test["promql_expr_test"][0]["eval_time"][:-1]))]
        file = tmp_path / f"every-{interval}.yml"
        file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": interval,
                                        "group_eval_order": order, "tests": tests}))
        promtool("test", "rules", file)


# promtool accepts the rules, and the scrape configuration.
def test_promtool_accepts():
    promtool("check", "rules", RULES)
    promtool("check", "config", "--syntax-only", PROMETHEUS / "prometheus.yml")


# Every alert has a case, a severity, a summary and a runbook.
def test_alerts_are_complete():
    rules = alerts()
    assert rules.keys() == CASES.keys()
    for name, rule in rules.items():
        assert rule["labels"]["severity"] in ("info", "warning", "critical"), name
        assert rule["annotations"]["summary"], name
        assert re.fullmatch(r"OPERATING\.md#[a-z0-9-]+", rule["annotations"]["runbook_url"]), name


# A healthy cluster is silent at every age.
def test_healthy_is_silent(tmp_path):
    ages = scenario("healthy", {}, 1490, None, False)
    young = scenario("young", {}, 60, None, False)
    ages["promql_expr_test"] = [{**ages["promql_expr_test"][0], "eval_time": f"{minutes}m"} for minutes in (10, 700, 1490)]
    run_scenarios(tmp_path, [young, ages])


# Each alert fires for its reason.
def test_alerts_fire(tmp_path):
    fires = [(name, overrides, minutes) for name, (overrides, minutes, _) in CASES.items()] + MORE
    run_scenarios(tmp_path, [scenario(f"{name} fires", overrides, minutes, name, True) for name, overrides, minutes in fires])


# Each alert is silent when its reason is almost there, or is over.
def test_alerts_hold_still(tmp_path):
    run_scenarios(tmp_path, [scenario(f"{name} is silent", almost, minutes, name, False)
                             for name, (_, minutes, almost) in CASES.items()])


# A rule that is broken is seen: without its threshold an alert of a healthy cluster goes off.
def test_broken_rule_is_seen(tmp_path, monkeypatch):
    broken = tmp_path / "rules.yml"
    broken.write_text(RULES.read_text().replace("flk:request_seconds:p95_5m > 0.2", "flk:request_seconds:p95_5m > 0"))
    monkeypatch.setattr("test_rules.RULES", broken)
    with pytest.raises(AssertionError):
        run_scenarios(tmp_path, [scenario("healthy", {}, 60, None, False)])
