# SPDX-License-Identifier: MIT
"""The history of a run: every operation's invocation and return, every fault, every phase, appended to one file as it happens.

Lines are JSON. send: op, t, due (when the schedule wanted it), door, gate, id, hash, digest, expect, attempt. done: op, t, result,
status, duplicate, conflict, dead, outcome, retry_after, error. fault: t, `what`, `who`. phase: t, name. sample: t,
`who`, counters. Times are seconds since the start.

result: ok = 200 or 202; fail = certainly not accepted (refused, or nothing was sent); info = nobody knows: no answer, or 503.
"""
import json
import threading
import time

from harness import doors

from .payload import as_outcome


class Recorder:
    def __init__(self, path):
        self.path, self.file = path, open(path, "w", encoding="ascii")
        self.lock, self.began, self.ops, self.results = threading.Lock(), time.monotonic(), 0, {"ok": 0, "fail": 0, "info": 0}

    def now(self):
        return round(time.monotonic() - self.began, 6)

    def _write(self, line):
        self.file.write(json.dumps(line, separators=(",", ":")) + "\n")

    def send(self, payload, door, gate, due=None, attempt=1):
        """Returns the operation's number. Call it before the first byte leaves."""
        with self.lock:
            self.ops += 1
            now = self.now()
            self._write(dict(e="send", op=self.ops, t=now, due=now if due is None else due, door=door, gate=gate, id=payload.id,
                             hash=payload.hash, digest=payload.digest, expect=payload.expect, attempt=attempt))
            return self.ops

    def done(self, op, answer=None, error=None, sent=True):
        """`answer` as a door gives it; without one `error` tells the event, and `sent` whether a byte may have left.
        Returns the result."""
        line = dict(e="done", op=op, t=None, result="info" if sent else "fail", error=error)
        if answer is not None:
            line.update(self._answer(answer))
        with self.lock:
            line["t"] = self.now()
            self._write(line)
            self.results[line["result"]] += 1
        return line["result"]

    @staticmethod
    def _answer(answer):
        status, body = answer.status, answer.body or {}
        if status not in (200, 202):
            result = "info" if status == 503 else "fail"
            return dict(result=result, status=status, retry_after=answer.retry_after, error=body.get("detail"))
        return dict(result="ok", status=status, duplicate=body["duplicate"], conflict=body.get("conflict", False),
                    dead="dead_letter" in body["reasons"],
                    outcome=as_outcome(status, body["reasons"], body["recomputed_D_hat"], body["recomputed_budget"], body["budget"],
                                       body["regime"], body["policy_version"]))

    def fault(self, what, who):
        with self.lock:
            self._write(dict(e="fault", t=self.now(), what=what, who=who))

    def phase(self, name):
        with self.lock:
            self._write(dict(e="phase", t=self.now(), name=name))

    def sample(self, who, counters):
        with self.lock:
            self._write(dict(e="sample", t=self.now(), who=who, counters=counters))

    def flush(self):
        self.file.flush()

    def close(self):
        self.file.close()


def from_frame(frame):
    """The answer to a frame of the ZeroMQ door. BUSY is its 503: also a log that cannot write says so."""
    answer = frame.answer()
    if frame.kind == doors.BUSY:
        answer.status = 503
    return answer


def read(path):
    """The history of a file, one dict a line."""
    with open(path, encoding="ascii") as file:
        return [json.loads(line) for line in file]
