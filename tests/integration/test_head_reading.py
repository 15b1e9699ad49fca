# SPDX-License-Identifier: MIT
"""The guard's reading of request heads beside that of Python's h11, an HTTP parser of other people: over a corpus and its mutations both
see one request with one length, or the guard refuses it."""
import random
import struct
import subprocess

import h11

from harness.heads import LINES, generate
from harness.process import BIN_DIR, SEED, sized

READER = BIN_DIR.parent / "fuzz" / "head_reader"
MUTATIONS = sized(30000, 1000000)


def ours(inputs):
    feed = b"".join(struct.pack(">I", len(data)) + data for data in inputs)
    lines = subprocess.run([str(READER)], input=feed, capture_output=True, check=True, timeout=600).stdout.split(b"\n")
    assert lines.pop() == b"" and len(lines) == len(inputs)
    return [line.split(b"\t") for line in lines]


def theirs(data):
    """(method, target, version, chunked, length, bytes of the head), None: refused or not complete."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    try:
        event = connection.next_event()
    except h11.RemoteProtocolError:
        return None
    if not isinstance(event, h11.Request):
        return None
    encodings = [value for name, value in event.headers if name == b"transfer-encoding"]
    lengths = [int(value) for name, value in event.headers if name == b"content-length"]
    length = 0 if encodings else lengths[0] if lengths else 0
    return event.method, event.target, event.http_version, bool(encodings), length, len(data) - len(connection.trailing_data[0])


def path_of(target):
    for scheme in (b"http://", b"https://"):
        if target.lower().startswith(scheme):
            rest = target[len(scheme):]
            at = min([rest.find(mark) for mark in b"/?#" if rest.find(mark) >= 0] or [len(rest)])
            return rest[at:] or b"/"
    return target


# A head that the guard takes h11 takes, too, with the same method, target, framing and end; a head that h11 reads
# otherwise, or not at all, the guard refuses.
def test_both_read_the_same():
    pick = random.Random(SEED)
    inputs = [generate(pick) for _ in range(MUTATIONS)]
    taken = 0
    for data, mine in zip(inputs, ours(inputs)):
        if mine[0] in (b"more", b"refused"):
            continue
        taken += 1
        other = theirs(data)
        assert other is not None, (data, mine)
        method, path, old, chunked, length, size = mine
        assert (method, path) == (other[0], path_of(other[1])), (data, mine, other)
        assert (old == b"1") == (other[2] == b"1.0") and (chunked == b"1") == other[3], (data, mine, other)
        assert int(length) == min(other[4], 2**64 - 1) and int(size) == other[5], (data, mine, other)
    print(f"{taken} of {len(inputs)} heads were taken")
    assert taken > len(inputs) // 10


# A known request is one: the guard does not refuse everything.
def test_plain_requests_are_taken():
    plain = [line + b"\r\nHost: x\r\n" + fields + b"\r\n" for line in LINES[:3]
             for fields in (b"", b"Content-Length: 5\r\n", b"X: \x80\xff\r\n", b"Connection: close\r\n")]
    assert all(mine[0] in (b"GET", b"POST") for mine in ours(plain))
    assert all(theirs(data) for data in plain)
