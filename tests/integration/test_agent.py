# SPDX-License-Identifier: MIT
"""flk-agent end to end: real rows in, signed PCS out, each delivered once with any trouble on the way."""
import contextlib
import fcntl
import json
import os
import signal
import struct
import subprocess
import termios

import pytest

from harness import doors, pcs as reference
from harness.cluster import Cluster
from harness.process import BIN_DIR, ROOT, SLOW, environment, free_port, run, wait_for

EVENTS = ROOT / "tests" / "data" / "earthquakes.csv"
WINDOWS = ["--window", "60", "--slide", "15", "--columns", "longitude,latitude,depth_km,magnitude"]
SIGNING = {"PCS_SIGN_ALG": "hmac", "PCS_HMAC_KEY": reference.HMAC_KEY}
ANSWERED, BROKEN, USAGE, NOT_ALL, BAD_ROW, BAD_KEY = 0, 1, 2, 3, 4, 5  # exit statuses, from --help


class Agent:
    def __init__(self, directory, endpoint, **env):
        self.env = {**SIGNING, "ENDPOINT": endpoint, "FLK_DATA_DIR": directory / "agent", **env}
        self.results_path = directory / "results.ndjson"

    def run(self, *args, stdin=None, seconds=60):
        self.results_path.unlink(missing_ok=True)
        return run("flk-agent", *args, env=self.env, stdin=stdin, seconds=seconds)

    def submit(self, *args, status=ANSWERED, files=(EVENTS,), **options):
        """Submits and returns the summary; `results` of it are one entry a PCS."""
        done = self.run("submit", *WINDOWS, "--json", "--results", self.results_path, *args, *files, **options)
        assert done.returncode == status, done
        return json.loads(done.stdout.splitlines()[-1])

    def results(self):
        return [json.loads(line) for line in self.results_path.read_text().splitlines()]

    def status(self):
        done = run("flk-agent", "status", "--json", env=self.env)
        status = json.loads(done.stdout)
        assert done.returncode == (NOT_ALL if status["pending"] or status["dead"] else ANSWERED), done
        return status


def endpoint(cluster, door):
    return "http://%s:%d/v1/pcs/submit" % cluster.gateway.http if door == "http" else cluster.gateway.zmq


def compute(*args, env=SIGNING):
    done = run("flk-agent", "compute", "--quiet", *WINDOWS, *args, EVENTS, env=env)
    assert done.returncode == 0, done
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def cluster():
    with Cluster(workers=2, threads=1) as running:
        yield running


# The output of compute is right by the independent reference: id, signature, D-hat of its counts, regime and budget.
def test_computed_pcs_are_right():
    computed = compute()
    assert len(computed) > 100 and len({pcs["pcs_id"] for pcs in computed}) == len(computed)
    for pcs in computed:
        assert pcs["pcs_id"] == reference.pcs_id(pcs["merkle_root"], pcs["epoch"], pcs["shard_id"])
        assert pcs["sig"] == reference.sign_hmac(pcs)
        verdict = reference.verdict(pcs)
        assert verdict["d_hat"] == pcs["D_hat"] and verdict["regime"] == pcs["regime"] and verdict["budget"] == pcs["budget"], pcs


# The same rows give the same PCS, but for the time of sending.
def test_compute_is_deterministic():
    first, second = ([dict(pcs, sent_at=None) for pcs in compute()] for _ in range(2))
    assert first == second


