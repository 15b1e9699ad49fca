# SPDX-License-Identifier: MIT
"""The feed of flk-follow beside a real gateway: it tells the events of the log, in order, to many readers, through every restart."""
import concurrent.futures
import json
import random
import time

import pytest

from harness import pcs as reference
from harness.cluster import Cluster
from harness.feed import CLOUDEVENTS, NDJSON, Follow, Reader, answers
from harness.load import Load
from harness.process import ROOT, run, sized, wait_for

MEMBERS = ["log", "lsn", "record_lsn", "time", "received", "pcs_id", "shard_id", "epoch", "status", "flags", "reasons", "d_hat", "budget",
           "budget_claimed", "regime", "coh_star", "r", "policy_version", "key", "door"]


def unacked(cluster):
    return cluster.gateway.metrics().total("flk_wal_unacked")


@pytest.fixture(scope="module")
def followed():
    """A cluster with flk-follow beside its gateway, after some load: accepted, escalated, duplicates, a refused one."""
    with Cluster(workers=1, gateway_env={"FLK_WAL_SEGMENT_BYTES": 65536}) as cluster:
        follow = Follow(cluster).start().wait_ready()
        Load(cluster, 7, http=2, zmq=1, count=60, duplicate_every=5).start().join()
        with cluster.http() as door:
            assert door.submit(reference.Factory(1, "forged").make(key="another key of 16")).status == 401
        wait_for(lambda: unacked(cluster) == 0, 20, "all are answered")
        wait_for(lambda: len(follow.all()) == len(follow.of_the_log()), 20, "the acks are durable")
        yield cluster, follow
        follow.stop()
        follow.check()


# The feed and flk-replay, which share no reader, tell the same outcome of each record, and every event has every member.
def test_feed_equals_the_log(followed):
    _, follow = followed
    events = follow.all(limit=17)
    assert answers(events) == follow.of_the_log()
    assert all(list(event) == MEMBERS for event in events)
    assert {event["status"] for event in events} == {200, 202, 401} and {event["door"] for event in events} == {"http", "zmq"}
    assert any(event["flags"] == ["duplicate"] for event in events)


# The outcome of an event is the one that the reference computes for its PCS, and that the client was told.
def test_feed_has_the_outcome(followed):
    cluster, follow = followed
    factory = reference.Factory(3, "outcome")
    with cluster.http() as door:
        answers_by_id = {pcs["pcs_id"]: door.submit(pcs).body for pcs in (factory.make() for _ in range(10))}
    told = wait_for(lambda: (lambda events: len(events) == 10 and events)(follow.all(shard="outcome*")), 20, "ten events")
    for event in told:
        answer = answers_by_id[event["pcs_id"]]
        assert (event["d_hat"], event["budget"], event["budget_claimed"]) == \
            (answer["recomputed_D_hat"], answer["recomputed_budget"], answer["budget"])
        assert all(event[name] == answer[name] for name in ("regime", "reasons", "policy_version"))
        assert event["key"]


# A page ends at its limit, and Flk-After is the position behind it; after=end has nothing yet.
def test_feed_pages(followed):
    _, follow = followed
    whole, first = follow.all(), follow.feed("?limit=3")
    assert first.headers["content-type"] == NDJSON and [event["lsn"] for event in first.body] == [event["lsn"] for event in whole[:3]]
    second = follow.feed(f"?limit=3&after={first.headers['flk-after']}")
    assert second.body == whole[3:6]
    assert follow.feed("?after=end").body == [] and follow.feed(f"?after={whole[-1]['lsn']}").body == []


# The filters give exactly the events that have the property, on pages of any length.
def test_feed_filters(followed):
    _, follow = followed
    whole = follow.all()
    cases = [("status", "202", lambda event: event["status"] == 202), ("status", "202,401", lambda event: event["status"] in (202, 401)),
             ("shard", "load0-1", lambda event: event["shard_id"] == "load0-1"),
             ("shard", "load1*", lambda event: event["shard_id"].startswith("load1")),
             ("reason", "d_hat_out_of_tolerance", lambda event: "d_hat_out_of_tolerance" in event["reasons"])]
    for name, value, holds in cases:
        expected = [event for event in whole if holds(event)]
        assert expected and follow.all(limit=10, **{name: value}) == expected, (name, value)


# Bad input is a problem that names the parameter; a position that the log never had is one, too.
@pytest.mark.parametrize("query, field", [("?limit=0", "limit"), ("?after=x", "after"), ("?wait=61", "wait"), ("?status=1", "status"),
                                          ("?shard=%2f", "shard"), ("?reason=x", "reason"), ("?after=999999999", "after")])
def test_feed_bad_input(followed, query, field):
    page = followed[1].feed(query)
    assert page.status == 400 and page.headers["content-type"] == "application/problem+json" and page.body["field"] == field, page


# Neither another method nor another form is taken.
def test_feed_method_and_form(followed):
    follow = followed[1]
    assert follow.get("/v1/feed", method="POST").status == 405
    assert follow.feed(accept="text/html").status == 406
    assert follow.get("/v1/feeds").status == 404


# The batch of CloudEvents has the same events, under names that are theirs for ever.
def test_feed_cloudevents(followed):
    _, follow = followed
    whole, batch = follow.all(), follow.feed("?limit=1000", accept=CLOUDEVENTS)
    assert batch.headers["content-type"] == CLOUDEVENTS and [event["data"] for event in batch.body] == whole
    names = {(event["source"], event["id"]) for event in batch.body}
    assert len(names) == len(whole) and names == {(f"flk/{event['log']}", str(event["lsn"])) for event in whole}
    assert {event["specversion"] for event in batch.body} == {"1.0"} and {event["type"] for event in batch.body} == {"flk.outcome.v1"}


