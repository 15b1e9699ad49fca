# SPDX-License-Identifier: MIT
"""Starting wrong: one clear line on stderr, and status 2 for a wrong setting, 1 for an error that may pass; and the output of --help, --check and
--version say."""
import os
import re
import socket
import subprocess

import pytest

from harness.cluster import Cluster
from harness.process import BIN_DIR, ROOT, free_port, run

DAEMONS = ("flk-gateway", "flk-broker", "flk-worker")
PROGRAMS = (*DAEMONS, "flk-agent")
LETTER = {"flk-gateway": "G", "flk-broker": "B", "flk-worker": "W", "flk-agent": "A"}


def settings_table():
    """name -> (type, letters of the programs, default) from the one list."""
    source = (ROOT / "common" / "program" / "settings_table.h").read_text().replace("\\\n", "")
    rows = re.findall(r'X\((\w+), "(\w+)", (\w+), ([A-Z |]+), "([^"]*)"', source)
    assert len(rows) > 20
    return {name: (kind, set(letters.replace(" ", "").split("|")), default) for _, name, kind, letters, default in rows}


@pytest.fixture
def env(tmp_path):
    """Free ports and a data directory, valid for every daemon."""
    return {"FLK_HTTP_LISTEN": f"127.0.0.1:{free_port()}", "FLK_ZMQ_LISTEN": f"tcp://127.0.0.1:{free_port()}",
            "FLK_FRONTENDS": f"tcp://127.0.0.1:{free_port()}", "FLK_BACKENDS": f"tcp://127.0.0.1:{free_port()}",
            "FLK_ADMIN_LISTEN": f"127.0.0.1:{free_port()}", "FLK_DATA_DIR": str(tmp_path / "data")}


WRONG, MAY_PASS = 2, 1  # of every program: units start again after 1 only


def check_refusal(done, *words, status=WRONG):
    """One line that names the error, and the status that tells whether it may pass."""
    assert done.returncode == status, done
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, f"not one line: {done.stderr}"
    for word in words:
        assert word in lines[0], f"{word!r} is not in: {lines[0]}"


# --help lists each setting of the program, with its default, and no other program's.
@pytest.mark.parametrize("program", PROGRAMS)
def test_help_lists_the_settings(program):
    done = run(program, "--help")
    assert done.returncode == 0 and not done.stderr, done
    for name, (_, letters, default) in settings_table().items():
        listed = re.search(rf"\b{name}\b", done.stdout) is not None
        assert listed == (LETTER[program] in letters), f"{name} listed: {listed}"
        if listed and default:
            assert default in done.stdout, f"{name}: default {default} is not shown"


# --version prints the program's name and version.
@pytest.mark.parametrize("program", PROGRAMS)
def test_version(program):
    done = run(program, "--version")
    assert done.returncode == 0 and re.fullmatch(rf"{program} \d+\.\d+\.\d+\S*\n", done.stdout), done


# --check prints the effective settings, those from files too, with every secret masked, and starts nothing.
@pytest.mark.parametrize("program", DAEMONS)
def test_check_masks_secrets(program, env, tmp_path):
    (tmp_path / "pass").write_text("filesecret\n")
    env.update({"METRICS_USER": "ops", "METRICS_PASS_FILE": str(tmp_path / "pass"), "PCS_SIGN_ALG": "hmac",
                "PCS_HMAC_KEY": "keysecret of 16 bytes"})
    done = run(program, "--check", env=env)
    assert done.returncode == 0, done
    assert "ops" in done.stdout and "METRICS_PASS" in done.stdout
    assert "filesecret" not in done.stdout + done.stderr and "keysecret" not in done.stdout + done.stderr
    for name, (_, letters, _) in settings_table().items():
        assert (re.search(rf"^\s*{name}\b", done.stdout, re.M) is not None) == (LETTER[program] in letters), name
    assert not (tmp_path / "data").exists(), "--check wrote to disk"


# An argument that is not known is refused.
@pytest.mark.parametrize("program", DAEMONS)
def test_unknown_argument(program, env):
    check_refusal(run(program, "--verbose", env=env), "--verbose")


