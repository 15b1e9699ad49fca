# SPDX-License-Identifier: MIT
"""The judge is seen red: a small true history holds, and each fault planted into it turns its own invariant, and no other."""
import copy
import pathlib
import random
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from kit.clients import Retries, Source  # noqa: E402
from kit.figures import longest_gap, percentile, steady_again  # noqa: E402
from kit.judge import judge, level  # noqa: E402
from kit.nemesis import periodic  # noqa: E402
from kit.payload import Payload, WRONG_SIGNATURE, content_hash  # noqa: E402
from kit.recorder import Recorder, read  # noqa: E402
from kit.table import table  # noqa: E402

from harness import doors, pcs as reference  # noqa: E402

REFUSED, RECORDS = 3, 8


def answer_to(payload, duplicate=False):
    if payload.expect is None:
        return doors.Answer(401, {}, b"", {"detail": "signature does not verify"})
    return doors.Answer(payload.expect[0], {}, b"", {**doors.predicted(payload.pcs), "duplicate": duplicate})


@pytest.fixture
def truth(tmp_path):
    """(history, ledger): eight ids over two doors, one refused, each of the others sent twice, and everything as it should be."""
    recorder, factory = Recorder(tmp_path / "history.ndjson"), reference.Factory(4)
    payloads = [Payload(factory.make(sig=WRONG_SIGNATURE) if n == REFUSED else factory.make()) for n in range(RECORDS)]
    log, counts = [], {200: 0, 202: 0, 401: 0, "duplicate": 0}
    recorder.phase("base")
    for duplicate in (False, True):
        for payload in payloads:
            answer = answer_to(payload, duplicate)
            recorder.done(recorder.send(payload, "http", 0), answer)
            again = duplicate and payload.expect is not None
            counts["duplicate" if again else answer.status] += 1
            log.append(dict(gate=0, lsn=len(log) + 1, id=payload.id, hash=payload.hash, acked=True, status=answer.status,
                            duplicate=again, conflict=False, dead=False))
        recorder.phase("after" if not duplicate else "drain")
    counters = dict(flk_wal_records_total=len(log), flk_accepted=counts[200], flk_escalated=counts[202], flk_wal_unacked=0,
                    flk_rejected_total=counts[401], flk_dedup_hits=counts["duplicate"], flk_inflight=0, flk_wal_recovered_total=0,
                    process_start_time_seconds=1)
    recorder.sample("gateway-0", dict.fromkeys(counters, 0) | dict(process_start_time_seconds=1))
    recorder.sample("gateway-0", counters)
    recorder.close()
    size = dict(rss=10 << 20, fds=20, threads=10)
    ledger = dict(log=log, dlq=[], store={p.id: dict(outcome=p.expect, digest=p.digest) for p in payloads if p.expect},
                  audit=[dict(gate=0, clean=True)], verify=[dict(gate=0, clean=True)], counters={"gateway-0": counters}, ended=[],
                  drained=dict(in_time=True, seconds=0.1, detail=""), resources=dict(before={"gateway-0": size}, after={"gateway-0": dict(size)}),
                  disk_bytes=1, reports=[], syscalls=dict(replied=[p.id for p in payloads], violations=[]))
    return read(recorder.path), ledger


def broken(history, ledger, **limits):
    verdicts, _ = judge(history, ledger, limits)
    return {name for name, found in verdicts.items() if found["holds"] is False}


def operations(history, kind):
    return [line for line in history if line["e"] == kind]


# A sound run is green in every invariant.
def test_truth_holds(truth):
    assert broken(*truth) == set()


def forget_outcome(history, ledger):
    ledger["store"].pop(ledger["log"][0]["id"])


def answer_new_again(history, ledger):
    operations(history, "done")[RECORDS]["duplicate"] = False


def lose_record(history, ledger):
    name = ledger["log"][0]["id"]
    gone = [record for record in ledger["log"] if record["id"] == name]
    ledger["log"] = [record for record in ledger["log"] if record["id"] != name]
    ledger["counters"]["gateway-0"]["flk_wal_records_total"] -= len(gone)
    ledger["counters"]["gateway-0"]["flk_accepted"] -= 1
    ledger["counters"]["gateway-0"]["flk_dedup_hits"] -= 1


