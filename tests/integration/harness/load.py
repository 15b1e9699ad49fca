# SPDX-License-Identifier: MIT
"""Many submissions over both doors, each one recorded: when it was sent, when and how it was answered."""
import threading
import time

from . import doors, pcs as reference


class Submission:
    """One sending of one PCS. `answer` stays None when the connection broke or no answer came: then nothing is known."""

    __slots__ = ("pcs", "door", "invoked", "returned", "answer", "error")

    def __init__(self, pcs, door):
        self.pcs, self.door, self.invoked = pcs, door, time.monotonic()
        self.returned = self.answer = self.error = None

    def end(self, answer=None, error=None):
        self.returned, self.answer, self.error = time.monotonic(), answer, error

    @property
    def id(self):
        return self.pcs["pcs_id"]

    @property
    def status(self):
        return self.answer.status if self.answer else None

    def __repr__(self):
        return f"<{self.door} {self.id[:12]} {self.answer or self.error}>"


class Load:
    """`http` threads with a connection each, and `zmq` threads with `window` in flight each, until stop() or until each
    thread has sent `count`. PCS come from seeded factories, one a thread, so that a run can be made again."""

    def __init__(self, cluster, seed, http=4, zmq=1, window=16, count=None, gateway=0, duplicate_every=0, pause=0.0,
                 seconds=20):
        self.cluster, self.gateway, self.count, self.window = cluster, gateway, count, window
        self.duplicate_every, self.pause, self.seconds = duplicate_every, pause, seconds
        self.stopping, self.lock, self.submissions, self.faults = threading.Event(), threading.Lock(), [], []
        self.factories = [reference.Factory(seed * 1000 + i, f"load{i}") for i in range(http + zmq)]
        self.threads = [threading.Thread(target=self._guard, args=(run, factory))
                        for run, factory in zip([self._http] * http + [self._zmq] * zmq, self.factories)]

    def start(self):
        for thread in self.threads:
            thread.start()
        return self

    def stop(self):
        self.stopping.set()
        return self.join()

    def join(self):
        for thread in self.threads:
            thread.join()
        assert not self.faults, self.faults
        return self.submissions

    def answered(self):
        with self.lock:
            return [s for s in self.submissions if s.answer]

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def _guard(self, run, factory):
        try:
            run(factory)
        except BaseException as fault:  # a fault of the harness: the test must not pass with a thread gone
            self.faults.append(repr(fault))
            raise

    def _stream(self, factory):
        """PCS to send; every duplicate_every-th is an earlier one once more."""
        made, earlier = 0, []
        while not self.stopping.is_set() and (self.count is None or made < self.count):
            made += 1
            if self.duplicate_every and made % self.duplicate_every == 0 and earlier:
                yield factory.random.choice(earlier)
            else:
                pcs = factory.make()
                earlier.append(pcs)
                yield pcs

    def _record(self, submission):
        with self.lock:
            self.submissions.append(submission)

    def _http(self, factory):
        door = self.cluster.http(self.gateway, seconds=self.seconds)
        for pcs in self._stream(factory):
            submission = Submission(pcs, "http")
            try:
                submission.end(door.submit(pcs))
            except Exception as error:
                submission.end(error=repr(error))
                self.stopping.wait(0.05)  # a door that is down is not hammered
            self._record(submission)
            if self.pause:
                self.stopping.wait(self.pause)
        door.close()

    def _zmq(self, factory):
        door, in_flight = self.cluster.zmq(self.gateway, seconds=self.seconds), {}
        window = min(self.window, door.credit)

        def collect(until):
            while len(in_flight) > until:
                frame = door.receive(0.1)
                if frame:
                    door.take(frame)
                for identity in [i for i in door.answers if i in in_flight]:
                    submission = in_flight.pop(identity)
                    submission.end(door.answers.pop(identity).answer())
                    self._record(submission)
                limit = time.monotonic() - self.seconds * doors.SLOW
                for identity in [i for i, s in in_flight.items() if s.invoked < limit]:
                    submission = in_flight.pop(identity)
                    submission.end(error="no answer in time")
                    self._record(submission)

        for pcs in self._stream(factory):
            submission = Submission(pcs, "zmq")
            in_flight[door.post(pcs)] = submission
            collect(window - 1)
            if self.pause:
                self.stopping.wait(self.pause)
        collect(0)
        door.close()


def statuses(submissions):
    counts = {}
    for submission in submissions:
        counts[submission.status] = counts.get(submission.status, 0) + 1
    return counts


def first_answers(submissions):
    """pcs_id -> outcome; fails when one id was given two outcomes, or another than the reference predicts."""
    outcomes = {}
    for submission in submissions:
        if submission.status not in (200, 202):
            continue
        outcome = submission.answer.outcome()
        assert outcomes.setdefault(submission.id, outcome) == outcome, f"two outcomes: {submission}"
        assert outcome == doors.predicted(submission.pcs), f"wrong outcome: {submission}"
    return outcomes


def send_all(door, submissions):
    """Sends each PCS over one door and returns the new submissions, answered."""
    sent = []
    for pcs in submissions:
        submission = Submission(pcs, door.name)
        submission.end(door.submit(pcs))
        sent.append(submission)
    return sent
