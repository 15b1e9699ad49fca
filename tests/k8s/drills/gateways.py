# SPDX-License-Identifier: MIT
import re
import tempfile

from harness.pcs import Factory, encode
from kit.hosts import NODE
from kit.kubectl import k
from kit.stage import SPACE, stage

ABOUT = "gateways 2, 1, 2, 1 under load; the one that goes leaves records without an outcome, which the upgrade's hook hands over"
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


def leave_records(row, made, pcs):
    """Puts them into gateway-1's log alone, and ends it: no worker has seen them, and the brokers that queued them are gone."""
    made.upgrade({"worker": {"replicas": 0}})
    said = submit(f"{made.pod('flk-gateway-1')['status']['podIP']}:8080", [encode(each) for each in pcs])
    row.check(said == ["503"] * len(pcs), f"without a worker: {said}")
    row.check(made.unacked("flk-gateway-1") == len(pcs), f"un-acked {made.unacked('flk-gateway-1')}")
    made.upgrade({"gateway": {"replicas": 1, "handover": {"enabled": False}}})
    k("-n", SPACE, "delete", "pod", "-l", "app.kubernetes.io/component=broker", "--force", "--grace-period=0")
    made.ready()
    made.upgrade({"worker": {"replicas": 2}})


def run(row):
    factory = Factory(14, "gateways")
    pcs = [factory.make() for _ in range(RECORDS)]

    def outcomes():
        return int(made.redis("EXISTS", *(f"flk:{each['pcs_id']}" for each in pcs)))
    with stage(row) as made:
        leave_records(row, made, pcs)
        with made.load():
            row.check(outcomes() == 0, f"{outcomes()} have an outcome before the hook ran")
            _, took = made.upgrade({"gateway": {"handover": {"enabled": True}}})
            row.check(outcomes() == RECORDS, f"the hook left {RECORDS - outcomes()} of {RECORDS} without an outcome")
            row.note(f"the hook answered {outcomes()} of {RECORDS} records that gateway-1 had left; the upgrade took {took:.0f} s")
            made.upgrade({"gateway": {"replicas": 2}})
            opened = re.search(r"inbox_open .*unacked=(\d+)", k("-n", SPACE, "logs", "flk-gateway-1"))
            row.check(opened and opened.group(1) == "0", f"gateway-1 came back to un-acked records: {opened and opened.group()}")
            made.upgrade({"gateway": {"replicas": 1}})