def lose_dead_letter(history, ledger):
    for number in (0, RECORDS):
        done = operations(history, "done")[number]
        done.update(dead=True, status=202)
        ledger["log"][number].update(dead=True, status=202, duplicate=False)
    ledger["store"].pop(ledger["log"][0]["id"])
    ledger["counters"]["gateway-0"].update(flk_accepted=ledger["counters"]["gateway-0"]["flk_accepted"] - 1,
                                           flk_escalated=ledger["counters"]["gateway-0"]["flk_escalated"] + 2,
                                           flk_dedup_hits=ledger["counters"]["gateway-0"]["flk_dedup_hits"] - 1)


def answer_otherwise(history, ledger):
    done = operations(history, "done")[RECORDS]
    done["outcome"] = [202, ["budget_mismatch"], *done["outcome"][2:]]


def answer_wrongly(history, ledger):
    """Everybody agrees, and the reference does not."""
    wrong = [202, ["degraded"], *operations(history, "done")[0]["outcome"][2:]]
    for number in (0, RECORDS):
        operations(history, "done")[number]["outcome"] = wrong
    ledger["store"][ledger["log"][0]["id"]]["outcome"] = wrong


def compute_twice(history, ledger):
    ledger["log"][RECORDS]["duplicate"] = False
    ledger["counters"]["gateway-0"]["flk_accepted"] += 1
    ledger["counters"]["gateway-0"]["flk_dedup_hits"] -= 1


def store_refused(history, ledger):
    ledger["store"][ledger["log"][REFUSED]["id"]] = dict(outcome=[200], digest=operations(history, "send")[REFUSED]["digest"])


def store_unknown(history, ledger):
    ledger["store"]["f" * 64] = dict(outcome=[200], digest="0")


def log_unknown(history, ledger):
    ledger["log"].append(dict(ledger["log"][0], id="f" * 64, lsn=99, status=400))
    ledger["counters"]["gateway-0"]["flk_wal_records_total"] += 1
    ledger["counters"]["gateway-0"]["flk_rejected_total"] += 1


def leave_unacked(history, ledger):
    """A copy that nobody was promised anything for."""
    ledger["log"].append(dict(ledger["log"][0], lsn=99, acked=False, status=None))
    ledger["counters"]["gateway-0"]["flk_wal_records_total"] += 1


def count_wrongly(history, ledger):
    ledger["counters"]["gateway-0"]["flk_accepted"] += 1


def count_restarted_wrongly(history, ledger):
    ledger["ended"].append("gateway-0")
    ledger["counters"]["gateway-0"]["flk_wal_recovered_total"] += 1


def fall(history, ledger):
    for line in operations(history, "sample")[:1]:
        line["counters"]["flk_rejected_total"] = 5


def lose_count(history, ledger):
    operations(history, "sample")[1]["counters"]["flk_wal_unacked"] = 500


def stay_in_flight(history, ledger):
    ledger["counters"]["gateway-0"]["flk_inflight"] = 1


def audit_differs(history, ledger):
    ledger["audit"][0].update(clean=False, differences=1)


def damage_log(history, ledger):
    ledger["verify"][0].update(clean=False, damaged=1)


def alter_record(history, ledger):
    ledger["log"][0]["hash"] = "0" * 32


def alter_outcome(history, ledger):
    ledger["store"][ledger["log"][0]["id"]]["digest"] = "0" * 64


def answer_unsynced(history, ledger):
    ledger["syscalls"]["violations"].append("answered, no sync between")


def miss_in_trace(history, ledger):
    ledger["syscalls"]["replied"].pop(0)


def stall(history, ledger):
    for line in history:
        if line["e"] == "phase" and line["name"] == "drain":
            line["t"] += 1000


def never_drain(history, ledger):
    ledger["drained"]["in_time"] = False


def leak_descriptors(history, ledger):
    ledger["resources"]["after"]["gateway-0"]["fds"] = 40


def leak_memory(history, ledger):
    ledger["resources"]["after"]["gateway-0"]["rss"] = 80 << 20


def crash(history, ledger):
    ledger["reports"].append("worker-0 ended by itself with -11")


def answer_500(history, ledger):
    operations(history, "done")[REFUSED].update(status=500, result="info")


def omit_retry_after(history, ledger):
    operations(history, "done")[REFUSED].update(status=503, result="info", retry_after=None)


def accept_wrong_signature(history, ledger):
    operations(history, "done")[REFUSED].update(status=200)


