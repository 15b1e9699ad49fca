# SPDX-License-Identifier: MIT
import re
import tempfile

from harness.pcs import Factory, encode
from kit.hosts import NODE
from kit.kubectl import k
from kit.place import until
from kit.stage import SPACE, stage

ABOUT = "gateways 2, 1, 2 with records that have no outcome in the log of the one that goes"
RECORDS = 14


def submit(address, bodies):
    """Statuses of all, sent at once."""
    with tempfile.TemporaryDirectory() as place:
        for number, body in enumerate(bodies):
            with open(f"{place}/{number}", "wb") as file:
                file.write(body)
        script = ('for file in "$1"/*; do curl -s -m 20 -o /dev/null -w "%{http_code}\\n" -H "Content-Type: application/json" '
                  '--data-binary "@$file" "$2" & done; wait')
        return NODE["node-1"].run("sh", "-c", script, "sh", place, f"http://{address}/v1/pcs/submit").split()


def unacked(made, name):
    page = made.page(made.pod(name)["status"]["podIP"], 8080)
    return int(float(re.search(r"^flk_wal_unacked (\S+)", page, re.M).group(1)))


def workers(made, count):
    k("-n", SPACE, "scale", "deployment/flk-worker", f"--replicas={count}")
    made.ready()


def run(row):
    factory = Factory(14, "gateways")
    with stage(row) as made:
        workers(made, 0)
        bodies = [encode(factory.make()) for _ in range(RECORDS)]
        said = submit(f"{made.pod('flk-gateway-1')['status']['podIP']}:8080", bodies)
        row.check(said == ["503"] * RECORDS, f"without a worker: {said}")
        row.check(unacked(made, "flk-gateway-1") == RECORDS, f"un-acked {unacked(made, 'flk-gateway-1')}")
        k("-n", SPACE, "scale", "statefulset/flk-gateway", "--replicas=1")
        made.ready()
        workers(made, 2)
        after_one = int(made.redis("DBSIZE"))
        k("-n", SPACE, "scale", "statefulset/flk-gateway", "--replicas=2")
        made.ready()
        until("every record has its outcome", 60, lambda: int(made.redis("DBSIZE")) >= RECORDS)
        until("no log waits", 30, lambda: unacked(made, "flk-gateway-0") + unacked(made, "flk-gateway-1") == 0)
        row.note(f"{RECORDS} records un-acked; {after_one} had an outcome with one gateway, all with two")
        # Each is a duplicate now: nobody sent them again.
        with made.load(after=2):
            pass
