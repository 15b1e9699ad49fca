# SPDX-License-Identifier: MIT
"""/metrics, /healthz and /readyz of every daemon; and the texts that logs must never hold."""
import base64
import re
import time

import msgpack
import pytest

from harness import doors, pcs as reference
from harness.cluster import Cluster
from harness.load import Load
from harness.process import wait_for


def basic(user, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.fixture(scope="module")
def cluster():
    env = {"METRICS_USER": "ops", "METRICS_PASS": "s3cr:et", "FLK_LOG_LEVEL": "debug"}
    with Cluster(workers=1, env=env) as running:
        Load(running, 5, http=2, zmq=1, count=60, duplicate_every=3).start().join()
        yield running


# With METRICS_USER and METRICS_PASS set, /metrics of each daemon wants them: 401 with a challenge otherwise; health pages stay open.
def test_metrics_want_the_password(cluster):
    for daemon in cluster.daemons():
        for headers in ({}, basic("ops", "wrong"), basic("wrong", "s3cr:et"), basic("ops", ""), basic("", ""), basic("ops", "s3cr:et "),
                        {"Authorization": "Basic !!!"}, {"Authorization": "Bearer x"}, {"Authorization": ""},
                        {"Authorization": "Basic " + "A" * 5000}):
            answer = daemon.get("/metrics", **headers)
            assert answer.status in (400, 401, 431) if len(str(headers)) > 4000 else answer.status == 401, (daemon.name, headers, answer)
            if answer.status == 401:
                assert answer.headers["www-authenticate"].startswith("Basic realm="), answer
            assert b"flk_" not in answer.raw
        answer = daemon.get("/metrics", **basic("ops", "s3cr:et"))
        assert answer.status == 200 and answer.headers["content-type"].startswith("text/plain; version=0.0.4"), answer
        assert daemon.get("/healthz").status == 200 and daemon.get("/readyz").status == 200
        assert daemon.get("/nothing").status == 404
        assert daemon.get("/metrics", method="POST", **basic("ops", "s3cr:et")).status == 405


# Every page parses strictly: HELP and TYPE for each family, one group each, names and units by the Prometheus conventions, counters ≥ 0,
# histogram buckets that rise to +Inf = count.
def test_metrics_parse(cluster):
    playbook = {"flk_ingest_total", "flk_dedup_hits", "flk_accepted", "flk_escalated"}
    for daemon in cluster.daemons():
        page = daemon.metrics(**basic("ops", "s3cr:et"))
        for name, kind in page.type.items():
            assert re.fullmatch(r"(flk|process)_[a-z0-9_]+", name), name
            if kind == "counter":
                assert name.endswith("_total") or name in playbook, f"counter {name} does not end with _total"
                assert all(value >= 0 for (sample, _), value in page.samples.items() if sample == name), name
            else:
                assert not name.endswith("_total"), f"{kind} {name} looks like a counter"
            assert not re.search(r"_(ms|millis|us|kb|mb)(_|$)", name), f"{name} is not in a base unit"
            if kind == "histogram":
                series = {}
                for (sample, labels), value in page.samples.items():
                    if sample == f"{name}_bucket":
                        rest = tuple(pair for pair in labels if pair[0] != "le")
                        series.setdefault(rest, []).append((float(dict(labels)["le"].replace("+Inf", "inf")), value))
                assert series, f"histogram {name} has no buckets"
                for rest, buckets in series.items():
                    buckets.sort()
                    assert buckets[-1][0] == float("inf") and [v for _, v in buckets] == sorted(v for _, v in buckets), name
                    assert buckets[-1][1] == page.samples[f"{name}_count", rest] and (f"{name}_sum", rest) in page.samples, name
        assert "histogram" in page.type.values() or daemon is cluster.broker, f"{daemon.name} has no latency histogram"
        assert {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds",
                "process_start_time_seconds"} <= page.names(), daemon.name
    assert playbook <= cluster.gateway.metrics(**basic("ops", "s3cr:et")).names()
    broker = cluster.broker.metrics(**basic("ops", "s3cr:et"))
    for word in ("queue", "flight", "oldest", "workers", "redeliver", "dead_letter"):
        assert any(word in name for name in broker.names()), f"the broker has no metric of {word}: {sorted(broker.names())}"


# The playbook's four counters rise by exactly the number sent.
def test_counters_count(cluster, seed):
    factory = reference.Factory(seed, "count", escalate_every=2)

    def values():
        page = cluster.gateway.metrics(**basic("ops", "s3cr:et"))
        return {name: page.total(name) for name in ("flk_ingest_total", "flk_accepted", "flk_escalated", "flk_dedup_hits")}
    before = values()
    with cluster.http() as http, cluster.zmq() as zmq:
        for door in (http, zmq):
            for pcs in [factory.make() for _ in range(4)]:
                door.submit(pcs)
                door.submit(pcs)
    rise = {name: value - before[name] for name, value in values().items()}
    assert rise == {"flk_ingest_total": 16, "flk_accepted": 4, "flk_escalated": 4, "flk_dedup_hits": 8}, rise


# /readyz tells the truth: 503 with a reason when the part it needs stays away, 200 again when it is back. All gateways lose a broker
# at once, so they are not unready at once: for 30 heartbeats clients are answered 503 instead of refused by a balancer without gateways.
def test_readyz_tells_the_truth(seed):
    with Cluster(workers=1, gateway_env={"FLK_HEARTBEAT_MS": 100, "FLK_REQUEST_TIMEOUT_MS": 300}) as cluster, cluster.http() as http:
        cluster.broker.kill()
        wait_for(lambda: cluster.gateway.metrics().total("flk_broker_link_up") == 0, 10, "the loss is noticed")
        lost = time.monotonic()
        assert cluster.gateway.ready()
        answer = http.submit(reference.Factory(seed).make())
        assert answer.status == 503 and answer.retry_after >= 1, answer
        wait_for(lambda: not cluster.gateway.ready(), 10, "the gateway is not ready without a broker")
        assert time.monotonic() - lost > 2.5
        answer = cluster.gateway.get("/readyz")
        assert answer.status == 503 and answer.raw.strip(), answer
        assert cluster.gateway.get("/healthz").status == 200
        cluster.broker.start()
        cluster.wait_ready()


MARK = "zqmarker"
SECRETS = [f"{MARK}@example.com", "+49 170 1234567", "555-867-5309"]


# For any submission, by either door, good or bad: no body, signature, e-mail address or phone number ever comes into a
# log, even at level debug, in either format.
@pytest.mark.parametrize("style", ["text", "json"])
def test_no_payload_in_logs(style, seed):
    factory = reference.Factory(seed, MARK)
    env = {"FLK_LOG_LEVEL": "debug", "FLK_LOG_FORMAT": style}
    with Cluster(workers=1, env=env) as cluster:
        hidden, with_secrets = [], {f"x{number}": text for number, text in enumerate(SECRETS)}
        with cluster.http() as http, cluster.zmq() as zmq:
            for door in (http, zmq):
                good = factory.make(note=with_secrets)
                variants = [good, dict(good, r=good["r"] / 2), factory.make(shard_id=SECRETS[0]), dict(good, regime=SECRETS[0]),
                            dict(good, sent_at=SECRETS[1]), dict(good, version=SECRETS[0]),
                            factory.make(ft={"degraded": True, "fallbacks": [SECRETS[0], SECRETS[1]]})]
                conflict = dict(good, budget=reference.round9(good["budget"] + 0.5))
                conflict["sig"] = reference.sign_hmac(conflict)
                for pcs in [*variants, conflict, good]:
                    door.submit(pcs)
                    hidden += [pcs["merkle_root"], pcs["sig"]]
            for body in (SECRETS[0].encode(), b'{"a": "' + SECRETS[1].encode() + b'"', b"\xff" + MARK.encode()):
                http.post(body)
            http.post(b"{}", content_type=SECRETS[0])
            http.post(b"{}", path=f"/{SECRETS[0]}?phone={SECRETS[2]}", **{"User-Agent": SECRETS[0]})
            zmq.wait(zmq.post(msgpack.packb(SECRETS[0])))
            zmq.send(doors.pack(doors.HELLO, zmq.instance, f"agent {SECRETS[0]} {SECRETS[2]}"))
            zmq.send(SECRETS[0].encode(), SECRETS[1].encode())
            assert http.submit(factory.make()).status in (200, 202)
        cluster.stop()
        logs = {daemon.name: daemon.log() for daemon in cluster.daemons()}
    assert all(logs.values()), "a log is empty"
    for name, text in logs.items():
        for secret in [*hidden, *SECRETS, MARK, reference.HMAC_KEY]:
            assert secret not in text, f"{name} logs {secret!r}: {next(line for line in text.splitlines() if secret in line)}"
    if style == "json":
        import json
        for text in logs.values():
            for line in text.splitlines():
                json.loads(line)