# A setting that a start refuses before it listens, --check refuses with the same line and the same status; and nothing
# is written by either.
REFUSED = [
    ("flk-gateway", {"FLK_REQUEST_TIMEOUT_MS": "5s"}, WRONG, "5s"), ("flk-gateway", {"FLK_REQUEST_TIMEOUT_MS": "99"}, WRONG, "99"),
    ("flk-gateway", {"FLK_REQUEST_TIMEOUT_MS": "-1"}, WRONG, "-1"), ("flk-gateway", {"FLK_REQUEST_TIMEOUT_MS": ""}, WRONG, "TIMEOUT_MS"),
    ("flk-gateway", {"FLK_INFLIGHT_MAX": "99999999999999999999"}, WRONG, "FLK_INFLIGHT_MAX"),
    ("flk-gateway", {"FLK_HTTP_BEHIND_PROXY": "maybe"}, WRONG, "maybe"), ("flk-gateway", {"FLK_LOG_LEVEL": "loud"}, WRONG, "loud"),
    ("flk-broker", {"FLK_QUEUE_COUNT_MAX": "0"}, WRONG, "FLK_QUEUE_COUNT_MAX"), ("flk-broker", {"FLK_LOG_FORMAT": "xml"}, WRONG, "xml"),
    ("flk-worker", {"DEDUP_BACKEND": "mysql"}, WRONG, "mysql"), ("flk-worker", {"PCS_SIGN_ALG": "rsa"}, WRONG, "rsa"),
    ("flk-gateway", {"METRICS_USER": "ops"}, WRONG, "METRICS_PASS"),
    # addresses
    ("flk-gateway", {"FLK_HTTP_LISTEN": "foo"}, WRONG, "FLK_HTTP_LISTEN"), ("flk-gateway", {"FLK_HTTP_LISTEN": "127.0.0.1:70000"}, WRONG, "65535"),
    ("flk-gateway", {"FLK_ZMQ_LISTEN": "tcp://0.0.0.0:5999"}, WRONG, "FLK_PLAINTEXT"),
    ("flk-gateway", {"FLK_ZMQ_LISTEN": "http://x"}, WRONG, "FLK_ZMQ_LISTEN"), ("flk-gateway", {"FLK_ZMQ_LISTEN": "tcp://127.0.0.1"}, WRONG, "FLK_ZMQ_LISTEN"),
    ("flk-gateway", {"FLK_FRONTENDS": ","}, WRONG, "no broker"), ("flk-gateway", {"FLK_FRONTENDS": "tcp://127.0.0.1:1,tcp://127.0.0.1:1"}, WRONG, "twice"),
    ("flk-gateway", {"FLK_FRONTENDS": "tcp://broker:0", "FLK_PLAINTEXT": "1"}, WRONG, "broker:0"),
    ("flk-gateway", {"FLK_FRONTENDS": "tcp://broker:5555"}, WRONG, "FLK_CURVE_KEY_FILE"),
    ("flk-broker", {"FLK_FRONTENDS": "127.0.0.1:15555"}, WRONG, "FLK_FRONTENDS"), ("flk-broker", {"FLK_FRONTENDS": "tcp://127.0.0.1:99999"}, WRONG, "99999"),
    ("flk-broker", {"FLK_BACKENDS": "tcp://127.0.0.1:1,tcp://127.0.0.1:2"}, WRONG, "not a list"), ("flk-broker", {"FLK_FRONTENDS": "ipc://"}, WRONG, "ipc://"),
    ("flk-broker", {"FLK_ADMIN_LISTEN": "nowhere"}, WRONG, "FLK_ADMIN_LISTEN"), ("flk-worker", {"FLK_ADMIN_LISTEN": "127.0.0.1:99999"}, WRONG, "FLK_ADMIN_LISTEN"),
    ("flk-worker", {"FLK_BACKENDS": "tcp://broker:99999", "FLK_PLAINTEXT": "1"}, WRONG, "FLK_BACKENDS"),
    ("flk-worker", {"FLK_BACKENDS": "tcp://"}, WRONG, "FLK_BACKENDS"),
    # keys, policy
    ("flk-worker", {"PCS_SIGN_ALG": "hmac"}, WRONG, "PCS_HMAC_KEY"), ("flk-worker", {"PCS_SIGN_ALG": "ed25519"}, WRONG, "PCS_ED25519_PUB_B64"),
    ("flk-worker", {"PCS_SIGN_ALG": "ed25519", "PCS_ED25519_PUB_B64": "notbase64"}, WRONG, "PCS_ED25519_PUB_B64"),
    ("flk-worker", {"PCS_SIGN_ALG": "hmac", "PCS_KEYRING_FILE": "/nonexistent/ring.json"}, WRONG, "/nonexistent/ring.json"),
    ("flk-worker", {"PCS_KEYRING_FILE": "/nonexistent/ring.json"}, WRONG, "PCS_SIGN_ALG"),
    ("flk-worker", {"PCS_SIGN_ALG": "hmac", "PCS_HMAC_KEY_FILE": "/nonexistent/key"}, WRONG, "PCS_HMAC_KEY_FILE"),
    ("flk-worker", {"FLK_POLICY_FILE": "/nonexistent/policy.json"}, WRONG, "/nonexistent/policy.json"),
    ("flk-worker", {"FLK_POLICY_FILE": "/etc/hostname"}, WRONG, "/etc/hostname"),
    # CURVE
    *[(program, {"FLK_CURVE_KEY_FILE": "/nonexistent/key"}, WRONG, "FLK_CURVE_DIR") for program in DAEMONS],
    *[(program, {"FLK_CURVE_KEY_FILE": "/nonexistent/key", "FLK_CURVE_DIR": "/etc"}, WRONG, "/nonexistent/key") for program in DAEMONS],
    # store, directory
    ("flk-worker", {"DEDUP_BACKEND": "postgres"}, WRONG, "POSTGRES_CONN"), ("flk-worker", {"DEDUP_BACKEND": "postgres", "POSTGRES_CONN": "host"}, WRONG, "POSTGRES_CONN"),
    ("flk-worker", {"DEDUP_BACKEND": "redis", "REDIS_ADDR": "http://x"}, WRONG, "REDIS_ADDR"),
    ("flk-worker", {"DEDUP_BACKEND": "redis", "REDIS_ADDR": "127.0.0.1:6379,127.0.0.1:6379"}, WRONG, "REDIS_ADDR"),
    ("flk-worker", {"DEDUP_BACKEND": "redis", "REDIS_ADDR": "rediss://127.0.0.1", "FLK_REDIS_CA_FILE": "/nonexistent/ca"}, WRONG, "REDIS_"),
    ("flk-gateway", {"FLK_DATA_DIR": "/dev/null/data"}, MAY_PASS, "/dev/null/data"), ("flk-worker", {"FLK_DATA_DIR": "/dev/null/data"}, MAY_PASS, "/dev/null/data"),
    ("flk-worker", {"FLK_DATA_DIR": "/dev/null/data", "DEDUP_BACKEND": "memory"}, MAY_PASS, "/dev/null/data"),
    ("flk-gateway", {"FLK_DATA_DIR": "/" + "x" * 5000}, WRONG, "5001 bytes"),
]