# Real events go through a cluster by either door: each PCS is answered as predicted, and the second run is all duplicates.
@pytest.mark.parametrize("door", ["http", "zmq"])
def test_end_to_end(cluster, door, tmp_path):
    agent = Agent(tmp_path, endpoint(cluster, door))
    shard = ["--shard", f"e2e-{door}"]
    computed = {pcs["pcs_id"]: pcs for pcs in compute(*shard)}
    before = cluster.gateway.metrics()
    agent.submit(*shard)
    first = agent.results()
    assert {result["pcs_id"] for result in first} == set(computed) and len(first) == len(computed)
    for result in first:
        want = doors.predicted(computed[result["pcs_id"]])
        assert result["status"] == want["status"] and result["duplicate"] is False, (result, want)
    agent.submit(*shard)
    second = agent.results()
    assert {(r["pcs_id"], r["status"], r["duplicate"]) for r in second} == {(r["pcs_id"], r["status"], True) for r in first}
    rise = {name: cluster.gateway.metrics().total(name) - before.total(name)
            for name in ("flk_ingest_total", "flk_dedup_hits", "flk_accepted", "flk_escalated")}
    accepted = sum(result["status"] == 200 for result in first)
    assert rise == {"flk_ingest_total": 2 * len(computed), "flk_dedup_hits": len(computed), "flk_accepted": accepted,
                    "flk_escalated": len(computed) - accepted}, rise


def outbox_holds(agent, number):
    return (agent.env["FLK_DATA_DIR"] / "outbox").exists() and agent.status()["pending"] == number


# The gateway is away: nothing is lost, the outbox keeps all, and drain delivers them once it is there.
@pytest.mark.parametrize("door", ["http", "zmq"])
def test_drain_after_the_gateway_was_down(door, tmp_path):
    with Cluster(workers=1) as cluster:
        agent = Agent(tmp_path, endpoint(cluster, door))
        cluster.gateway.stop()
        files, args = [EVENTS], ["--timeout", "2s"]
        child = subprocess.Popen([str(BIN_DIR / "flk-agent"), "submit", *WINDOWS, "--quiet", *args, *map(str, files)],
                                 env=environment(agent.env), stderr=subprocess.PIPE, text=True)
        try:
            total = len(compute())
            wait_for(lambda: outbox_holds(agent, total), 20, lambda: f"{total} in the outbox")
            child.send_signal(signal.SIGKILL)
        finally:
            child.kill()
            child.communicate()
        cluster.gateway.start()
        cluster.wait_ready()
        done = agent.run("drain", "--json", "--results", agent.results_path)
        assert done.returncode == ANSWERED, done
        assert {result["pcs_id"] for result in agent.results()} == {pcs["pcs_id"] for pcs in compute()}
        assert agent.status()["pending"] == 0
        assert all(result["status"] in (200, 202) for result in agent.results())


# The agent is killed with -9 while it sends: it sends unanswered PCS again, and all have one outcome.
def test_agent_is_killed(cluster, tmp_path):
    agent = Agent(tmp_path, endpoint(cluster, "http"))
    shard = ["--shard", "killed"]
    computed = {pcs["pcs_id"]: pcs for pcs in compute(*shard)}
    before = cluster.gateway.metrics().total("flk_ingest_total")
    child = subprocess.Popen([str(BIN_DIR / "flk-agent"), "submit", *WINDOWS, *shard, "--quiet", "--parallel", "1", str(EVENTS)],
                             env=environment(agent.env), stderr=subprocess.DEVNULL)
    wait_for(lambda: cluster.gateway.metrics().total("flk_ingest_total") - before >= 5 or child.poll() is not None, 20, "some are sent")
    child.kill()
    child.wait()
    assert agent.run("drain").returncode == ANSWERED
    agent.submit(*shard)
    assert {result["pcs_id"] for result in agent.results()} == set(computed)
    with cluster.http() as http:
        for pcs in computed.values():
            answer = http.submit(pcs)
            assert answer.body["duplicate"] is True and answer.outcome() == doors.predicted(pcs), answer


# A refused signature (401) goes straight to the dead letters with its reason. 20 in a row stop the run: the key is wrong, the rest waits.
# With the right key both are signed anew and delivered.
@pytest.mark.parametrize("door", ["http", "zmq"])
def test_permanent_refusal_goes_to_the_dead_letters(cluster, door, tmp_path):
    agent = Agent(tmp_path, endpoint(cluster, door), PCS_HMAC_KEY="a wrong key of the tests")
    shard = ["--shard", f"dead-{door}"]
    summary = agent.submit(*shard, status=BAD_KEY)
    status = agent.status()
    assert status["dead"] == summary["dead"] == 20 and status["pending"] == summary["pending"] > 0, (status, summary)
    assert "401" in str(status["reasons"]) and "20 signatures in a row" in summary["stopped"], (status, summary)
    agent.env["PCS_HMAC_KEY"] = reference.HMAC_KEY
    for command, answered in ((("drain", "--resign"), status["pending"]), (("dead", "resign"), 20)):
        done = agent.run(*command, "--json")
        assert done.returncode == ANSWERED and json.loads(done.stdout)["answered"] == answered, done
    assert agent.status()["pending"] == agent.status()["dead"] == 0


