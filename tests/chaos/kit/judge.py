# SPDX-License-Identifier: MIT
"""Compares the history of the clients with the ledger of the system: one verdict an invariant. Pure: the arguments alone decide.

  I1 lost        an answered 200 or 202 whose outcome the store does not keep, or that was forgotten when asked again
  I2 duplicated  an id with two outcomes, with another one than the reference's, or that was first twice
  I3 unexpected  an outcome or a record of an id that nobody sent, or that was only ever refused
  I4 unsettled   a record without an ack, a dead letter that is not in its queue, a counter that differs from the log
  I5 altered     a record or an outcome that has other content than the one sent
  I6 unsynced    an answer before a successful sync of its record (where system calls were recorded)
  I7 away        no answer for too long, not drained in time
  I8 leaked      descriptors, threads or memory that did not come back
  I9 crashed     a process that ended by itself, a sanitizer's report, one that did not stop
  answers        a status that the trial does not allow, or a 503 without Retry-After
"""
import statistics

from . import figures

WORDS = {"I1": "lost", "I2": "duplicated", "I3": "unexpected", "I4": "unsettled", "I5": "altered", "I6": "unsynced",
         "I7": "away", "I8": "leaked", "I9": "crashed", "answers": "answers"}
FOUND_MAX = 5
SETTLED = ("flk_accepted", "flk_escalated", "flk_dedup_hits", "flk_rejected_total")
SKEW = 100  # records, beside those seen around a scrape
LEVEL_SLACK = 1 << 19  # bytes, beside a fiftieth
SLACK = dict(fds=8, threads=6, rss=48 << 20)  # beside a tenth: a process of this size takes so much once and keeps it


def verdict(faults, measured=True):
    """`measured` false: the run had no eyes for it, which is neither red nor green."""
    faults = list(faults)
    return dict(holds=not faults if measured else None, count=len(faults), found=faults[:FOUND_MAX])


class Operations:
    """The history's sends and dones put together."""

    def __init__(self, history):
        self.all, by_op = [], {}
        for line in history:
            if line["e"] == "send":
                by_op[line["op"]] = operation = dict(line, result="info", returned=None, status=None)
                self.all.append(operation)
            elif line["e"] == "done":
                by_op[line["op"]].update({key: value for key, value in line.items() if key not in ("e", "t", "op")}, returned=line["t"])
        self.by_id, self.hashes, self.digests = {}, {}, {}
        for operation in self.all:
            self.by_id.setdefault(operation["id"], []).append(operation)
            self.hashes.setdefault(operation["id"], set()).add(operation["hash"])
            self.digests.setdefault(operation["id"], set()).add(operation["digest"])
        self.ok = [operation for operation in self.all if operation["result"] == "ok"]


def lost(operations, ledger, limits):
    store, settled = ledger["store"], {record["id"] for record in ledger["log"] if record["acked"]}
    buried = {letter["id"] for letter in ledger["dlq"]} | (settled if limits["redriven"] else set())
    answered = {}
    for operation in sorted(operations.ok, key=lambda operation: operation["returned"]):
        name, promised = operation["id"], operation["outcome"]
        if operation["dead"]:
            if name not in buried:
                yield f"{name}: answered as a dead letter, not in the queue"
            continue
        if name not in settled:
            yield f"{name}: answered {operation['status']}, no settled record in a log"
        if store is not None and store.get(name, {}).get("outcome") != promised and not (limits["forgets"] and name not in store):
            yield f"{name}: answered {promised}, the store has {store.get(name, {}).get('outcome')}"
        if not limits["forgets"] and not operation["duplicate"] and answered.get(name, operation["t"]) < operation["t"]:
            yield f"{name}: answered before, and new again when asked at {operation['t']}"
        answered.setdefault(name, operation["returned"])


def duplicated(operations, ledger, limits):
    for name, sent in operations.by_id.items():
        outcomes = [operation["outcome"] for operation in sent if operation["result"] == "ok" and not operation["dead"]]
        if any(outcome != outcomes[0] for outcome in outcomes):
            yield f"{name}: two outcomes: {outcomes}"
        owed = [operation["expect"] for operation in sent]
        if outcomes and outcomes[0] not in owed:
            yield f"{name}: answered {outcomes[0]}, the reference says {owed[0]}"
        if outcomes and not limits["redriven"] and any(operation["result"] == "ok" and operation["dead"] for operation in sent):
            yield f"{name}: an outcome to one, a dead letter to another"
    firsts = {}
    for record in ledger["log"]:
        if record["acked"] and record["status"] in (200, 202) and not record["duplicate"] and not record["dead"]:
            firsts.setdefault(record["id"], []).append((record["gate"], record["lsn"]))
    for name, records in firsts.items():
        if len(records) > 1 and not limits["forgets"]:
            yield f"{name}: computed for {len(records)} submissions (gateway, LSN): {records[:4]}"