# A start that is refused is a check that is refused: with the same line and the same status.
@pytest.mark.parametrize("program, extra, status, word", REFUSED,
                         ids=[f"{program}-{'-'.join(f'{name}={value[:40]}' for name, value in extra.items())}" for program, extra, _, _ in REFUSED])
def test_refused_start_is_a_refused_check(program, extra, status, word, env, tmp_path):
    start, check = (run(program, *arguments, env={**env, **extra}) for arguments in ([], ["--check"]))
    check_refusal(start, word, status=status)
    assert (check.returncode, check.stdout, check.stderr) == (status, "", start.stderr)
    assert not (tmp_path / "data").exists()


# The agent's run and its check refuse the same, with the same line.
@pytest.mark.parametrize("extra, status, word", [
    ({"ENDPOINT": "gopher://x"}, WRONG, "ENDPOINT"), ({"ENDPOINT": "http://"}, WRONG, "ENDPOINT"), ({"ENDPOINT": "tcp://x:70000"}, WRONG, "65535"),
    ({"ENDPOINT": "tcp://gateway:5550"}, WRONG, "FLK_PLAINTEXT"), ({"PCS_SIGN_ALG": "hmac"}, WRONG, "PCS_HMAC_KEY"),
    ({"PCS_SIGN_ALG": "ed25519", "PCS_ED25519_SECRET_B64": "c2hvcnQ="}, WRONG, "PCS_ED25519_SECRET_B64"), ({"ENDPONT": "http://x/"}, WRONG, "ENDPOINT?"),
    ({"FLK_CURVE_KEY_FILE": "/nonexistent/key", "FLK_CURVE_DIR": "/etc"}, WRONG, "/nonexistent/key"),
    ({"FLK_DATA_DIR": "/dev/null/data"}, MAY_PASS, "/dev/null/data")])
