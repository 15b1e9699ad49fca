# SPDX-License-Identifier: MIT
"""The exit status of each program: 2 where a setting or an argument is wrong, so that the same call fails again; 1 where it may pass; and
one line that says why. test_settings.py has the daemons' starts."""
import socket

import pytest

from harness.process import free_port, run

WRONG, MAY_PASS = 2, 1
CASES = [
    # arguments
    (["flk", "nonsense"], {}, WRONG, "nonsense"), (["flk", "up", "--workers", "0"], {}, WRONG, "1 to 64"),
    (["flk", "up", "--wokers", "3"], {}, WRONG, "--workers"), (["flk", "submit", "--nope"], {}, WRONG, "--nope"),
    (["flk", "submit"], {}, WRONG, "FILE"), (["flk", "status", "--watch=3"], {}, WRONG, "--watch"),
    (["flk", "doctor", "nope"], {}, WRONG, "nope"), (["flk", "healthcheck", "nope"], {}, WRONG, "nope"),
    (["flk", "keygen", "--role", "nope", "x"], {}, WRONG, "nope"), (["flk", "bench", "--seconds", "0"], {}, WRONG, "1 to 600"),
    (["flk", "wal", "lst"], {}, WRONG, "list"), (["flk", "wal", "list", "--since", "yesterday"], {}, WRONG, "2026-01-31"),
    (["flk", "dlq", "purge"], {}, WRONG, "--all"), (["flk", "store", "get"], {}, WRONG, "pcs_id"),
    (["flk-agent"], {}, WRONG, "command"), (["flk-agent", "compute", "--window", "0", "x"], {}, WRONG, "rows"),
    (["flk-agent", "submit", "/nonexistent"], {}, WRONG, "/nonexistent"), (["flk-agent", "compute", "/nonexistent"], {}, WRONG, "/nonexistent"),
    (["flk", "submit", "/nonexistent"], {}, WRONG, "/nonexistent"), (["flk-replay"], {}, WRONG, "verb"),
    (["flk-worker", "store", "nope"], {}, WRONG, "Usage"),
    # settings
    *[(words, {"FLK_NOPE": "1"}, WRONG, "FLK_NOPE") for words in (["flk", "status"], ["flk", "up"], ["flk", "wal", "list"], ["flk", "store", "stats"],
                                                                 ["flk-agent", "drain"], ["flk-replay", "stats"], ["flk", "healthcheck", "worker"])],
    (["flk", "submit", "/etc/hostname"], {"ENDPOINT": "gopher://x"}, WRONG, "gopher"), (["flk-agent", "drain"], {"ENDPOINT": "gopher://x"}, WRONG, "gopher"),
    (["flk-agent", "drain"], {"PCS_SIGN_ALG": "hmac"}, WRONG, "PCS_HMAC_KEY"), (["flk-agent", "drain"], {"PCS_SIGN_ALG": "ed25519"}, WRONG, "PCS_ED25519"),
    (["flk", "store", "check"], {"DEDUP_BACKEND": "postgres"}, WRONG, "POSTGRES_CONN"),
    (["flk-worker", "--migrate"], {"DEDUP_BACKEND": "postgres"}, WRONG, "POSTGRES_CONN"),
    # errors that may pass
    (["flk", "store", "check"], {"DEDUP_BACKEND": "redis", "REDIS_ADDR": "127.0.0.1:1"}, MAY_PASS, "127.0.0.1:1"),
    (["flk-agent", "drain"], {"FLK_DATA_DIR": "/dev/null/x"}, MAY_PASS, "/dev/null/x"),
    (["flk", "wal", "list", "--dir", "/nonexistent"], {}, MAY_PASS, "/nonexistent"), (["flk", "up"], {"FLK_DATA_DIR": "/dev/null/x"}, MAY_PASS, "/dev/null/x"),
    (["flk", "healthcheck", "broker"], {"FLK_ADMIN_LISTEN": "127.0.0.1:1"}, MAY_PASS, ""),
]


# Each program ends with exactly the status that program.h gives for the error.
@pytest.mark.parametrize("words, env, status, part", CASES, ids=[" ".join(words) + "".join(f" {name}" for name in env) for words, env, _, _ in CASES])
def test_exit_codes(words, env, status, part, tmp_path):
    done = run(words[0], *words[1:], env={"FLK_DATA_DIR": tmp_path / "data", **env}, cwd=tmp_path)
    assert done.returncode == status, done
    assert part in done.stdout + done.stderr, done


# flk up hands on the statuses of its programs: a port that another process has may pass, a child's wrong setting does
# not.
def test_exit_codes_of_a_supervisor(tmp_path):
    ports = [free_port() for _ in range(4)]
    env = {"FLK_DATA_DIR": tmp_path / "data", "FLK_ZMQ_LISTEN": f"tcp://127.0.0.1:{ports[1]}", "FLK_FRONTENDS": f"tcp://127.0.0.1:{ports[2]}",
           "FLK_BACKENDS": f"tcp://127.0.0.1:{ports[3]}", "FLK_HTTP_LISTEN": f"127.0.0.1:{ports[0]}"}
    wrong = run("flk", "up", env={**env, "FLK_POLICY_FILE": "/nonexistent/policy.json"}, seconds=60)
    assert wrong.returncode == WRONG and "/nonexistent/policy.json" in wrong.stderr, wrong
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", ports[0]))
        taken.listen()
        busy = run("flk", "up", env=env, seconds=60)
    assert busy.returncode == MAY_PASS and f"127.0.0.1:{ports[0]}" in busy.stderr, busy
