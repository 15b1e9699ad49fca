# SPDX-License-Identifier: MIT
"""Keys change while a cluster serves: added, switched, dropped, expired; by file, by SIGHUP, by NAME_FILE."""
import base64
import datetime
import hashlib
import hmac
import json
import os
import signal

import pytest

from harness import pcs as reference
from harness.cluster import Cluster
from harness.load import Load
from harness.process import run, wait_for

SEED_1, SEED_2 = bytes(range(32)), bytes(range(1, 33))


def key(name, text, **times):
    return {"id": name, "alg": "hmac", "key": text, **times}


def public(name, seed):
    return {"id": name, "alg": "ed25519", "public_key": reference.ed25519_public(seed)}


def write(path, keys):
    """As an operator should: a file of one's own, put in place whole."""
    fresh = path.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_text(keys if isinstance(keys, str) else json.dumps({"keys": keys}))
    os.replace(fresh, path)


# flk keygen makes signing keys of both kinds: the secret signs, the entry of the ring verifies it, and no key is written over.
def test_keygen_signs(seed, tmp_path):
    factory, ring = reference.Factory(seed, escalate_every=0), tmp_path / "ring.json"
    for alg in ("hmac", "ed25519"):
        done = run("flk", "keygen", "--sign", alg, "--dir", tmp_path / "keys", "--json", alg)
        assert done.returncode == 0, done
        made = json.loads(done.stdout)
        secret = open(made["secret_key_file"]).read().strip()
        assert secret not in done.stdout and len(base64.b64decode(secret)) == 32
        assert all(os.stat(made[name]).st_mode & 0o777 == 0o600 for name in ("secret_key_file", "key_ring_file"))
        again = run("flk", "keygen", "--sign", alg, "--dir", tmp_path / "keys", alg)
        assert again.returncode == 1 and open(made["secret_key_file"]).read().strip() == secret, again
        write(ring, (json.load(open(ring))["keys"] if ring.exists() else []) + json.load(open(made["key_ring_file"]))["keys"])
    for wrong in (["--sign", "rsa", "x"], ["--sign", "hmac", "--role", "agent", "x"], ["--sign", "none", "x"]):
        assert run("flk", "keygen", *wrong, cwd=tmp_path).returncode == 2, wrong
    assert run("flk", "keygen", "--sign", "hmac", "PCS_x", cwd=tmp_path).returncode == 1
    with Cluster(worker_env={"PCS_HMAC_KEY": None, "PCS_KEYRING_FILE": ring}) as cluster, cluster.http() as http:
        for alg in ("hmac", "ed25519"):
            pcs, secret = factory.make(), (tmp_path / "keys" / f"{alg}.secret").read_text().strip()
            pcs["sig"] = reference.sign_hmac(pcs, secret) if alg == "hmac" else reference.sign_ed25519(pcs, base64.b64decode(secret))
            assert http.submit(pcs).status == 200
            assert verified(cluster, alg) == 1


def keys_shown(worker, state="active"):
    return worker.metrics().total("flk_keyring_keys", state=state)


def wait_keys(cluster, count, state="active"):
    for worker in cluster.workers:
        wait_for(lambda: keys_shown(worker, state) == count, 20, f"{worker.name} shows {count} {state} keys")


def verified(cluster, name):
    return sum(worker.metrics().total("flk_signature_verified_total", key=name) for worker in cluster.workers)


def refused(cluster, reason):
    return sum(worker.metrics().total("flk_signature_refused_total", reason=reason) for worker in cluster.workers)


@pytest.fixture
def ring(tmp_path):
    return tmp_path / "keyring.json"


def cluster_of(ring, keys, workers=1, **worker_env):
    write(ring, keys)
    return Cluster(workers=workers, worker_env={"PCS_KEYRING_FILE": ring, "PCS_HMAC_KEY": None, **worker_env})


# Rotation as it should be done, under load on both doors: the new key is added, agents switch, the old one is dropped. No answer is a 401,
# each key is seen in the metric, and in the end the old one verifies nothing.
def test_rotation_under_load(ring, seed):
    with cluster_of(ring, [key("first", reference.HMAC_KEY)], workers=2) as cluster:
        load = Load(cluster, seed, http=2, zmq=1, window=8)
        with load:
            wait_for(lambda: len(load.answered()) > 200, 30, "200 answers with the first key")
            write(ring, [key("first", reference.HMAC_KEY), key("second", "the second key of the tests")])
            wait_keys(cluster, 2)
            for factory in load.factories:
                factory.key = "the second key of the tests"
            switched = len(load.submissions)
            wait_for(lambda: all(s.returned for s in load.submissions[:switched + 50]) and verified(cluster, "second") > 200,
                     30, "answers to all that the first key signed")
            write(ring, [key("second", "the second key of the tests")])
            wait_keys(cluster, 1)
            dropped = len(load.answered())
            wait_for(lambda: len(load.answered()) > dropped + 200, 30, "200 answers without the first key")
        submissions = load.join()
        assert all(s.answer for s in submissions), [s for s in submissions if not s.answer][:3]
        assert not [s for s in submissions if s.status not in (200, 202)], "a valid client was refused"
        assert verified(cluster, "first") + verified(cluster, "second") >= len(submissions)
        assert verified(cluster, "first") > 0
        with cluster.http() as door:
            answer = door.submit(reference.Factory(seed + 1, "late").make())
            assert answer.status == 401 and answer.body["field"] == "sig", answer
        assert refused(cluster, "wrong") == 1