def test_refused_run_of_an_agent_is_a_refused_check(extra, status, word, tmp_path):
    drain, check = (run("flk-agent", command, env={"FLK_DATA_DIR": tmp_path / "data", **extra}) for command in ("drain", "check"))
    assert check.returncode == status and check.stdout == "" and word in check.stderr, check
    assert drain.returncode == status and drain.stderr.splitlines()[0] == check.stderr.splitlines()[0], (drain, check)
    assert not (tmp_path / "data").exists()


# An FLK_* name that no program knows is refused: a slip of the pen must not pass for a default.
@pytest.mark.parametrize("program", DAEMONS)
def test_unknown_setting(program, env):
    env["FLK_REQEST_TIMEOUT_MS"] = "1000"
    check_refusal(run(program, env=env), "FLK_REQEST_TIMEOUT_MS")


# A setting of another program is no mistake: one environment serves all.
@pytest.mark.parametrize("program", DAEMONS)
def test_settings_of_others_pass(program, env):
    env.update({"FLK_WORKER_THREADS": "2", "FLK_QUEUE_COUNT_MAX": "10", "FLK_INFLIGHT_MAX": "10", "ENDPOINT": "http://x/"})
    assert run(program, "--check", env=env).returncode == 0


# A secret's file that cannot be read, or the same setting given twice, is refused.
@pytest.mark.parametrize("extra, word", [({"PCS_HMAC_KEY_FILE": "/nonexistent/key"}, "PCS_HMAC_KEY_FILE"),
                                         ({"PCS_HMAC_KEY_FILE": "/etc/hostname", "PCS_HMAC_KEY": "x"}, "PCS_HMAC_KEY")])
def test_setting_from_file(extra, word, env):
    check_refusal(run("flk-worker", env={**env, "PCS_SIGN_ALG": "hmac", **extra}), word)


# A policy that breaks the guard-rails, is no JSON, has no version or an unknown member is refused with file and member.
@pytest.mark.parametrize("text, word", [('{"version": "x", "alpha": 1.5}', "alpha"), ('{"version": "x", "tolCoh": -1}', "tolCoh"),
                                        ('{"alpha": 0.3}', "version"), ('{"version": "x", "alhpa": 0.3}', "alhpa"),
                                        ('{"version": "x"', "policy.json"), ("[]", "policy.json")])
def test_wrong_policy(text, word, env, tmp_path):
    policy = tmp_path / "policy.json"
    policy.write_text(text)
    check_refusal(run("flk-worker", env={**env, "FLK_POLICY_FILE": str(policy)}), "policy.json", word)


# A port in use is named, with the remedy, and ends the start.
@pytest.mark.parametrize("program, name, scheme", [
    ("flk-gateway", "FLK_HTTP_LISTEN", ""), ("flk-gateway", "FLK_ZMQ_LISTEN", "tcp://"), ("flk-broker", "FLK_FRONTENDS", "tcp://"),
    ("flk-broker", "FLK_BACKENDS", "tcp://"), ("flk-broker", "FLK_ADMIN_LISTEN", ""), ("flk-worker", "FLK_ADMIN_LISTEN", "")])
