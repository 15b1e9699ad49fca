# SPDX-License-Identifier: MIT
"""Reads an strace log of the gateway: did each reply come after its record's write and a successful fdatasync?

strace -f serialises its lines: the order of the lines is the order of entries and returns.
"""
import re

STRACE = ["strace", "-f", "-yy", "-s", "8388608", "-e", "signal=none", "-e",
          "trace=write,pwrite64,writev,pwritev,pwritev2,fdatasync,fsync,send,sendto,sendmsg", "-o"]
WRITES = {"write", "pwrite64", "writev", "pwritev", "pwritev2"}
SENDS = {"write", "writev", "send", "sendto", "sendmsg"}
CALL = re.compile(r"^(\d+)\s+(\w+)\((\d+)<(.*?)>[,)](.*)$|^(\d+)\s+(\w+)\((\d+)<(.*?)>( <unfinished \.\.\.>)$")
RESUMED = re.compile(r"^(\d+)\s+<\.\.\. (\w+) resumed>(.*)$")
RESULT = re.compile(r"\)?\s+= (-?\d+)(?: .*)?$")
HEX = re.compile(r"[0-9a-f]{64,}")


class Call:
    """One system call: the lines at which it began and returned, its descriptor as strace names it, its text, its result."""

    __slots__ = ("name", "target", "text", "began", "ended", "result")

    def __init__(self, name, target, text, began):
        self.name, self.target, self.text, self.began = name, target, text, began
        self.ended = self.result = None


def parse(lines):
    calls, open_calls = [], {}
    for number, line in enumerate(lines):
        resumed = RESUMED.match(line)
        if resumed:
            thread, name, rest = resumed.groups()
            call = open_calls.pop(thread, None)
            if call and call.name == name:
                call.text += rest
                call.ended = number
                result = RESULT.search(rest)
                call.result = int(result.group(1)) if result else None
            continue
        match = CALL.match(line)
        if not match:
            continue
        thread, name, _, target, rest = match.groups()[:5] if match.group(1) else match.groups()[5:]
        call = Call(name, target, rest, number)
        calls.append(call)
        if rest.endswith("<unfinished ...>"):
            open_calls[thread] = call
        else:
            result = RESULT.search(rest)
            call.ended, call.result = number, int(result.group(1)) if result else None
    return calls


def ids_in(text, ids):
    for run in HEX.findall(text):
        for at in range(len(run) - 63):
            if run[at:at + 64] in ids:
                yield run[at:at + 64]


def audit(lines, ids, log_directory, door_ports):
    """Returns (ids with a reply, violations). A reply is a send on a socket of a door that carries the id."""
    written = {}   # id -> [(file, line at which the write had returned)]
    synced = {}    # file -> [(began, ended)] of successful syncs
    replied = {}   # id -> line at which its first reply began
    for call in parse(lines):
        if call.name in WRITES and call.target.startswith(log_directory) and (call.result or 0) > 0:
            for pcs_id in ids_in(call.text, ids):
                written.setdefault(pcs_id, []).append((call.target, call.ended))
        elif call.name in ("fdatasync", "fsync") and call.result == 0:
            synced.setdefault(call.target, []).append((call.began, call.ended))
        elif call.name in SENDS and any(f":{port}->" in call.target for port in door_ports):
            for pcs_id in ids_in(call.text, ids):
                replied.setdefault(pcs_id, call.began)
    violations = []
    for pcs_id, reply in replied.items():
        if pcs_id not in written:
            violations.append(f"{pcs_id}: answered at line {reply + 1}, never written to the log")
        elif not any(write < began and ended < reply for file, write in written[pcs_id]
                     for began, ended in synced.get(file, [])):
            violations.append(f"{pcs_id}: answered at line {reply + 1}, written at {written[pcs_id]}, no sync between")
    return set(replied), violations
