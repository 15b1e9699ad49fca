# SPDX-License-Identifier: MIT
"""The transparency log of flk-follow beside a real cluster: proofs that verify without any server, and wrong settings."""
import json

from harness import pcs as reference
from harness.cluster import Cluster, Daemon
from harness.process import free_port, run, wait_for


def follow(cluster, key, **env):
    admin = ("127.0.0.1", free_port())
    settings = {"FLK_DATA_DIR": cluster.directory / "gateway-0", "FLK_FOLLOW_LISTEN": "%s:%d" % admin, "FLK_TLOG_KEY_FILE": key,
                "FLK_TLOG_ORIGIN": "log.example/flk", "FLK_TLOG_CHECKPOINT_S": "1", **env}
    return Daemon("follow", "flk-follow", settings, cluster.directory, admin)


# Each verdict gets a proof that verifies by the key alone; a bit of it flipped is refused; the log is checked by URL and directory.
def test_proofs(seed, tmp_path):
    made = json.loads(run("flk", "keygen", "--role", "tlog", "--dir", tmp_path, "--json", "log1").stdout)
    vkey, proof = made["verifier_key_file"], tmp_path / "proof"
    factory = reference.Factory(seed, escalate_every=3)
    with Cluster() as cluster, cluster.http() as http:
        sent = [factory.make() for _ in range(12)]
        answers = [http.submit(item) for item in sent]
        log = follow(cluster, made["secret_key_file"])
        log.start()
        try:
            log.wait_ready()
            tlog = cluster.directory / "gateway-0" / "tlog"
            wait_for(lambda: [file for file in tlog.glob("*/checkpoint") if int(file.read_text().split("\n")[1]) >= len(sent)], 15,
                     "no checkpoint")
            where = next(tlog.glob("*/checkpoint")).parent
            url = "http://%s:%d/tlog/%s" % (*log.admin, where.name)
            for place in (url, where):
                done = run("flk", "audit", "check", place, "--key", vkey)
                assert done.returncode == 0, done
            for item, answer in zip(sent, answers):
                done = run("flk", "audit", "prove", item["pcs_id"], "--dir", tlog)
                assert done.returncode == 0, done
                proof.write_text(done.stdout)
                told = run("flk", "audit", "verify", proof, "--key", vkey, "--json")
                assert told.returncode == 0, told
                leaf = json.loads(told.stdout)["leaf"]
                assert (leaf["pcs_id"], leaf["status"]) == (item["pcs_id"], answer.status)
            text = proof.read_text()
            proof.write_text(text.replace("index ", "index 1", 1))
            assert run("flk", "audit", "verify", proof, "--key", vkey).returncode == 1
            assert log.get(f"/tlog/{where.name}/private/state").status == 404
        finally:
            log.stop()


# A key that others can read, or an origin with blanks, is refused at the start with one line.
def test_wrong_settings(tmp_path):
    made = json.loads(run("flk", "keygen", "--role", "tlog", "--dir", tmp_path, "--json", "log1").stdout)
    key = made["secret_key_file"]
    base = {"FLK_DATA_DIR": str(tmp_path), "FLK_TLOG_KEY_FILE": key, "FLK_TLOG_ORIGIN": "log.example/flk"}
    assert run("flk-follow", "--check", env=base).returncode == 0
    for wrong, name in (({"FLK_TLOG_ORIGIN": "log example"}, "FLK_TLOG_ORIGIN"), ({"FLK_TLOG_KEY_FILE": "/no/such"}, "FLK_TLOG_KEY_FILE"),
                        ({"FLK_TLOG_WITNESSES": "http://w"}, "FLK_TLOG_WITNESSES"), ({"FLK_TLOG_QUORUM": "1"}, "FLK_TLOG_QUORUM")):
        done = run("flk-follow", "--check", env={**base, **wrong})
        assert done.returncode == 2 and name in done.stderr and done.stderr.count("\n") == 1, done
    (tmp_path / "log1.key").chmod(0o644)
    done = run("flk-follow", "--check", env=base)
    assert done.returncode == 2 and "can be read by others" in done.stderr, done