def test_port_in_use(program, name, scheme, env):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        done = run(program, env={**env, name: scheme + address})
    assert done.returncode == MAY_PASS, done
    complaint = [line for line in done.stderr.splitlines() if address in line]
    assert complaint and "in use" in complaint[-1] and name in complaint[-1], done.stderr


# An address that this host does not have may come: a virtual address moves, an interface is set up late.
@pytest.mark.parametrize("program, name, scheme", [
    ("flk-gateway", "FLK_HTTP_LISTEN", ""), ("flk-gateway", "FLK_ZMQ_LISTEN", "tcp://"), ("flk-broker", "FLK_FRONTENDS", "tcp://"),
    ("flk-broker", "FLK_ADMIN_LISTEN", ""), ("flk-worker", "FLK_ADMIN_LISTEN", "")])
def test_address_of_another_host(program, name, scheme, env):
    address = scheme + "192.0.2.1:4711"
    done = run(program, env={**env, name: address, "FLK_PLAINTEXT": "1"})
    assert done.returncode == MAY_PASS and "192.0.2.1:4711" in done.stderr and name in done.stderr, done


# A data directory that cannot be made or written is named and ends the start.
@pytest.mark.parametrize("program", ["flk-gateway", "flk-worker"])
def test_unwritable_data_directory(program, env, tmp_path):
    (tmp_path / "file").write_text("")
    check = run(program, env={**env, "FLK_DATA_DIR": str(tmp_path / "file" / "data")})
    check_refusal(check, str(tmp_path / "file"), status=MAY_PASS)
    if os.geteuid() == 0:  # root may write anywhere: take the right away by a read-only file system
        assert run(program, env={**env, "FLK_DATA_DIR": "/proc/flk-data"}).returncode == MAY_PASS
    else:
        check_refusal(run(program, env={**env, "FLK_DATA_DIR": "/flk-data"}), "/flk-data", status=MAY_PASS)


# A second gateway on the same data directory is refused, and the first goes on.
def test_second_gateway_on_the_same_directory(env):
    with Cluster() as cluster:
        done = run("flk-gateway", env={**env, "FLK_DATA_DIR": str(cluster.directory / "gateway-0")})
        check_refusal(done, str(cluster.directory / "gateway-0"), status=MAY_PASS)
        assert cluster.gateway.ready()


# The flk front door knows its version and lists its commands.
def test_flk_front_door():
    if not (BIN_DIR / "flk").exists():
        pytest.skip("flk is not built")
    assert re.search(r"\d+\.\d+\.\d+", run("flk", "version").stdout)
    done = run("flk", "--help")
    assert done.returncode == 0 and all(word in done.stdout for word in ("up", "status", "version")), done
    assert subprocess.run([str(BIN_DIR / "flk"), "nonsense"], capture_output=True, timeout=20).returncode == WRONG


ADDRESSES = ["http://ann:zq7cret@127.0.0.1:1/p", "gopher://ann:zq7cret@x", "ann:zq7cret@127.0.0.1:1", "http://ann:zq7 cret/@h@127.0.0.1:1/",
             "tcp://ann:zq7cret@127.0.0.1:1", "tcp://ann:zq7cret@127.0.0.1:1,tcp://127.0.0.1:2", "http://ann:zq7cret@[::1",
             "redis://:zq7cret@127.0.0.1:1/0", "postgresql://ann:zq7cret@127.0.0.1:1/flk"]
PLACES = [(program, name) for program, names in {
    "flk-agent": ["ENDPOINT"],
    "flk-gateway": ["FLK_FRONTENDS", "FLK_ZMQ_LISTEN", "FLK_HTTP_LISTEN"],
    "flk-broker": ["FLK_FRONTENDS", "FLK_BACKENDS", "FLK_ADMIN_LISTEN"],
    "flk-worker": ["FLK_BACKENDS", "FLK_ADMIN_LISTEN", "REDIS_ADDR", "FLK_REDIS_FORMER", "POSTGRES_CONN"],
}.items() for name in names]


