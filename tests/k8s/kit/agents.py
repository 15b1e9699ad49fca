# SPDX-License-Identifier: MIT
"""Agents that keep score: they send signed PCS by HTTP, each again until it has its outcome, until their standard input ends; then they ask
for every id once more. Prints a JSON object. Runs in the network of a node.

An outcome is changed when it differs from the reference of tests/integration or from the first one, lost when there is none in the end,
and doubled when the second answer does not say that it is a duplicate: the cluster took the id for a new one."""
import argparse
import collections
import http.client
import json
import pathlib
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "integration"))
from harness.pcs import HMAC_KEY, Factory, encode, verdict  # noqa: E402

PATH, KIND = "/v1/pcs/submit", {"Content-Type": "application/json"}
REFUSED, SILENT, CUT = "refused", "timed_out", "cut"


def kind_of(error):
    if isinstance(error, ConnectionRefusedError):
        return REFUSED
    return SILENT if isinstance(error, TimeoutError) else CUT


class Score:
    def __init__(self):
        self.lock = threading.Lock()
        self.began = time.monotonic()
        self.statuses, self.errors, self.seconds = collections.Counter(), collections.Counter(), collections.defaultdict(collections.Counter)
        self.verdicts_at, self.took = [self.began], []
        self.first, self.sent = {}, {}
        self.lost, self.changed, self.doubled = [], [], []

    def count(self, what, took=None):
        now = time.monotonic()
        with self.lock:
            (self.errors if isinstance(what, str) else self.statuses)[what] += 1
            self.seconds[int(now - self.began)][str(what)] += 1
            if what in (200, 202):
                self.verdicts_at.append(now)
                self.took.append(took)

    def gap(self, ended):
        """The longest time in which nobody was given a verdict, and when it began."""
        times = [*sorted(self.verdicts_at), ended]
        return max(((after - before, before - self.began) for before, after in zip(times, times[1:])))


class Door:
    """One connection, made anew when it broke or was given back."""

    def __init__(self, to, seconds):
        self.to, self.seconds, self.link = to, seconds, None

    def post(self, body):
        """(status, body, seconds to wait before it is tried again)"""
        try:
            if self.link is None:
                self.link = http.client.HTTPConnection(self.to, timeout=self.seconds)
            self.link.request("POST", PATH, body, KIND)
            answer = self.link.getresponse()
            data = answer.read()
        except BaseException:
            self.close()
            raise
        if answer.will_close:
            self.close()
        return answer.status, data, float(answer.getheader("Retry-After") or 0)

    def close(self):
        if self.link is not None:
            self.link.close()
            self.link = None


def until_answered(door, body, end, count):
    """(status, outcome) as an agent gets it in the end, None when `end` comes first."""
    pause = 0.1
    while time.monotonic() < end:
        began = time.monotonic()
        try:
            status, data, wait = door.post(body)
        except (OSError, http.client.HTTPException) as error:
            count(kind_of(error))
            time.sleep(pause)
            pause = min(2, pause * 2)
            continue
        count(status, time.monotonic() - began)
        if status not in (429, 503):
            return status, json.loads(data)
        time.sleep(min(2, max(wait, pause)))
    return None


def essence(answer):
    status, told = answer
    return status, {name: value for name, value in told.items() if name != "duplicate"}


def expected(pcs, answer):
    foreseen = verdict(pcs)
    return answer[0] == foreseen["status"] and answer[1].get("reasons") == foreseen["reasons"]


def send(number, options, score, stopping):
    factory = Factory(options.seed * 1000 + number, f"k8s{options.seed}-{number}", options.key)
    door, due = Door(options.to, options.timeout), time.monotonic()
    while not stopping.is_set():
        pcs = factory.make()
        body = encode(pcs)
        answer = until_answered(door, body, time.monotonic() + options.patience, score.count)
        with score.lock:
            score.sent[pcs["pcs_id"]] = body
            if answer is None:
                score.lost.append(pcs["pcs_id"])
            else:
                score.first[pcs["pcs_id"]] = answer
                if not expected(pcs, answer):
                    score.changed.append([pcs["pcs_id"], answer])
        due = max(due + options.connections / options.rate, time.monotonic() - 1)
        stopping.wait(max(0, due - time.monotonic()))
    door.close()


def ask_again(ids, options, score):
    door = Door(options.to, options.timeout)
    for identity in ids:
        answer = until_answered(door, score.sent[identity], time.monotonic() + options.patience, lambda *_: None)
        first = score.first.get(identity)
        with score.lock:
            if answer is None:
                score.lost.append(identity)
            elif first and essence(answer) != essence(first):
                score.changed.append([identity, first, answer])
            elif first and answer[1].get("duplicate") is not True:
                score.doubled.append(identity)
    door.close()


def all_of(threads):
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def report(options, score, ended):
    gap, gap_at = score.gap(ended)
    took = sorted(score.took) or [0]
    return {
        "seed": options.seed, "seconds": round(ended - score.began, 1), "pcs": len(score.sent), "answers": dict(score.statuses), "errors": dict(score.errors),
        "lost": len(set(score.lost)), "changed": len(score.changed), "doubled": len(score.doubled), "gap_s": round(gap, 2),
        "gap_at_s": round(gap_at, 1), "p50_ms": round(took[len(took) // 2] * 1000, 1), "p99_ms": round(took[len(took) * 99 // 100] * 1000, 1),
        "max_ms": round(took[-1] * 1000, 1), "some": {"lost": score.lost[:5], "changed": score.changed[:5], "doubled": score.doubled[:5]},
        "by_second": {second: dict(counts) for second, counts in sorted(score.seconds.items())},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to", required=True, help="HOST:PORT")
    parser.add_argument("--connections", type=int, default=12)
    parser.add_argument("--rate", type=float, default=200, help="PCS a second, of all connections")
    parser.add_argument("--key", default=HMAC_KEY)
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100000)
    parser.add_argument("--timeout", type=float, default=15)
    parser.add_argument("--patience", type=float, default=90, help="seconds after which an id without an outcome counts as lost")
    options = parser.parse_args()
    score, stopping = Score(), threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stopping.set()), daemon=True).start()
    all_of([threading.Thread(target=send, args=(number, options, score, stopping)) for number in range(options.connections)])
    ended = time.monotonic()
    ids = list(score.sent)
    all_of([threading.Thread(target=ask_again, args=(ids[number::options.connections], options, score)) for number in range(options.connections)])
    print(json.dumps(report(options, score, ended)))


main()
