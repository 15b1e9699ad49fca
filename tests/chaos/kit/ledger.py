# SPDX-License-Identifier: MIT
"""The records of the system itself: its logs, its dead letters, its store, its counters; read with its own tools after the run.

harvest() gives one JSON object:
  log       [{gate, lsn, id, hash, acked, status, duplicate, conflict, dead}]    every record of every inbox
  dlq       [{gate, id}]                                                       dead letters
  store     {id: {outcome, digest}}, or null when the store outlives nobody   every effect
  audit     [{gate, clean, ...flk-replay audit's summary}]    verify [{gate, clean, ...}]
  counters  {gateway: {metric: value}}    ended [names that were restarted: their counters began anew]
  drained   {in_time, seconds, detail}    resources {before, after: {name: {rss, anonymous, fds, threads}}}    disk_bytes
  reports   [faults by I9]               syscalls {replied, violations} or null
"""
import base64
import json
import pathlib

import msgpack

from harness import pcs as reference
from harness.process import run, wait_for

from .payload import as_outcome, content_hash

COUNTERS = ("flk_ingest_total", "flk_accepted", "flk_escalated", "flk_dedup_hits", "flk_rejected_total", "flk_wal_records_total",
            "flk_wal_recovered_total", "flk_wal_unacked", "flk_inflight", "flk_dlq_records", "flk_dead_letters_total",
            "flk_redriven_total", "flk_timeouts_total", "flk_wal_torn_bytes", "flk_wal_quarantined_segments", "flk_wal_failures_total")
KEYS = {"PCS_SIGN_ALG": "hmac", "PCS_HMAC_KEY": reference.HMAC_KEY}


def scrape(daemon, seconds=60):
    """Its metrics, once it finds the time to tell them."""
    def attempt():
        try:
            return daemon.metrics()
        except OSError:
            return None
    return wait_for(attempt, seconds, f"{daemon.name} does not tell its metrics")


def totals(metrics):
    """The counters that the judge holds against the log: of refusals only those that had a record."""
    return {name: metrics.total(name, **({"code": "401"} if name == "flk_rejected_total" else {})) for name in COUNTERS}


def left_over(cluster):
    """The unsettled, in words; empty when all is settled."""
    words = []
    for daemon in [*cluster.gateways, *cluster.brokers]:
        if not daemon.alive():
            continue
        metrics = scrape(daemon)
        for name in ("flk_wal_unacked", "flk_inflight", "flk_broker_queue_depth", "flk_broker_inflight"):
            if metrics.total(name):
                words.append(f"{daemon.name} {name} {metrics.total(name):g}")
    return ", ".join(words)


def drain(cluster, seconds, now):
    """Waits until everything is settled."""
    began = now()
    try:
        wait_for(lambda: not left_over(cluster), seconds, lambda: left_over(cluster))
        return dict(in_time=True, seconds=round(now() - began, 3), detail="")
    except AssertionError as error:
        return dict(in_time=False, seconds=round(now() - began, 3), detail=str(error)[:400])


def resources(cluster):
    found = {}
    for daemon in cluster.daemons():
        if daemon.alive():
            status = pathlib.Path(f"/proc/{daemon.pid}/status").read_text()
            fields = dict(line.split(":", 1) for line in status.splitlines())
            found[daemon.name] = dict(rss=int(fields["VmRSS"].split()[0]) * 1024, anonymous=int(fields["RssAnon"].split()[0]) * 1024,
                                      threads=int(fields["Threads"]),
                                      fds=len(list(pathlib.Path(f"/proc/{daemon.pid}/fd").iterdir())))
    return found


def counters(cluster):
    found = {}
    for gateway in cluster.gateways:
        if gateway.alive():
            found[gateway.name] = totals(scrape(gateway))
    return found


def replay(gateway, *words):
    """flk-replay on a gateway's directory: (parsed lines, exit status, complaints)."""
    done = run("flk-replay", *words, "--json", env={"FLK_DATA_DIR": gateway.env["FLK_DATA_DIR"], **KEYS}, seconds=120)
    return [json.loads(line) for line in done.stdout.splitlines()], done.returncode, done.stderr.strip()


def log_records(cluster):
    for gate, gateway in enumerate(cluster.gateways):
        done = run("flk-replay", "export", "--json", env={"FLK_DATA_DIR": gateway.env["FLK_DATA_DIR"]}, seconds=120)
        for line in done.stdout.splitlines():
            record = json.loads(line)
            pcs = record.get("pcs")
            yield dict(gate=gate, lsn=record["lsn"], id=record.get("pcs_id"), hash=content_hash(json.dumps(pcs)) if pcs else None,
                       acked=record["acked"], status=record.get("status"), duplicate=record.get("duplicate", False),
                       conflict=record.get("conflict", False), dead=record.get("dead_letter", False))


def summaries(cluster, verb):
    for gate, gateway in enumerate(cluster.gateways):
        lines, status, complaint = replay(gateway, verb)
        summary = next((line for line in lines if line.get("type") == "summary"), {})
        found = [line for line in lines if line.get("type") != "summary"][:3]
        yield dict(gate=gate, clean=status == 0, complaint=complaint[:300], found=found, **summary)


def dead_letters(cluster):
    for gate, gateway in enumerate(cluster.gateways):
        if (pathlib.Path(gateway.env["FLK_DATA_DIR"]) / "dlq").exists():
            for line in replay(gateway, "dlq", "list")[0]:
                yield dict(gate=gate, id=line.get("pcs_id"))


def store_outcomes(cluster):
    """None for the memory store: each process had its own."""
    worker = cluster.workers[0]
    if worker.env.get("DEDUP_BACKEND") == "memory":
        return None
    done = run("flk-worker", "store", "export", env=worker.env, seconds=120)
    assert done.returncode == 0, done.stderr
    found = {}
    for line in done.stdout.splitlines():
        entry = json.loads(line)
        kept = msgpack.unpackb(base64.b64decode(entry["outcome"]))
        found[entry["pcs_id"]] = dict(digest=kept["digest"].hex(), outcome=as_outcome(
            kept["status"], kept["reasons"], kept["d_hat"], kept["budget"], kept["budget_claimed"], kept["regime"], kept["policy_version"]))
    return found


def disk_bytes(cluster):
    """The real space of the files: the log's segments are made at full size."""
    return sum(path.stat().st_blocks * 512 for path in pathlib.Path(cluster.directory).rglob("*") if path.is_file())


def harvest(cluster):
    """The records on disk; the cluster has been stopped."""
    return dict(log=list(log_records(cluster)), dlq=list(dead_letters(cluster)), store=store_outcomes(cluster),
                audit=list(summaries(cluster, "audit")), verify=list(summaries(cluster, "verify")), disk_bytes=disk_bytes(cluster))