# An address with a user and a password in it, right or wrong, is shown without them: by --check, by the start, by the log.
@pytest.mark.parametrize("program, name", PLACES)
def test_no_password_of_an_address_is_shown(program, name, env):
    store = {"REDIS_ADDR": "redis", "FLK_REDIS_FORMER": "redis", "POSTGRES_CONN": "postgres"}.get(name, "memory")
    for address in ADDRESSES:
        settings = {**env, "DEDUP_BACKEND": store, name: address}
        starts = [("--check",), ("--check", "--json"), ("drain", "--quiet") if program == "flk-agent" else ()]
        for arguments in starts:
            try:
                done = run(program, *arguments, env=settings, seconds=1)
                said = done.stdout + done.stderr
            except subprocess.TimeoutExpired as still_runs:
                said = str((still_runs.stdout or b"") + (still_runs.stderr or b""))
            assert "zq7" not in said and "cret" not in said, f"{name}={address} {arguments}: {said}"


# A variable that Kubernetes sets for a service named flk-… stops nothing: one line tells that it was passed over.
@pytest.mark.parametrize("program", DAEMONS)
def test_service_links_are_passed_over(program, env):
    links = {"FLK_GATEWAY_PORT": "tcp://10.0.0.1:8080", "FLK_GATEWAY_SERVICE_HOST": "10.0.0.1", "FLK_GATEWAY_PORT_8080_TCP_ADDR": "10.0.0.1"}
    done = run(program, "--check", env={**env, **links})
    assert done.returncode == 0, done
    told = [line for line in done.stderr.splitlines() if "platform_names_passed_over" in line]
    assert len(told) == 1 and "names=3" in told[0], done.stderr


# A name that is a slip away from one of the original project's is refused, not passed for a default.
@pytest.mark.parametrize("program, name, meant", [("flk-worker", "PCS_SIGN_ALGO", "PCS_SIGN_ALG"), ("flk-gateway", "TOKENRATE", "TOKEN_RATE"),
                                                  ("flk-broker", "METRICS_PASSWORD", "METRICS_PASS")])
def test_slips_are_refused(program, name, meant, env):
    check_refusal(run(program, env={**env, name: "1"}), name, f"did you mean {meant}?")


# A secret that came with a line end of another system is warned about, and not shown.
def test_secret_with_a_carriage_return(env, tmp_path):
    (tmp_path / "key").write_bytes(b"a key of 16 bytes or more\r\n")
    done = run("flk-worker", "--check", env={**env, "PCS_SIGN_ALG": "hmac", "PCS_HMAC_KEY_FILE": tmp_path / "key"})
    assert done.returncode == 0 and "a key of" not in done.stdout + done.stderr, done
    assert re.search(r"WARN flk-worker secret_has_blank_end setting=PCS_HMAC_KEY ", done.stderr), done.stderr


# A worker that verifies no signature says so, in its log and as a metric.
def test_unsigned_operation_is_loud():
    with Cluster(worker_env={"PCS_SIGN_ALG": "none", "PCS_HMAC_KEY": None}) as unsigned:
        assert "WARN flk-worker signing_off" in unsigned.worker.log()
        assert unsigned.worker.metrics().total("flk_signing_enabled") == 0
    with Cluster() as signed:
        assert "signing_off" not in signed.worker.log()
        assert signed.worker.metrics().total("flk_signing_enabled") == 1


# Every daemon tells its version and the commit that it was built from.
def test_build_info():
    version = run("flk", "version").stdout.split()[1]
    with Cluster() as cluster:
        for daemon in cluster.daemons():
            page = daemon.get("/metrics").raw.decode()
            assert re.search(rf'^flk_build_info{{version="{version}",commit="(unknown|[\w.-]+)"}} 1$', page, re.M), daemon.name