# ENDPOINT without its path: one line, status 2, nothing buried; with the path all is delivered.
def test_endpoint_without_its_path(cluster, tmp_path):
    agent = Agent(tmp_path, "http://%s:%d" % cluster.gateway.http)
    done = agent.run("submit", *WINDOWS, "--shard", "pathless", "--quiet", EVENTS)
    assert done.returncode == USAGE and "ENDPOINT" in done.stderr and len(done.stderr.strip().splitlines()) == 1, done
    assert agent.status()["dead"] == 0 and agent.status()["pending"] > 0
    agent.env["ENDPOINT"] = endpoint(cluster, "http")
    assert agent.run("drain").returncode == ANSWERED


# On a narrow terminal the progress line stays one line, and says why PCS wait; dead letters are cut, not wrapped.
def test_progress_fits_the_terminal(tmp_path):
    agent = Agent(tmp_path, f"http://127.0.0.1:{free_port()}/v1/pcs/submit", FLK_OUTBOX_MAX_AGE_S="3")
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 60, 0, 0))
    child = subprocess.Popen([str(BIN_DIR / "flk-agent"), "submit", *WINDOWS, str(EVENTS)], env=environment(agent.env), stdin=theirs,
                             stdout=theirs, stderr=theirs)
    os.set_blocking(ours, False)
    seen = bytearray()

    def says_why():
        with contextlib.suppress(BlockingIOError):
            seen.extend(os.read(ours, 65536))
        return b"waiting: F" in seen
    try:
        wait_for(says_why, 20, lambda: f"the reason on the line: {bytes(seen)}")
    finally:
        child.kill()
        child.wait()
    lines = [part.replace("\x1b[K", "") for part in seen.decode().split("\r")]
    assert "\n" not in seen.decode() and all(len(line) < 60 for line in lines) and any("%" in line for line in lines), lines
    agent.run("drain")
    assert agent.status()["dead"] > 0
    listed = subprocess.run(["script", "-qc", f"stty cols 50; {BIN_DIR / 'flk-agent'} dead list", "/dev/null"], capture_output=True, text=True,
                            env=environment(agent.env), timeout=20 * SLOW, stdin=subprocess.DEVNULL).stdout.splitlines()
    assert listed and all(len(line) <= 50 for line in listed), listed
    os.close(ours)
    os.close(theirs)


# A PCS whose id was answered with other content: results, summary and flk submit say so, over both doors.
@pytest.mark.parametrize("door", ["http", "zmq"])
def test_conflict_is_shown(cluster, door, tmp_path):
    agent = Agent(tmp_path, endpoint(cluster, door))
    first = reference.Factory(7, f"conflict-{door}", escalate_every=0).make()
    other = {key: value for key, value in first.items() if key != "sig"} | {"r": 0.5}
    other["sig"] = reference.sign_hmac(other)
    path = tmp_path / "pcs.ndjson"
    for pcs, conflicts in ((first, 0), (other, 1)):
        path.write_text(json.dumps(pcs) + "\n")
        done = agent.run("submit", "--pcs", path, "--json", "--results", agent.results_path)
        summary, result = json.loads(done.stdout), agent.results()[0]
        assert done.returncode == ANSWERED and summary["conflicts"] == conflicts and result["conflict"] is bool(conflicts), (summary, result)
        assert summary["accepted"] + summary["escalated"] + summary["duplicates"] == summary["answered"] == 1, summary
    said = run("flk", "submit", path, env=agent.env)
    assert said.returncode == ANSWERED and "with other content" in said.stdout, said
    assert json.loads(run("flk", "submit", "--json", path, env=agent.env).stdout)["conflict"] is True


