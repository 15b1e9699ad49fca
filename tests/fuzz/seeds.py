# SPDX-License-Identifier: MIT
"""Writes the seeds of every fuzz target, a directory each: python3 seeds.py DIRECTORY

They are made from the vectors and from the words that the parsers know, so that none of them is a file of bytes in the tree.
"""
import json
import pathlib
import struct
import sys

import msgpack

HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE.parent / "data"


def pcs_cases():
    cases = json.loads((DATA / "vectors" / "verdicts.json").read_text())["cases"]
    return [case["pcs"] for case in cases[::40]]


def bent(pcs):
    """The same PCS with one member at a time absent, of another type, or at a limit."""
    for name in pcs:
        yield {key: value for key, value in pcs.items() if key != name}
        yield {**pcs, name: [None, {"a": [1e-9, True]}]}
    yield {**pcs, "epoch": 2**53}
    yield {**pcs, "version": "1.0"}
    yield {**pcs, "unknown": {"deep": [[[[["\u00e9\U0001f600"]]]]]}}


def pcs_json():
    for pcs in pcs_cases():
        yield json.dumps(pcs).encode()
    for pcs in bent(pcs_cases()[0]):
        yield json.dumps(pcs, separators=(",", ":")).encode()
    yield from (b'{"a":1,"a":2}', b'{"a":1e999}', b'{"a":NaN}', b"[" * 20 + b"]" * 20, b'"\xed\xa0\x80"', b"{} {}", b"\xef\xbb\xbf{}")


def pcs_msgpack():
    for pcs in pcs_cases():
        yield msgpack.packb(pcs)
    for pcs in bent(pcs_cases()[0]):
        yield msgpack.packb(pcs)
    yield b"\xdf\xff\xff\xff\xff"
    yield msgpack.packb({"a": msgpack.ExtType(1, b"x")})


def frame():
    instance, number = bytes(range(16)), 7
    for kind, fields in {1: ["gateway-1"], 2: [32768, 1000], 3: [64, "worker-1"], 4: [], 5: [number, 1], 6: [number, 202, 3],
                         7: [number, 1000, "store down"], 8: [1000, "queue full by count"], 9: [instance * 2], 10: [True], 11: [],
                         99: []}.items():
        yield b"\x00" + msgpack.packb([1, kind, instance, *fields])
    outcome = {"pcs_id": "ab" * 32, "status": 202, "reasons": ["regime_mismatch"], "regime": "mixed", "D_hat": 1.5, "budget": 0.5,
               "budget_claimed": 0.4, "policy_version": "default-1", "origin": instance, "digest": bytes(32)}
    yield b"\x01" + msgpack.packb(outcome)
    yield b"\x02" + msgpack.packb({"field": "epoch", "detail": "must be an integer"})


def settings():
    for program in range(6):
        yield from (bytes([program]) + lines for lines in environments())


def environments():
    yield b"FLK_HTTP_LISTEN=127.0.0.1:8080\nFLK_REQUEST_TIMEOUT_MS=5000\nFLK_FRONTENDS=tcp://10.0.0.1:5555,ipc:///tmp/x\n"
    yield b"FLK_WORKER_THREADS=2147483648\nFLK_LOG_LEVEL=loud\nFLK_NO_SUCH=1\n"
    yield b"\x00value\n\x05value\n\x07\xff\n"


def policy():
    full = {"version": "p-1", "tolD": 0.15, "tolCoh": 0.05, "tolBudget": 0.01, "alpha": 0.3, "beta": 0.5, "gamma": 0.2, "base": 0.1,
            "D0": 2.2, "dedup_ttl_s": 1209600}
    yield json.dumps(full).encode()
    yield b'{"version":"x"}'
    for name in full:
        yield json.dumps({**full, name: -1}).encode()
        yield json.dumps({**full, name: 1e300}).encode()
    yield json.dumps({**full, "median": "upper", "stickyCoh": 0.6, "escalate": [{"name": "x", "when": [[["r", "<", 0.5]]]}],
                      "shards": [{"shard": "lab-*", "tolD": 0.3}]}).encode()
    yield (HERE.parent.parent / "compose" / "default.flk").read_bytes()
    for statement in ("tolerance D_hat 0.3", "median upper", "keep 1.5 hours", "escalate \"x\" when scale_count < 4 and r > 0.95 or not degraded",
                      "for shard \"lab-*\" { tolerance budget 0 escalate \"y\" when budget == 0.5 }", "budget = 0.1 + 0.2 * (1 - r)",
                      "regime sticky when coh_star >= 0.8 and D_hat <= 1 regime non_sticky when D_hat >= 2 regime mixed otherwise",
                      "escalate \"z\" when D_hat <= -1.5 and residual_spread > 2"):
        yield f"policy \"v\" {statement} # end".encode()


def keyring():
    hmac = {"id": "2026-11", "alg": "hmac", "key": "a long enough text", "not_before": "2026-11-01T00:00:00Z", "not_after": "2027-05-01T00:00:00Z"}
    ed25519 = {"id": "berlin-1", "alg": "ed25519", "public_key": "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="}  # RFC 8032, 7.1
    yield json.dumps({"keys": [hmac, ed25519]}).encode()
    for name in hmac:
        yield json.dumps({"keys": [{**hmac, name: "2026-02-30T25:00:00Z"}]}).encode()
        yield json.dumps({"keys": [{key: value for key, value in hmac.items() if key != name}]}).encode()
    yield json.dumps({"keys": [hmac, hmac]}).encode()
    yield b'{"keys": []}'


