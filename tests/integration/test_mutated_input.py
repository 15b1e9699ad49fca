# SPDX-License-Identifier: MIT
"""A good PCS spoiled in every way that a rule can make, at both doors (T38, T39): each is refused with the right status, the member that is wrong
is named, and nothing that was good is lost by it."""
import re
import socket
import struct

import msgpack
import pytest

from harness import doors, pcs as reference
from harness.cluster import Cluster
from harness.process import SLOW, wait_for

TEXTS = ("pcs_id", "schema", "version", "shard_id", "sent_at", "regime", "merkle_root", "sig")
NUMBERS = ("coh_star", "D_hat", "r", "budget")
COUNTS = ("epoch", "attempt", "seed")
MISTYPED = [None, True, False, 1, -1, 1.5, 2 ** 64 - 1, "", "x", "a\0b", [], [None], {}, {"a": 1}]
NOT_UTF8 = (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82")  # never, overlong, surrogate, too large, cut


@pytest.fixture(scope="module")
def cluster():
    with Cluster(workers=1, threads=2) as running:
        yield running


@pytest.fixture
def kept(cluster, seed):
    """PCS that were answered before; afterwards they have the outcomes they had, new ones are verified, and the log owes nobody."""
    factory = reference.Factory(seed, "kept")
    early = [factory.make() for _ in range(20)]
    with cluster.http() as http, cluster.zmq() as zmq:
        for pcs in early:
            assert http.submit(pcs).outcome() == doors.predicted(pcs)
        yield
        for door in (http, zmq):
            for pcs in early:
                answer = door.submit(pcs)
                assert answer.outcome() == doors.predicted(pcs) and answer.body["duplicate"], answer
            pcs = factory.make()
            assert door.submit(pcs).outcome() == doors.predicted(pcs)
    wait_for(lambda: cluster.gateway.metrics().total("flk_wal_unacked") == 0, 20, "the log owes somebody an outcome")


@pytest.fixture
def factory(seed):
    return reference.Factory(seed, "spoiled", escalate_every=0)


@pytest.fixture(params=["http", "zmq"])
def door(request, cluster, kept):
    with getattr(cluster, request.param)() as opened:
        yield opened


def encode(door, pcs):
    return reference.encode(pcs) if door.name == "http" else msgpack.packb(pcs)


def post(door, body):
    return door.post(body) if door.name == "http" else door.wait(door.post(body))


def refused(answer, status, member=None):
    assert answer.status == status and answer.body["detail"].strip() and answer.body["detail"].isascii(), answer
    named = re.split(r"[.\[]", answer.body.get("field", ""))[0]
    assert member is None or named == member, f"{member} should be named: {answer}"
    return True


# Cut after each of its bytes, a body is refused; whole it is new.
def test_cut_after_each_byte(door, factory):
    pcs = factory.make()
    body = encode(door, pcs)
    for end in range(len(body)):
        refused(post(door, body[:end]), 400)
    answer = post(door, body)
    assert answer.outcome() == doors.predicted(pcs) and not answer.body["duplicate"], answer


# Values of another type that are right in themselves; they may still not fit the id, or the signature.
ALLOWED = {**{name: lambda value: type(value) in (int, float) for name in NUMBERS},
           **{name: lambda value: type(value) is int and value == 1 for name in COUNTS},
           "shard_id": lambda value: value == "x", "sig": lambda value: value in ("", "x"), "ft": lambda value: isinstance(value, dict),
           "v_star": lambda value: value == [], "N_j": lambda value: value == {}}
OPTIONAL = ("sig", "attempt", "sent_at", "seed", "v_star", "ft", "prints")  # null says that the member is absent


# A value of every other type, in every member: refused, and that member is named.
def test_each_type_in_each_member(door, factory):
    count = 0
    for name in factory.make():
        for value in MISTYPED:
            pcs = factory.make()
            pcs[name] = value
            answer = post(door, encode(door, pcs))
            if (value is None and name in OPTIONAL) or ALLOWED.get(name, lambda _: False)(value):
                assert answer.status in (200, 202, 400, 401), (name, value, answer)
            else:
                refused(answer, 400, name)
                count += 1
    print(f"{count} wrong values")
    assert count > 200


def packed_with(pcs, name, raw):
    """The map in msgpack, with these bytes for the value of `name`."""
    return b"\xde" + struct.pack(">H", len(pcs)) + b"".join(
        msgpack.packb(key) + (raw if key == name else msgpack.packb(value)) for key, value in pcs.items())


def json_with(pcs, name, raw):
    return b"{" + b",".join(reference.encode(key) + b":" + (raw if key == name else reference.encode(value)) for key, value in pcs.items()) + b"}"


def with_raw(door, pcs, name, text):
    """A text of any bytes as the value of `name`."""
    return json_with(pcs, name, b'"' + text + b'"') if door.name == "http" else packed_with(pcs, name, b"\xd9" + bytes([len(text)]) + text)


# U+0000 and bytes that are no UTF-8, in each text, at its begin and at its end: refused.
def test_bytes_that_are_no_text(door, factory):
    for name in TEXTS:
        for spoiled in (*NOT_UTF8, b"\0"):
            for place in (0, 3):
                pcs = factory.make()
                text = pcs[name].encode()
                refused(post(door, with_raw(door, pcs, name, text[:place] + spoiled + text[place:])), 400)


# The same in a key, known or not; and each key twice, with the same value or another.
def test_spoiled_and_repeated_keys(door, factory):
    pcs = factory.make()
    for key in pcs:
        for spoiled in (*NOT_UTF8, b"\0"):
            raw, pairs = key.encode() + spoiled, factory.make().items()
            if door.name == "http":
                body = b"{" + b",".join((b'"' + raw + b'"' if name == key else reference.encode(name)) + b":" + reference.encode(value)
                                        for name, value in pairs) + b"}"
            else:
                body = b"\xde" + struct.pack(">H", len(pcs)) + b"".join(
                    (b"\xd9" + bytes([len(raw)]) + raw if name == key else msgpack.packb(name)) + msgpack.packb(value) for name, value in pairs)
            refused(post(door, body), 400)
        for second in (pcs[key], 1):
            if door.name == "http":
                body = reference.encode(pcs)[:-1] + b"," + reference.encode(key) + b":" + reference.encode(second) + b"}"
            else:
                body = b"\xde" + struct.pack(">H", len(pcs) + 1) + msgpack.packb(pcs)[3:] + msgpack.packb(key) + msgpack.packb(second)
            refused(post(door, body), 400)
    assert door.submit(pcs).body["duplicate"] is False


# Nesting passes up to 16 levels, the outermost map included, and not one deeper; arrays and maps, at either door.
def test_each_depth(door, factory):
    for depth in [*range(1, 20), 100, 10000]:
        for openers in ((b"[", b"]", b"\x91"), (b'{"a":', b"}", b"\x81\xa1a")):
            pcs = factory.make(x=None)
            value = openers[0] * depth + b"1" + openers[1] * depth if door.name == "http" else openers[2] * depth + b"\x01"
            answer = post(door, (json_with if door.name == "http" else packed_with)(pcs, "x", value))
            if depth <= 15:
                assert answer.status == 200, (depth, answer)
            else:
                refused(answer, 400)


# Any signed character is changed, and the PCS is refused: by form, by the id, or by the signature.
def test_each_signed_character(door, factory):
    for name in reference.SIGNED:
        pcs = factory.make()
        printed = reference.encode(pcs[name]).decode()
        for place, character in enumerate(printed):
            if not character.isalnum():
                continue
            other = chr(ord(character) ^ 1)
            text = printed[:place] + other + printed[place + 1:]
            if re.match(r"-?0\d", text) or not re.fullmatch(r'-?\d+(\.\d+)?(e-?\d+)?|"\w[\w-]*"', text):
                continue  # no JSON any more: another test's
            value = reference.json.loads(text)
            if value == pcs[name]:
                continue
            answer = post(door, encode(door, {**pcs, name: value}))
            assert answer.status in (400, 401), (name, text, answer)
        assert door.submit(pcs).body["duplicate"] is False


# ---- lengths ----

def walk(data, at=0):
    """Offsets and header bytes of every string, array and map of a msgpack text: (offset, header length, kind, length); ends with where it ends."""
    first = data[at]
    if first <= 0x7f or first >= 0xe0 or first in (0xc0, 0xc2, 0xc3):
        return at + 1, []
    sizes = {0xcc: 1, 0xcd: 2, 0xce: 4, 0xcf: 8, 0xd0: 1, 0xd1: 2, 0xd2: 4, 0xd3: 8, 0xca: 4, 0xcb: 8}
    if first in sizes:
        return at + 1 + sizes[first], []
    if 0xa0 <= first <= 0xbf:
        header, kind, length = 1, "text", first & 0x1f
    elif 0x80 <= first <= 0x9f:
        header, kind, length = 1, "map" if first < 0x90 else "array", first & 0x0f
    else:
        kind, width = {0xd9: ("text", 1), 0xda: ("text", 2), 0xdc: ("array", 2), 0xde: ("map", 2), 0xc4: ("bytes", 1)}[first]
        header, length = 1 + width, int.from_bytes(data[at + 1:at + 1 + width], "big")
    found, end = [(at, header, kind, length)], at + header
    if kind in ("text", "bytes"):
        return end + length, found
    for _ in range(length * (2 if kind == "map" else 1)):
        end, inner = walk(data, end)
        found += inner
    return end, found


WIDEST = {"text": b"\xdb", "array": b"\xdd", "map": b"\xdf", "bytes": b"\xc6"}


def wrong_lengths(data):
    """Every length of a msgpack text one too small, one too large, and as large as a length can be."""
    end, found = walk(data)
    assert end == len(data)
    for at, header, kind, length in found:
        for wrong in (length - 1, length + 1, 2 ** 31 - 1, 2 ** 32 - 1):
            if wrong >= 0:
                yield data[:at] + WIDEST[kind] + struct.pack(">I", wrong) + data[at + header:]


# Every length in a msgpack body off by one, or huge: refused at once, for any length announced.
def test_wrong_lengths_in_a_body(cluster, kept, factory):
    with cluster.zmq() as zmq:
        body = msgpack.packb(factory.make())
        spoiled = list(wrong_lengths(body))
        for one in spoiled:
            refused(zmq.wait(zmq.post(one)), 400)
        print(f"{len(spoiled)} wrong lengths")


def malformed(cluster):
    page = cluster.gateway.metrics()
    return sum(value for (name, _), value in page.samples.items()
               if page.type.get(name) == "counter" and ("malformed" in name or "unknown" in name))


# The header of a frame cut after each of its bytes, or with any length off by one, or huge: each is counted, once, and answered by nobody.
def test_spoiled_frame_headers(cluster, kept, factory):
    headers = [doors.pack(doors.SUBMIT, bytes(range(16))), doors.pack(doors.HELLO, bytes(range(16)), "agent-7"),
               doors.pack(doors.PING, bytes(range(16)), b"y" * 32)]
    spoiled = [header[:end] for header in headers for end in range(len(header))]
    spoiled += [one for header in headers for one in wrong_lengths(header)]
    with cluster.zmq() as zmq:
        before = malformed(cluster)
        for one in spoiled:
            zmq.send(one, b"\x80")
        wait_for(lambda: malformed(cluster) >= before + len(spoiled), 20, lambda: f"{malformed(cluster) - before} of {len(spoiled)} are counted")
        assert zmq.submit(factory.make()).status == 200 and not zmq.answers
        assert malformed(cluster) == before + len(spoiled)


def http_head(body, length):
    return (b"POST /v1/pcs/submit HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % length) + body


def responses(cluster, data):
    """The statuses of all responses on a connection that says `data` and no more."""
    got = b""
    with socket.create_connection(cluster.gateway.http, 20 * SLOW) as sock:
        try:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            while piece := sock.recv(65536):
                got += piece
        except ConnectionError:
            pass
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", got)]


# A Content-Length that is one less, one more, nothing, or huge: a body that was cut or is not all there is refused, and
# the text behind it a cut body is no request.
def test_wrong_content_lengths(cluster, kept, factory):
    for pcs in (factory.make() for _ in range(3)):
        body = reference.encode(pcs)
        for wrong in (0, 1, len(body) - 1, len(body) + 1, 2 ** 20, 2 ** 20 + 1, 2 ** 31, 2 ** 32 + len(body), 2 ** 63, 2 ** 64 + len(body)):
            statuses = responses(cluster, http_head(body, wrong))
            assert all(status in (400, 413) for status in statuses) and len(statuses) <= 2, (wrong, statuses)
        assert responses(cluster, http_head(body, len(body))) == [200]


# The head cut after each of its bytes; and each byte of it left out, or replaced by those that end lines, end texts, or are none: at most one
# answer where the length is right (with another one, or none, the text behind the body is a request, and refused), and
# 200 only where it is read as the same request: another Host, more space where there may be some, and the byte behind
# the request line's CR, which civetweb writes over before we see it.
def test_each_byte_of_the_head(cluster, kept, factory):
    body = reference.encode(factory.make())
    whole = http_head(body, len(body))
    size = len(whole) - len(body)
    assert not any(200 in responses(cluster, whole[:end]) for end in range(size))
    host, line, length = whole.index(b"gateway"), whole.index(b"\r\n"), whole.index(b"Content-Length")
    for place in range(size):
        around = whole[place - 1:place + 1]
        same = host <= place < host + 7 or b" " in around or around[:1] == b":" or place == line + 1
        for other in (b"\0", b"\r", b"\n", b" ", b"\t", b":", b"\x80", b""):
            if other == whole[place:place + 1]:
                continue
            statuses = responses(cluster, whole[:place] + other + whole[place + 1:])
            assert len(statuses) <= 1 or length - 1 <= place < size - 4 and statuses == [400, 400], (place, other, statuses)
            assert all(400 <= status < 500 or status in (501, 505) or status == 200 and same for status in statuses), (place, other, statuses)
