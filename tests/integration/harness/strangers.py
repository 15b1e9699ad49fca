# SPDX-License-Identifier: MIT
"""Bytes that a stranger says first at a port of ZeroMQ's: other protocols, other mechanisms, cut and overlong handshakes."""
import struct

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00"


def greeting(mechanism, version=b"\x03\x00", as_server=0):
    return GREETING[:10] + version + mechanism.ljust(20, b"\0") + bytes([as_server]) + bytes(31)


def command(name, body, length=None):
    data = bytes([len(name)]) + name + body
    return b"\x06" + struct.pack(">Q", len(data) if length is None else length) + data


def corpora(rng):
    """name -> the first bytes of a stranger"""
    hello = b"\x01\x00" + bytes(72)
    return {
        "nothing": b"",
        "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "tls": bytes.fromhex("16030100c8010000c40303") + rng.randbytes(190),
        "zmtp 1": b"\x01\x00\x05\x00HELLO",
        "zmtp 2": b"\xff" + bytes(8) + b"\x7f\x01\x05\x00\x00",
        "zmtp 9": greeting(b"CURVE", b"\x09\x09"),
        "null": greeting(b"NULL") + command(b"READY", b""),
        "plain": greeting(b"PLAIN") + command(b"HELLO", b"\x05admin\x06secret"),
        "gssapi": greeting(b"GSSAPI"),
        "nonsense mechanism": greeting(b"\xff" * 20),
        "also a server": greeting(b"CURVE", as_server=1),
        "greeting alone": greeting(b"CURVE"),
        "greeting cut": greeting(b"CURVE")[: rng.randrange(1, 64)],
        "hello, zero key": greeting(b"CURVE") + command(b"HELLO", hello + bytes(80 + 8 + 32)),
        "hello, random key": greeting(b"CURVE") + command(b"HELLO", hello + rng.randbytes(32 + 8 + 80)),
        "hello, low order": greeting(b"CURVE") + command(b"HELLO", hello + b"\x01" + bytes(31) + rng.randbytes(88)),
        "hello, too short": greeting(b"CURVE") + command(b"HELLO", b"\x01\x00"),
        "hello, too long": greeting(b"CURVE") + command(b"HELLO", bytes(60000)),
        "initiate first": greeting(b"CURVE") + command(b"INITIATE", rng.randbytes(300)),
        "message first": greeting(b"CURVE") + command(b"MESSAGE", rng.randbytes(100)),
        "error first": greeting(b"CURVE") + command(b"ERROR", b"\x03400"),
        "2^63 bytes": greeting(b"CURVE") + b"\x06" + struct.pack(">Q", 1 << 63),
        "2^64-1 bytes": greeting(b"CURVE") + b"\x02" + struct.pack(">Q", (1 << 64) - 1),
        "2^40 bytes": greeting(b"CURVE") + b"\x06" + struct.pack(">Q", 1 << 40) + rng.randbytes(5000),
        "empty command": greeting(b"CURVE") + b"\x04\x00",
        "unknown flags": greeting(b"CURVE") + b"\xf8" + rng.randbytes(40),
        "random": rng.randbytes(rng.randrange(1, 2000)),
        "greeting, random": greeting(b"CURVE") + rng.randbytes(rng.randrange(1, 2000)),
    }


def address_of(endpoint):
    host, port = endpoint[len("tcp://"):].rsplit(":", 1)
    return host, int(port)
