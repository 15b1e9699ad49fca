# SPDX-License-Identifier: MIT
"""flk-follow beside a gateway of a cluster, and a reader of its feed that goes on through everything."""
import http.client
import json
import threading
import time

from .cluster import Daemon
from .process import SLOW, free_port, run, wait_for

PATH = "/v1/feed"
NDJSON, CLOUDEVENTS = "application/x-ndjson", "application/cloudevents-batch+json"


class Follow(Daemon):
    def __init__(self, cluster, number=0, **env):
        self.data_dir, admin = cluster.gateways[number].env["FLK_DATA_DIR"], ("127.0.0.1", free_port())
        super().__init__(f"follow-{number}", "flk-follow", {"FLK_DATA_DIR": self.data_dir, "FLK_FOLLOW_LISTEN": "%s:%d" % admin, **env},
                         cluster.directory, admin)

    def feed(self, query="", accept=None, **headers):
        return self.get(f"{PATH}{query}", **({"Accept": accept} if accept else {}), **headers)

    def all(self, after=0, **parameters):
        """Every event behind `after`, page by page."""
        events, query = [], "".join(f"&{name}={value}" for name, value in parameters.items())
        while True:
            page = self.feed(f"?after={after}{query}")
            assert page.status == 200, page
            if not page.body and int(page.headers["flk-after"]) == after:
                return events
            events, after = events + page.body, int(page.headers["flk-after"])

    def records(self):
        """The log by flk-replay, an independent reader."""
        done = run("flk-replay", "list", "--json", "--dir", f"{self.data_dir}/inbox", seconds=60)
        assert done.returncode == 0, done
        return [json.loads(line) for line in done.stdout.splitlines()]

    def of_the_log(self):
        """The same as `all`, of that reader: record's LSN -> how it was answered. When each record has its ack in the log: acks come late."""
        records = wait_for(lambda: (lambda told: told and all(record["acked"] for record in told) and told)(self.records()), 20,
                           "every record has an ack")
        return {record["lsn"]: (record["status"], record["pcs_id"], {flag for flag in ("duplicate", "conflict", "dead_letter") if record[flag]})
                for record in records}


def answers(events):
    """As Follow.of_the_log; each record has one event, and events come in the order of their LSNs."""
    lsns = [event["lsn"] for event in events]
    assert lsns == sorted(set(lsns)), "out of order, or twice"
    told = {event["record_lsn"]: (event["status"], event["pcs_id"], set(event["flags"])) for event in events}
    assert len(told) == len(events), "a record has two events"
    return told


class Reader(threading.Thread):
    """Reads the feed by long polls, wherever it is interrupted."""

    def __init__(self, follow, limit=100):
        super().__init__(daemon=True)
        self.follow, self.limit, self.events, self.after, self.ends, self.faults = follow, limit, [], 0, threading.Event(), []

    def turn(self):
        page = self.follow.feed(f"?after={self.after}&limit={self.limit}&wait=1", Accept=NDJSON)
        if page.status == 200:
            self.events, self.after = self.events + page.body, int(page.headers["flk-after"])
        elif page.status != 503:
            self.faults.append(page)

    def run(self):
        while not self.ends.is_set():
            try:
                self.turn()
            except (OSError, http.client.HTTPException):
                time.sleep(0.02)  # flk-follow is being started again

    def wait_for(self, count, seconds):
        end = time.monotonic() + seconds * SLOW
        while len(self.events) < count and time.monotonic() < end and not self.faults:
            time.sleep(0.02)
        self.ends.set()
        self.join(10 * SLOW)
        assert not self.faults, self.faults
        return self.events
