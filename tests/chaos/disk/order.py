# SPDX-License-Identifier: MIT
"""In which order the journal's calls came: no answer before its sync, no sync after a failed one, no use of an unnamed segment."""
import re

from kit.judge import Operations

PCS_ID = re.compile(rb'pcs_id(?:"\s*:\s*"|\xd9\x40)([0-9a-f]{64})')
SEGMENT = re.compile(r"(?:.*/)?wal-[0-9a-f]{16}\.seg$")
HEADER_BYTES = 88


class Order:
    def __init__(self):
        self.written = {}       # id -> [(inode, ended)], a record each
        self.syncs = {}         # inode -> [(began, ended)]
        self.segments = 0
        self.violations = []
        self._failed, self._unnamed = set(), set()

    def follow(self, entry):
        if entry.call == "open":  # a new file, perhaps under the number of one that is gone
            self._failed = {one for one in self._failed if one[1] != entry.inode}
        elif entry.call == "pwritev":
            self._write(entry)
        elif entry.call in ("fdatasync", "fsync"):
            self._sync(entry)
        elif entry.call == "rename" and SEGMENT.match(entry.other) and not entry.name.endswith("rewrite.tmp"):
            self.segments += 1
            self._unnamed.add(entry.other)

    def _write(self, entry):
        if entry.name in self._unnamed and entry.offset >= HEADER_BYTES:
            self.violations.append(f"{entry.name} is used at {entry.began}, and its name is not synced")
        for match in PCS_ID.finditer(entry.data):
            self.written.setdefault(match.group(1).decode(), []).append((entry.inode, entry.ended))

    def _sync(self, entry):
        one = (entry.offset, entry.inode)  # a later process reads the file anew before it trusts it
        if one in self._failed:
            self.violations.append(f"{entry.name} is synced at {entry.began}, after a sync of it had failed")
        if entry.failed:
            self._failed.add(one)
        elif entry.call == "fsync":
            self._unnamed.clear()  # only directories get an fsync
        else:
            self.syncs.setdefault(entry.inode, []).append((entry.began, entry.ended))

    def durable(self, name):
        """When each record of the id had become durable, in order; those that never did are left out."""
        return sorted(ended for ended in (self._synced(inode, written) for inode, written in self.written.get(name, ())) if ended)

    def _synced(self, inode, written):
        return min((ended for began, ended in self.syncs.get(inode, ()) if began >= written), default=None)


def audit(entries, history, began):
    """The ledger's "syscalls": {replied, violations}. `began`: the recorder's zero, seconds of the monotonic clock."""
    order = Order()
    for entry in entries:
        order.follow(entry)
    replied, answers = set(), {}
    for operation in Operations(history).ok:
        answers.setdefault(operation["id"], []).append(int((began + operation["returned"]) * 1e9))
    for name, told in answers.items():
        durable = order.durable(name)
        if durable:
            replied.add(name)
        for number, instant in enumerate(sorted(told)):
            if number >= len(durable) or durable[number] > instant:
                order.violations.append(f"{name}: answer {number + 1} at {instant}, durable at {durable[number:number + 1]}")
    return dict(replied=sorted(replied), violations=order.violations), order