def unexpected(operations, ledger):
    possible = {name for name, sent in operations.by_id.items() if any(operation["result"] != "fail" for operation in sent)}
    for name in ledger["store"] or {}:
        if name not in possible:
            yield f"{name}: has an outcome, and {'was only refused' if name in operations.by_id else 'nobody sent it'}"
    for record in ledger["log"]:
        if record["id"] is not None and record["id"] not in operations.by_id:
            yield f"{record['id']}: in the log of gateway {record['gate']}, and nobody sent it"
        if record["acked"] and record["status"] in (200, 202) and record["id"] not in possible:
            yield f"{record['id']}: answered {record['status']} in the log, and it was only refused"


def unsettled(operations, history, ledger, limits):
    buried = {(letter["gate"], letter["id"]) for letter in ledger["dlq"]}
    for record in ledger["log"]:
        where = f"gateway {record['gate']} LSN {record['lsn']}"
        if not record["acked"]:
            yield f"{where}: not acked"
        elif record["dead"] and (record["gate"], record["id"]) not in buried and not limits["redriven"]:
            yield f"{where}: acked as a dead letter, not in the queue"
    yield from disagreeing(ledger)
    yield from untrue(history)
    for kind in ("audit", "verify"):
        for summary in ledger[kind]:
            if not summary["clean"] and not (kind == "verify" and limits["damage"]):
                yield f"gateway {summary['gate']}: flk-replay {kind}: {summary}"


def disagreeing(ledger):
    """Counters against the log, for gateways that ran from the first record to the last."""
    for name, counters in ledger["counters"].items():
        if counters["flk_wal_unacked"] or counters["flk_inflight"]:
            yield f"{name}: {counters['flk_wal_unacked']:g} un-acked, {counters['flk_inflight']:g} in flight"
        if imbalance(counters):
            yield f"{name}: records and settled differ by {imbalance(counters):g}: {counters}"
        if name in ledger["ended"]:
            continue
        records = [record for record in ledger["log"] if f"gateway-{record['gate']}" == name]
        settled = [record for record in records if record["acked"] and not record["dead"]]
        fresh = [record["status"] for record in settled if not record["duplicate"]]
        for metric, want in {"flk_wal_records_total": len(records), "flk_accepted": fresh.count(200),
                             "flk_escalated": fresh.count(202) + sum(record["dead"] for record in records),
                             "flk_dedup_hits": sum(record["duplicate"] for record in settled),
                             "flk_rejected_total": sum(status >= 400 for status in fresh)}.items():
            if counters[metric] != want:
                yield f"{name}: {metric} is {counters[metric]:g}, the log says {want}"


def imbalance(counters):
    """Every record that was written or found at the start is settled or un-acked: the difference must be none."""
    settled = sum(counters[name] for name in SETTLED)
    return counters["flk_wal_records_total"] + counters["flk_wal_recovered_total"] - counters["flk_wal_unacked"] - settled


def untrue(history):
    """Counters while the run went on: they never fall in one life of a process, and balance at every moment."""
    lives = {}
    for line in history:
        if line["e"] == "sample":
            lives.setdefault((line["who"], line["counters"]["process_start_time_seconds"]), []).append(line)
    for (who, _), samples in lives.items():
        for number, line in enumerate(samples):
            counters, before, later = line["counters"], samples[max(number - 1, 0)]["counters"], samples[min(number + 1, len(samples) - 1)]["counters"]
            for name, value in counters.items():
                if name.endswith("_total") and value < before[name]:
                    yield f"{who}: {name} fell from {before[name]:g} to {value:g} at {line['t']}"
            if abs(imbalance(counters)) > SKEW + activity(before, later):
                yield f"{who}: records and settled differ by {imbalance(counters):g} at {line['t']}: {counters}"