def zulu(seconds):
    now = datetime.datetime.now(datetime.timezone.utc)
    return (now + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


# An expired key and one that is not valid yet are refused with that reason: to the client, in the log with the key's id, in the metric. Of
# a signature that nobody made, no key is named.
def test_expired_and_future_keys(ring, seed):
    keys = [key("expired", "the old key of the tests", not_after=zulu(-60)), key("future", "the next key of the tests", not_before=zulu(3600)),
            key("active", reference.HMAC_KEY, not_before=zulu(-60), not_after=zulu(3600))]
    with cluster_of(ring, keys) as cluster:
        factory = reference.Factory(seed)
        assert [keys_shown(cluster.worker, state) for state in ("active", "expired", "future")] == [1, 1, 1]
        assert cluster.worker.metrics().total("flk_keyring_next_end_timestamp_seconds") > 0
        with cluster.http() as door, cluster.zmq() as inner:
            for text, reason, label in (("the old key of the tests", "has expired", "key_expired"), ("the next key of the tests", "not valid yet", "key_not_yet")):
                before = refused(cluster, label)
                for way in (door, inner):
                    answer = way.submit(factory.make(key=text))
                    assert answer.status == 401 and reason in answer.body["detail"], answer
                assert refused(cluster, label) == before + 2
                wait_for(lambda: _logged_refusal(cluster, door, factory, text, reason), 20, f"a line about {reason}")
            assert door.submit(factory.make(key="nobody's")).body["detail"] == "signature does not verify"
            assert door.submit(factory.make()).status in (200, 202)
        log = cluster.worker.log()
        assert "key=expired" in log and "key=future" in log and "key=active" not in log
        assert "the old key of the tests" not in log and "the next key of the tests" not in log


# A key's end comes by the clock alone, while it is in use: its signatures are good until then and refused with that
# reason from then on, in the metrics too, without anybody touching the file.
def test_a_key_expires_in_use(ring, seed):
    with cluster_of(ring, [key("short", "the short key of the tests", not_after=zulu(4)), key("long", reference.HMAC_KEY)]) as cluster, cluster.http() as door:
        factory, statuses = reference.Factory(seed), []

        def expired():
            answer = door.submit(factory.make(key="the short key of the tests"))
            statuses.append(answer.status)
            assert answer.status in (200, 202) or "has expired" in answer.body["detail"], answer
            return answer.status == 401
        wait_for(expired, 20, "the end of a key")
        print(f"{len(statuses) - 1} good ones before its end")
        assert door.submit(factory.make(key="the short key of the tests")).status == 401 and door.submit(factory.make()).status in (200, 202)
        wait_keys(cluster, 1, "expired")
        assert refused(cluster, "key_expired") == 2 and verified(cluster, "short") == len(statuses) - 1
        assert "key=short" in cluster.worker.log()


def _logged_refusal(cluster, door, factory, text, reason):
    """A line a second at most: the first of this reason may have fallen behind the last of another."""
    if reason in cluster.worker.log():
        return True
    door.submit(factory.make(key=text))
    return False


# A file that is wrong changes nothing but a log line and a counter, however it came to be read; the next good one is taken.
def test_bad_file_keeps_the_ring(ring, seed):
    with cluster_of(ring, [key("first", reference.HMAC_KEY)]) as cluster, cluster.http() as door:
        worker, factory = cluster.worker, reference.Factory(seed)

        def reloads(result):
            return worker.metrics().total("flk_rules_reloads_total", result=result)

        for number, text in enumerate(('{"keys": [', '{"keys": []}', json.dumps({"keys": [key("first", "the first key of the tests"), key("first", "the same id, another key")]}))):
            write(ring, text)
            wait_for(lambda: reloads("refused") == number + 1, 20, "the refusal of a bad file")
            assert door.submit(factory.make()).status in (200, 202)
        ring.unlink()
        worker.signal(signal.SIGHUP)
        wait_for(lambda: reloads("refused") >= 4, 20, "the refusal of no file")
        assert door.submit(factory.make()).status in (200, 202)
        assert "rules_refused" in worker.log() and "PCS_KEYRING_FILE" in worker.log()
        write(ring, [key("second", "the second key of the tests")])
        wait_for(lambda: reloads("ok") == 1, 20, "the good file")
        assert door.submit(factory.make()).status == 401
        assert door.submit(factory.make(key="the second key of the tests")).status in (200, 202)
        ring.chmod(0o644)
        wait_for(lambda: "chmod 0600" in worker.log(), 20, "the refusal of wide rights")
        assert door.submit(factory.make(key="the second key of the tests")).status in (200, 202)


# The fate of old-key records: taken into the log but not yet verified when their key goes, they end as 401 and leave
# nothing in the store, so the same PCS signed anew is verified; a PCS verified before keeps its outcome, but the old
# signature no longer asks for it.
def test_records_of_a_dropped_key(ring, seed):
    with cluster_of(ring, [key("first", reference.HMAC_KEY)]) as cluster:
        factory, worker, gateway = reference.Factory(seed, escalate_every=0), cluster.worker, cluster.gateway
        early, queued = factory.make(), factory.make()
        with cluster.http() as door:
            assert door.submit(early).status == 200
            worker.kill()
            assert door.submit(queued).status == 503
            write(ring, [key("second", "the second key of the tests")])
            worker.start().wait_ready()
            wait_for(lambda: refused(cluster, "wrong") >= 1, 30, "the queued record's 401")
            wait_for(lambda: gateway.metrics().total("flk_wal_unacked") == 0, 30, "no un-acked record")
            assert door.submit(queued).status == 401
            assert door.submit(early).status == 401, "a replayed old signature"
            for pcs in (queued, early):
                again = {**pcs, "sig": reference.sign_hmac(pcs, "the second key of the tests")}
                answer = door.submit(again)
                assert answer.status == 200 and answer.body["duplicate"] is (pcs is early), answer


# Secrets behind NAME_FILE are read again when they change, without a signal; the keys of settings and file hold beside each other.
def test_key_from_name_file(ring, seed, tmp_path):
    one, two, three = (f"key {number} of the tests" for number in ("one", "two", "three"))
    keys = tmp_path / "keys"
    keys.write_text(f"{one},{two}\n")
    with cluster_of(ring, [key("filed", three)], PCS_HMAC_KEYS_FILE=keys) as cluster, cluster.http() as door:
        factory = reference.Factory(seed)
        for text in (one, two, three):
            assert door.submit(factory.make(key=text)).status in (200, 202)
        assert [verified(cluster, name) for name in ("PCS_HMAC_KEYS.1", "PCS_HMAC_KEYS.2", "filed")] == [1, 1, 1]
        keys.write_text(f"{two}\n")
        wait_keys(cluster, 2)
        assert [door.submit(factory.make(key=text)).status == 401 for text in (one, two, three)] == [True, False, False]


# From HMAC to Ed25519 without a pause: the file holds both, and a list of Ed25519 keys overlaps as HMAC keys do.
def test_from_hmac_to_ed25519(ring, seed):
    with cluster_of(ring, [key("old", reference.HMAC_KEY), public("new-1", SEED_1), public("new-2", SEED_2)]) as cluster:
        factory = reference.Factory(seed)
        with cluster.http() as door:
            assert door.submit(factory.make()).status in (200, 202)
            for signer in (SEED_1, SEED_2):
                pcs = factory.make()
                pcs["sig"] = reference.sign_ed25519(pcs, signer)
                assert door.submit(pcs).status in (200, 202)
        assert [verified(cluster, name) for name in ("old", "new-1", "new-2")] == [1, 1, 1]


# HMAC over the canonical bytes themselves, as agents of the original project sign: refused by default; accepted and counted with
# PCS_SIGN_ACCEPT=payload.
@pytest.mark.parametrize("accept", ["digest", "payload"])
def test_payload_signatures(ring, seed, accept):
    with cluster_of(ring, [key("k", reference.HMAC_KEY)], PCS_SIGN_ACCEPT=accept) as cluster, cluster.http() as door:
        pcs = reference.Factory(seed).make()
        mac = hmac.new(reference.HMAC_KEY.encode(), reference.canonical(pcs), hashlib.sha256)
        answer = door.submit({**pcs, "sig": base64.b64encode(mac.digest()).decode()})
        count = cluster.worker.metrics().total("flk_signature_payload_total")
        assert (answer.status, count) == ((200, 1) if accept == "payload" else (401, 0)), answer


# A ring without signing, or a file of wrong rights, stops the start with one line that tells the remedy.
def test_wrong_rings_stop_the_start(ring):
    from harness.process import run
    write(ring, [key("k", "the only key of the tests")])
    done = run("flk-worker", env={"PCS_KEYRING_FILE": ring, "FLK_DATA_DIR": ring.parent})
    assert done.returncode == 2 and "PCS_SIGN_ALG is none" in done.stderr and done.stderr.count("\n") == 1, done
    ring.chmod(0o644)
    done = run("flk-worker", env={"PCS_KEYRING_FILE": ring, "PCS_SIGN_ALG": "hmac", "FLK_DATA_DIR": ring.parent})
    assert done.returncode == 2 and "chmod 0600" in done.stderr and done.stderr.count("\n") == 1, done
