# SPDX-License-Identifier: MIT
"""The power goes at 50 instants of a run: every record answered by then is in the log, with any part of the rest."""
import pathlib
import random
import shutil

from disk import FaultyDisk, missing
from disk.journal import Disk, read
from disk.start import recover
from kit import judge
from kit.trial import Trial

INSTANTS, SHORT_INSTANTS = 50, 12
CHANCES = (0, 1, 0.5, 0.1)  # of an unsynced sector to be there; nothing and everything among them


class PowerCut(Trial):
    name = "T16"
    cluster = dict(workers=2, threads=1, gateway_env={"FLK_WAL_SEGMENT_BYTES": 262144})  # many new segments
    seconds, short_seconds = 8, 3

    def missing(self):
        return missing()

    def prepare(self, run):
        self.inbox = pathlib.Path(run.cluster.gateway.env["FLK_DATA_DIR"]) / "inbox"
        self.disk = FaultyDisk(run.cluster.gateway, self.inbox, run.directory, journal=True)

    def extra(self, run, history, ledger):
        """Verdicts: cut, and the control that must be red: the same images for a disk whose fdatasync does nothing."""
        entries = list(read(self.disk.journal))
        instants = self.instants(run, entries)
        promises = Promises(run, history, ledger, self.inbox)
        scratch = run.directory / "cut"
        found = list(self.cut(entries, instants, promises, scratch, run.seed))
        control = list(self.cut(entries, instants[::5], promises, scratch, run.seed, without=("fdatasync",)))
        run.extra_figures.update(instants=len(instants), images=len(instants) * len(CHANCES), control_faults=len(control),
                                 torn_images=self.torn, promised=len(promises.final))
        return {"cut": judge.verdict(found), "cut-control": judge.verdict([] if control else ["without fdatasync nothing was missed"])}

    @staticmethod
    def instants(run, entries):
        """Half of them anywhere, half within a change, where the interesting states are."""
        rng, count = random.Random(run.seed), SHORT_INSTANTS if run.short else INSTANTS
        first, last = entries[0].began, entries[-1].ended
        within = [rng.choice(entries) for _ in range(count // 2)]
        return sorted([rng.randint(first, last) for _ in range(count - count // 2)] + [rng.randint(e.began, e.ended) for e in within])

    def cut(self, entries, instants, promises, scratch, seed, without=()):
        rng, disk, at, self.torn = random.Random(seed), Disk(without), 0, 0
        for instant in instants:
            while at < len(entries) and self.happened(entries[at], instant):
                disk.follow(entries[at])
                at += 1
            for chance in CHANCES:
                shutil.rmtree(scratch, ignore_errors=True)
                scratch.mkdir()
                disk.image(scratch, chance, rng)
                yield from (f"at {instant} with {chance} of what was not synced: {fault}" for fault in self.look(scratch, instant, promises))
        shutil.rmtree(scratch, ignore_errors=True)

    @staticmethod
    def happened(entry, instant):
        """A sync counts when it has ended, anything else from its beginning on."""
        return (entry.ended if entry.call in ("fdatasync", "fsync") else entry.began) <= instant

    def look(self, scratch, instant, promises):
        stats, records = recover(scratch)
        if "failed" in stats:
            yield f"the log does not open: {stats['failed']}"
            return
        again, same = recover(scratch)
        self.torn += stats["torn_bytes"] > 0
        if stats["damaged"] or stats["quarantined"]:
            yield f"a cut is taken for damage: {stats}"
        if same != records or again.get("unacked") != stats["unacked"]:
            yield f"the second recovery finds {len(same)} records, {again}; the first {len(records)}, {stats}"
        yield from promises.missed(instant, records)


class Promises:
    """The answers to the clients by an instant, and the log's records in the end."""

    def __init__(self, run, history, ledger, inbox):
        self.final = recover(inbox)[1]
        self.ids = {str(record["lsn"]): record["id"] for record in ledger["log"]}
        operations = judge.Operations(history)
        began = run.recorder.began
        self.told = sorted((int((began + operation["returned"]) * 1e9), operation["id"]) for operation in operations.ok)

    def missed(self, instant, records):
        there = {}
        for lsn, digest in records.items():
            if self.final.get(lsn) != digest:
                yield f"record {lsn} is not what the log held in the end"
            there[self.ids.get(lsn)] = there.get(self.ids.get(lsn), 0) + 1
        owed = {}
        for told, name in self.told:
            if told >= instant:
                break
            owed[name] = owed.get(name, 0) + 1
        for name, count in owed.items():
            if there.get(name, 0) < count:
                yield f"{name}: answered {count} times before the cut, {there.get(name, 0)} records of it are there"


TRIAL = PowerCut()
