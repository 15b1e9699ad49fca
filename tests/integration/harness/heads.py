# SPDX-License-Identifier: MIT
"""Request heads with few faults each, made of the pieces on which HTTP parsers differ."""

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