PLANTS = {"I1": [forget_outcome, answer_new_again, lose_record, lose_dead_letter], "I2": [answer_otherwise, answer_wrongly, compute_twice],
          "I3": [store_refused, store_unknown, log_unknown],
          "I4": [leave_unacked, count_wrongly, count_restarted_wrongly, fall, lose_count, stay_in_flight, audit_differs, damage_log], "I5": [alter_record, alter_outcome],
          "I6": [answer_unsynced, miss_in_trace], "I7": [stall, never_drain], "I8": [leak_descriptors, leak_memory], "I9": [crash],
          "answers": [answer_500, omit_retry_after, accept_wrong_signature]}
# Faults that cannot be planted alone: an answer that is told otherwise also differs from the store's; and so on.
COMPANY = {answer_otherwise: {"I1"}, lose_dead_letter: {"I4"}}


# Each planted fault turns the invariant that it breaks, and no other one.
@pytest.mark.parametrize("name, plant", [(name, plant) for name, plants in PLANTS.items() for plant in plants],
                         ids=lambda value: getattr(value, "__name__", value))
def test_plant_goes_red(truth, name, plant):
    history, ledger = copy.deepcopy(truth)
    plant(history, ledger)
    limits = dict(answers=(200, 202, 503)) if plant is omit_retry_after else {}
    assert broken(history, ledger, **limits) == {name} | COMPANY.get(plant, set())


# Without a trace of system calls nothing is said about I6, neither green nor red.
def test_unmeasured_is_neither(truth):
    history, ledger = truth
    ledger["syscalls"] = None
    assert judge(history, ledger)[0]["I6"]["holds"] is None


# A connection that broke is no answer: fine unless the trial limits how many.
def test_unanswered(truth):
    history, ledger = truth
    operations(history, "done")[REFUSED].update(status=None, result="info", error="reset")
    assert broken(history, ledger) == set()
    assert broken(history, ledger, unanswered_max=0) == {"answers"}
    assert broken(history, ledger, unanswered_max=1) == set()


# Gaps, percentiles and the way back to speed are as computed by hand.
def test_figures():
    assert longest_gap([1, 2, 2.5, 9], 0, 10) == 6.5 and longest_gap([], 3, 10) == 7 and longest_gap([1, 12], 0, 10) == 9
    assert percentile([5, 1, 3], 0.5) == 3 and percentile(range(100), 0.99) == 99 and percentile([], 0.5) is None
    times = [0.1, 0.6, 1.1, *(2 + n / 100 for n in range(100))]
    assert steady_again(times, 0, 5, 100) == 2 and steady_again(times, 0, 5, 1000) is None


# The table has one row a trial: only long runs, the last one of each seed, the longest gap, the middle percentile.
def test_table():
    run = dict(trial="T1", seed=1, short=False, holds=True, operations=10, faults=2, gap_s=0.5, p99_base_ms=1, p99_faults_ms=9, p99_after_ms=2,
               recovery_s=None, drain_s=0.1, rss_mib={"gateway-0": 12.3, "worker-0": 5, "worker-1": 7})
    rows = list(table([dict(run, holds=False), run, dict(run, seed=2, gap_s=0.7, holds=False), dict(run, seed=3, short=True)]))[2:]
    assert rows == ["| T1 | 1 of 2 | 20 | 4 | 0.7 | 1 / 9 / 2 | – | 0.1 | 12 / – / 7 |"]


# Memory that creeps is named, however slowly it goes; memory that was taken at first and then stays, or comes and goes, is level.
def test_level():
    mib = 1 << 20
    warm = [*range(8 * mib, 20 * mib, mib), *[20 * mib] * 48]
    wave = [(20 + n % 3) * mib for n in range(60)]
    creep = [(20 * mib) + n * mib // 15 for n in range(60)]
    assert [line.split(":")[0] for line in level(dict(warm=warm, wave=wave, creep=creep))] == ["creep"]


# The hash of a PCS is that of its content: order and print do not matter, every member does.
def test_content_hash():
    assert content_hash('{"a":1,"b":[0.5,"x"]}') == content_hash('{ "b": [5e-1, "x"], "a": 1.0 }')
    assert content_hash('{"a":1}') != content_hash('{"a":2}') != content_hash('{"b":1}')


# The same seed makes the same plan and the same payloads; another seed makes others.
def test_seeded():
    def plan(seed):
        return periodic(random.Random(seed), 20, 2, "crash", ["a", "b", "c"])

    def payloads(seed):
        source = Source(reference.Factory(seed), Retries(random.Random(seed)))
        source.set_rate(float("inf"))
        return [source.take()[1].hash for _ in range(200)]
    assert plan(1) == plan(1) != plan(2)
    assert payloads(1) == payloads(1) != payloads(2)
    assert len(set(payloads(1))) < 200, "some are sent again"