def activity(before, later):
    """The events around a scrape: its first counter and its last one may be so much apart on a busy machine."""
    return sum(later[name] - before[name] for name in (*SETTLED, "flk_wal_records_total"))


def altered(operations, ledger):
    for record in ledger["log"]:
        if record["id"] in operations.hashes and record["hash"] not in operations.hashes[record["id"]]:
            yield f"{record['id']}: gateway {record['gate']} LSN {record['lsn']} has other content than the one sent"
    for name, entry in (ledger["store"] or {}).items():
        if name in operations.digests and entry["digest"] not in operations.digests[name]:
            yield f"{name}: the outcome has other content than the one sent"


def unsynced(operations, ledger):
    yield from ledger["syscalls"]["violations"]
    answered = {operation["id"] for operation in operations.ok}
    missing = len(answered - set(ledger["syscalls"]["replied"]))
    if missing * 20 > len(answered):  # a few are split between two sends of a busy ZeroMQ connection
        yield f"{missing} of {len(answered)} answered ids were not seen in the trace"


def away(measured, ledger, limits):
    if not ledger["drained"]["in_time"]:
        yield f"not drained after {ledger['drained']['seconds']} s: {ledger['drained']['detail']}"
    if measured["ok"] == 0:
        yield "nothing was ever answered"
    if measured["gap_s"] > limits["gap_s"]:
        yield f"no answer for {measured['gap_s']} s, allowed are {limits['gap_s']} s"


def leaked(ledger, limits):
    before, after = ledger["resources"]["before"], ledger["resources"]["after"]
    for name in before.keys() & after.keys():
        for what, slack in SLACK.items():
            slack = limits["rss_slack"] if what == "rss" and limits["rss_slack"] else slack
            if after[name][what] > before[name][what] * 1.1 + slack:
                yield f"{name}: {what} was {before[name][what]}, is {after[name][what]}"


def level(series):
    """Memory of each process over a long time, in equal steps: the first third fills bounded caches, the last needs no more than the middle one."""
    for name, sizes in series.items():
        third = len(sizes) // 3
        before, after = statistics.median(sizes[third:2 * third]), statistics.median(sizes[-third:])
        if after > before * 1.02 + LEVEL_SLACK:
            yield f"{name}: {before / 2**20:.1f} MiB in the middle, {after / 2**20:.1f} MiB late"


def wrong_answers(operations, limits):
    for operation in operations.all:
        status = operation["status"]
        if status is None or (status == 401 and operation["expect"] is None):
            continue
        if status not in limits["answers"] or (status in (200, 202) and operation["expect"] is None):
            yield f"{operation['id']}: {operation['door']} answered {status} ({operation['error']}) at {operation['returned']}"
        elif status == 503 and not (operation["retry_after"] or 0) >= 1:
            yield f"{operation['id']}: {operation['door']} answered 503 without Retry-After"
    if limits["unanswered_max"] is not None:
        without = [operation for operation in operations.all
                   if operation["result"] == "info" and operation["status"] is None and operation["error"] != GOODBYE]
        if len(without) > limits["unanswered_max"]:
            for operation in without:
                yield f"{operation['id']}: {operation['door']} at {operation['t']}: no answer: {operation['error']}"


GOODBYE = "goodbye"  # a ZeroMQ door's word for "not answered here, send elsewhere"
LIMITS = dict(answers=(200, 202), unanswered_max=None, gap_s=60, rss_slack=None, redriven=False, damage=False, forgets=False)


def judge(history, ledger, limits=None):
    """({name: verdict}, figures)."""
    limits = {**LIMITS, **(limits or {})}
    operations = Operations(history)
    measured = figures.measure(history, operations.all)
    return {
        "I1": verdict(lost(operations, ledger, limits)),
        "I2": verdict(duplicated(operations, ledger, limits)),
        "I3": verdict(unexpected(operations, ledger)),
        "I4": verdict(unsettled(operations, history, ledger, limits)),
        "I5": verdict(altered(operations, ledger)),
        "I6": verdict(unsynced(operations, ledger) if ledger["syscalls"] else (), ledger["syscalls"] is not None),
        "I7": verdict(away(measured, ledger, limits)),
        "I8": verdict(leaked(ledger, limits)),
        "I9": verdict(ledger["reports"]),
        "answers": verdict(wrong_answers(operations, limits)),
    }, measured
