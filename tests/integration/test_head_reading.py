# SPDX-License-Identifier: MIT
"""The guard's reading of request heads beside that of Python's h11, an HTTP parser of other people: over a corpus and its mutations both
see one request with one length, or the guard refuses it."""
import random
import struct
import subprocess

import h11

from harness.process import BIN_DIR, SEED, sized

READER = BIN_DIR.parent / "fuzz" / "head_reader"
MUTATIONS = sized(30000, 1000000)

LINES = [b"GET /healthz HTTP/1.1", b"POST /v1/pcs/submit HTTP/1.1", b"GET / HTTP/1.0", b"HEAD http://x:80/a?b HTTP/1.1", b"OPTIONS * HTTP/1.1",
         b"GET /a%00/../b;c?d#e HTTP/1.1", b"TRACE /\x80 HTTP/1.1", b"GET  / HTTP/1.1", b"GET / HTTP/1.1 ", b"G(T / HTTP/1.1", b"GET / http/1.1",
         b"GET / HTTP/2.0", b"GET / HTTP/1.7", b"GET /", b"CONNECT x:1 HTTP/1.1", b"GET /a b HTTP/1.1", b"GET\t/ HTTP/1.1"]
FIELDS = [b"Host: x", b"Host: x:80", b"Host:", b"Host: a b", b"Content-Length: 5", b"Content-Length: 0", b"Content-Length: 05", b"Content-Length: +5",
          b"Content-Length: 5, 5", b"Content-Length: 5,6", b"Content-Length:\t5 ", b"Content-Length : 5", b"Content-Length: 99999999999999999999",
          b"Content-Length: \xb2", b"Content-Length:", b"Content-Length: 1_0", b"Transfer-Encoding: chunked", b"Transfer-Encoding:\tChunked ",
          b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: chunked, identity", b"Transfer-Encoding: xchunked", b"Transfer-Encoding: identity",
          b"Transfer-Encoding:\x0bchunked", b"transfer-encoding: CHUNKED", b"Connection: close", b"Connection: keep-alive, Content-Length",
          b"Expect: 100-continue", b"X: a", b"X: a\r\n b", b" X: a", b"X:", b"X : a", b"X", b": a", b"X: \x00", b"X: \x7f", b"X: a\rb", b"X: \x80\xff",
          b"\x80: a", b"X\x00: a", b"A" * 200 + b": b"]
PLAIN = [b"Content-Length: 5", b"Content-Length:\t5 ", b"Content-Length: 99999999999999999999", b"transfer-encoding: CHUNKED", b"X: a", b"X:",
         b"X: \x80\xff", b"Connection: close", b"Expect: 100-continue"]
ENDS = [b"\r\n"] * 12 + [b"\n", b"\r", b"\r\r\n", b"\n\r\n", b" \r\n", b"\t\r\n", b"\x00\r\n"]
FRONTS = [b""] * 12 + [b"\r\n", b"\r\n\r\n", b"\n", b" ", b"\t", b"\x0b", b"\x00"]
BYTES = [b"\r", b"\n", b"\r\n", b"\x00", b" ", b"\t", b":", b",", b"\x0b", b"\x0c", b"\x85", b"\xa0", b"\xff", b";", b"?", b"#", b"%", b"/", b"..", b"5", b"HTTP/1.1"]


def some(pick, pieces, plain):
    """Mostly one of the first `plain` pieces, so that a head has few faults at once."""
    return pick.choice(pieces[:plain] if pick.random() < 0.9 else pieces)


def generate(pick):
    data = some(pick, FRONTS, 1) + some(pick, LINES, 6) + some(pick, ENDS, 1) + some(pick, FIELDS, 2) + some(pick, ENDS, 1)
    for _ in range(pick.randrange(4)):
        data += some(pick, PLAIN, len(PLAIN)) if pick.random() < 0.7 else pick.choice(FIELDS)
        data += some(pick, ENDS, 1)
    data += some(pick, ENDS, 1) + pick.choice([b"", b"hello", b"0\r\n\r\n", b"GET /second HTTP/1.1\r\nHost: x\r\n\r\n"])
    for _ in range(pick.choice([0, 0, 0, 1, 1, 2])):
        at = pick.randrange(len(data) + 1)
        data = data[:at] + pick.choice(BYTES) + data[at + pick.randrange(2):]
    return data


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


# A head that the guard takes h11 takes, too, with the same method, target, framing and end; whatever h11 reads otherwise, or not at all, the
# guard refuses.
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


# What is known to be a request is one: the guard does not refuse everything.
def test_plain_requests_are_taken():
    plain = [line + b"\r\nHost: x\r\n" + fields + b"\r\n" for line in LINES[:3]
             for fields in (b"", b"Content-Length: 5\r\n", b"X: \x80\xff\r\n", b"Connection: close\r\n")]
    assert all(mine[0] in (b"GET", b"POST") for mine in ours(plain))
    assert all(theirs(data) for data in plain)