# Throttled at either door, the agent waits as it is told and delivers all.
@pytest.mark.parametrize("door", ["http", "zmq"])
def test_throttled_agent_delivers_all(door, tmp_path):
    with Cluster(workers=1, gateway_env={"TOKEN_RATE": int(40 / SLOW)}) as cluster:
        agent = Agent(tmp_path, endpoint(cluster, door))
        agent.submit("--parallel", "8", "--window", "60", "--slide", "30")
        assert all(result["status"] in (200, 202) for result in agent.results())
        assert cluster.gateway.metrics().total("flk_throttled_total") > 0


BAD_ROWS = "time,x,y\n" + "".join(f"{i},{i % 7},{i % 11}\n" for i in range(50)) + "51,oops,3\n" + "52,1\n" + \
    "".join(f"{i},{i % 7},{i % 11}\n" for i in range(60, 120))


# A row that cannot be read is named by number and column; fail stops there, skip goes on and counts.
def test_bad_row(tmp_path):
    source = tmp_path / "rows.csv"
    source.write_text(BAD_ROWS)
    done = run("flk-agent", "compute", "--quiet", "--window", "10", "--on-bad-row", "fail", source)
    assert done.returncode == BAD_ROW and len(done.stdout.splitlines()) == 5, done
    lines = done.stderr.splitlines()
    assert len(lines) == 1 and "row 51 " in lines[0] and "column x" in lines[0], done.stderr
    done = run("flk-agent", "compute", "--window", "10", "--on-bad-row", "skip", source)
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 11, done
    assert "row 51 " in done.stderr and "row 52 " in done.stderr and "2 bad rows skipped" in done.stderr, done.stderr


# NDJSON from standard input gives the same PCS as the same rows in CSV.
def test_ndjson_from_stdin(tmp_path):
    rows = [dict(zip(("time", "longitude", "latitude", "depth_km", "magnitude"), map(float, line.split(","))))
            for line in EVENTS.read_text().splitlines()[1:]]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    done = run("flk-agent", "compute", "--quiet", "--format", "ndjson", *WINDOWS, "-", stdin=text, env=SIGNING)
    assert done.returncode == 0, done
    computed = [json.loads(line) for line in done.stdout.splitlines()]
    assert [pcs["N_j"] for pcs in computed] == [pcs["N_j"] for pcs in compute()]


# Wrong use ends with status 2 and a line that tells the mistake.
@pytest.mark.parametrize("args", [["submit"], ["nonsense"], ["compute", "--window", "0", str(EVENTS)], ["compute", "--grid", "round", str(EVENTS)],
                                  ["compute", "--columns", "nope", str(EVENTS)], ["compute", "--scales", "2,2", str(EVENTS)],
                                  ["compute", "--nonsense", str(EVENTS)], ["compute", "--shard", "a b", str(EVENTS)]], ids=lambda args: " ".join(args[:3]))
def test_wrong_use(args, tmp_path):
    done = run("flk-agent", *args, env={"FLK_DATA_DIR": tmp_path / "data"})
    assert done.returncode == USAGE and done.stderr.strip() and not done.stdout, done


# A file that is not there is named, and ends the run.
def test_missing_file(tmp_path):
    done = run("flk-agent", "compute", tmp_path / "nothing.csv")
    assert done.returncode in (BROKEN, USAGE) and "nothing.csv" in done.stderr, done


# An endpoint that is none, or an unknown setting, stops the start with one line.
@pytest.mark.parametrize("env, word", [({"ENDPOINT": "ftp://x"}, "ENDPOINT"), ({"FLK_ENDPOINT": "x"}, "FLK_ENDPOINT"),
                                       ({"PCS_SIGN_ALG": "hmac"}, "PCS_HMAC_KEY")])
def test_wrong_setting(env, word, tmp_path):
    done = run("flk-agent", "submit", *WINDOWS, EVENTS, env={"FLK_DATA_DIR": tmp_path / "data", **env})
    assert done.returncode == USAGE and word in done.stderr and len(done.stderr.strip().splitlines()) == 1, done