def csv():
    events = (DATA / "earthquakes.csv").read_bytes().splitlines(keepends=True)
    for mode in (0, 2, 4, 6):
        yield bytes([mode]) + b"".join(events[:8])
    yield b'\x02a,b,"c ""d"" e"\r\n1,,"x\ny"\r\n"unclosed'
    yield b'\x02\xef\xbb\xbf"a",b,a\n,,\n1,2,3\r\n'


def ndjson():
    for mode in range(4):
        yield bytes([mode]) + b'{"a": 1, "b": 2.5, "time": "2026-01-01T00:00:00Z"}\n{"a": null}\n[1]\n'
    yield b'\x01\xef\xbb\xbf{"a":1e3,"o":{"p":["}",NaN,18446744073709551615]},"\\u0061":2}'
    yield b'\x01{"a":-0.0,"s":"\xe9\\ud83d\\ude00"}'


def wal():
    segment = bytes([1, 1, 0, 0])  # number + 1, first LSN 1, durable 0, not sparse
    record = lambda lsn, unsynced, size: bytes([4, lsn, unsynced, size])
    ack = lambda lsn, unsynced, of: bytes([3, lsn, unsynced, of])
    whole = segment + record(1, 1, 20) + record(2, 1, 0) + ack(3, 1, 1) + b"\x00"
    following = bytes([1, 4, 3, 0]) + record(4, 1, 200) + record(5, 2, 9)
    yield whole + following
    yield whole + following + bytes([1, 30]) + bytes(range(1, 31))  # a torn tail
    yield segment + record(1, 1, 20) + record(2, 1, 30) + record(3, 1, 30) + bytes([2, 0, 170, 255])  # damage in the middle
    yield whole + bytes([2, 9, 8, 0]) + record(9, 1, 1)  # a segment is missing
    yield bytes([1, 1, 9, 1, 10, 2]) + record(2, 1, 5) + record(7, 1, 5) + b"\x00" + bytes([1, 10, 9, 0]) + record(10, 1, 1)  # sparse
    yield segment + record(250, 1, 1)
    items = record(2, 1, 0) + record(3, 1, 9) + ack(4, 1, 1)
    lost = bytes([4, 2, 0, 0]) + items + bytes([2, 0, 0, 255, 0])  # between two that begin at 1: all of it is void
    yield whole + lost + bytes([4, 1, 0, 0]) + record(1, 1, 20) + items


def outcome():
    numbers = struct.pack(">3d", 1.5, 0.5, 0.25)
    for layout, digests in ((1, 48), (2, 64)):
        for reasons in (0, 0b1010):
            yield b"\x00" + bytes([layout, 1, 1]) + reasons.to_bytes(4, "big") + numbers + bytes(digests) + b"default-1"
    yield b"\x00\x03later"
    yield b"\x01" + (200).to_bytes(8, "little") + bytes([1]) * 8 + struct.pack("<3d", 1.5, 0.5, 0.25) + bytes(4) + b"default-1"


def head():
    rest = b"Host: x\r\nContent-Type: application/json\r\n"
    for line in (b"GET /healthz HTTP/1.1", b"POST http://x/v1/pcs/submit HTTP/1.1", b"OPTIONS * HTTP/1.0"):
        yield line + b"\r\n" + rest + b"\r\n"
    yield b"POST / HTTP/1.1\r\n" + rest + b"Content-Length:\t5 \r\nExpect: 100-continue\r\nConnection: a, close\r\n\r\nhello"
    yield b"POST / HTTP/1.1\r\n" + rest + b"Transfer-Encoding: chunked\r\n\r\n5 ;a=b\r\nhello\r\nA\r\n0123456789\r\n0\r\nX: y\r\n\r\n"
    yield b"POST / HTTP/1.1\r\n" + rest + b"Transfer-Encoding: gzip, chunked\r\n\r\n"
    yield b"\r\n\r\nPOST / HTTP/1.1\r\n" + rest + b"\r\n"
    yield b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 64 + b"\r\n"
    yield b"5\r\nhello\r\n00000;ext\r\nTrailer: y\r\n\r\n"


def note():
    vectors = json.loads((DATA / "tlog" / "vectors.json").read_text())
    for name in ("note", "cosigned", "verifier_key", "witness_key", "signer_key", "text"):
        yield vectors[name].encode()
    yield vectors["note"].replace("\n\n", "\nextension\n\n").encode()
    yield vectors["note"].encode() * 2


def tlog_proof():
    vectors = json.loads((DATA / "tlog" / "vectors.json").read_text())
    for item in vectors["inclusion"]:
        hashes = "".join(hash + "\n" for hash in item["hashes"])
        yield f"c2sp.org/tlog-proof@v1\nextra bGVhZiAw\nindex {item['old']}\n{hashes}\n{vectors['cosigned']}".encode()
    yield f"c2sp.org/tlog-proof@v1\nindex 0\n\n{vectors['note']}".encode()
    yield from (path.encode() for path in vectors["paths"])
    yield b'{"gap_first":5,"gap_last":9,"log":"0000000000000001","v":1}'
    yield b'{"flags":["conflict"],"log":"0000000000000001","lsn":2,"reasons":[],"received_ms":0,"record_lsn":1,"status":401,"time_ms":1,"v":1}'
    yield b"\x00\x06leaf 0\x00\x00\x00\x06leaf 1"


def main(out):
    doors = pcs_json
    for name, seeds in {"pcs_json": pcs_json, "pcs_msgpack": pcs_msgpack, "doors": doors, "frame": frame, "settings": settings,
                        "policy": policy, "keyring": keyring, "csv": csv, "ndjson": ndjson, "wal": wal, "head": head,
                        "outcome": outcome, "note": note, "tlog_proof": tlog_proof}.items():
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(seeds()):
            (folder / f"{number:03}").write_bytes(seed)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