# The parser that others use reads every CloudEvent.
def test_feed_cloudevents_by_the_sdk(followed):
    sdk = pytest.importorskip("cloudevents.core.bindings.http", reason="needs cloudevents of PyPI")
    for event in followed[1].feed("?limit=50", accept=CLOUDEVENTS).body:
        read = sdk.from_http_event(sdk.HTTPMessage({"content-type": "application/cloudevents+json"}, json.dumps(event).encode()))
        assert read.get_id() == event["id"] and read.get_data()["lsn"] == event["data"]["lsn"]


# Every event is as proto/event.schema.json says.
def test_feed_schema(followed):
    jsonschema = pytest.importorskip("jsonschema", reason="needs python3-jsonschema")
    schema = json.loads((ROOT / "proto" / "event.schema.json").read_text())
    validator = jsonschema.validators.validator_for(schema)(schema)
    for event in [*followed[1].feed("?limit=40").body, *followed[1].feed("?status=401").body]:
        validator.validate(event)


# Twenty readers at once, each with pages of its own size, see the same events.
def test_feed_many_readers(followed):
    _, follow = followed
    whole = follow.all()
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        for seen in pool.map(lambda limit: follow.all(limit=limit), range(5, 25)):
            assert seen == whole


# Twenty readers that wait are answered by the outcome for which they wait, long before their time is over.
def test_feed_long_poll(followed):
    cluster, follow = followed
    factory = reference.Factory(2, "poll", escalate_every=0)
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        waiting = [pool.submit(follow.feed, "?after=end&wait=30") for _ in range(20)]
        wait_for(lambda: follow.metrics().total("flk_feed_requests") == 20, 10, "all wait")
        began = time.monotonic()
        with cluster.http() as door:
            sent = [factory.make() for _ in range(2)]
            assert [door.submit(pcs).status for pcs in sent] == [200, 200]
        for page in (each.result() for each in waiting):
            assert page.status == 200 and page.body and page.body[0]["pcs_id"] == sent[0]["pcs_id"], page
        assert time.monotonic() - began < 15, "they waited for their time, not for the outcome"
    wait_for(lambda: any(event["pcs_id"] == sent[1]["pcs_id"] for event in follow.all()), 10, "the second ack is durable")


# flk feed prints a line an event, without escapes in a pipe, and JSON as the feed has it.
def test_flk_feed(followed):
    _, follow = followed
    env, whole = {"FLK_FOLLOW_LISTEN": follow.env["FLK_FOLLOW_LISTEN"]}, follow.all()
    done = run("flk", "feed", "--json", env=env)
    assert done.returncode == 0 and done.stderr == "" and [json.loads(line) for line in done.stdout.splitlines()] == whole
    lines = run("flk", "feed", "--limit", "5", "--status", "202", env=env).stdout.splitlines()
    assert len(lines) == 5 and all(" 202 " in line and "d_hat_out_of_tolerance" in line and "\033" not in line for line in lines)
    assert run("flk", "feed", "--status", "x", env=env).returncode == 2
    assert run("flk", "feed", env={"FLK_FOLLOW_LISTEN": "127.0.0.1:1"}).returncode == 1


# Beyond loopback the feed is closed until readers must say a password; the other pages are open.
def test_feed_beyond_loopback(followed):
    cluster, follow = followed
    port = follow.admin[1]
    follow.stop()
    for more, statuses in (({}, (403, 200)), ({"METRICS_USER": "ops", "METRICS_PASS": "a password"}, (401, 401))):
        other = Follow(cluster, FLK_FOLLOW_LISTEN=f"0.0.0.0:{port}", **more)
        other.admin = follow.admin
        other.start().wait_ready()
        assert (other.feed().status, other.get("/metrics").status) == statuses
        if more:
            assert other.feed(Authorization="Basic b3BzOmEgcGFzc3dvcmQ=").status == 200
        other.stop()
        other.check()
    follow.start().wait_ready()


# A position whose events the retention took is 410 with the one to go on from; all that is left comes from there.
def test_feed_gone(followed):
    cluster, follow = followed
    cluster.gateway.stop()
    cluster.gateway.env.update(FLK_WAL_RETENTION_S=1, FLK_WAL_SEGMENT_AGE_S=1)
    cluster.gateway.start().wait_ready()
    page = wait_for(lambda: (lambda page: page.status == 410 and page)(follow.feed("?after=1")), 30, "the first segments go")
    assert page.body["field"] == "after" and int(page.headers["flk-after"]) == page.body["first_lsn"] - 1
    assert follow.feed(f"?after={page.headers['flk-after']}").status == 200 and follow.feed().status == 200


# kill -9 of flk-follow and of the gateway at random moments under load: a reader that goes on by Flk-After has each outcome of
# the log once, in order.
def test_feed_through_kills(seed):
    for turn in range(sized(2, 20)):
        pick = random.Random(seed + turn)
        with Cluster(workers=1, gateway_env={"FLK_WAL_SEGMENT_BYTES": 65536}) as cluster:
            follow = Follow(cluster).start().wait_ready()
            reader = Reader(follow, limit=pick.choice((7, 100, 1000)))
            reader.start()
            with Load(cluster, seed + turn, http=2, zmq=1, duplicate_every=4, seconds=1) as load:
                for _ in range(3):
                    time.sleep(pick.uniform(0.05, 0.3))
                    victim = pick.choice((follow, follow, cluster.gateway))
                    victim.kill()
                    victim.start()
                load.stop()
            cluster.gateway.wait_ready(20)
            follow.wait_ready()
            wait_for(lambda: unacked(cluster) == 0, 30, "all are answered")
            expected = follow.of_the_log()
            events = reader.wait_for(len(expected), 20)
            assert answers(events) == expected, f"turn {turn}"
            follow.stop()
            follow.check()
