# SPDX-License-Identifier: MIT
"""A thousand damages to a gateway's log, one at a time: it opens, loses the records that were hit and nothing else, twice the same, and flk-replay verify names each."""
import pathlib
import random
import shutil

from disk import missing
from disk.start import recover
from harness.process import run as run_program
from kit import judge
from kit.ledger import KEYS, replay
from kit.trial import Trial

DAMAGES, SHORT_DAMAGES = 1000, 60
HEADER_BYTES, ITEM_BYTES, SECTOR = 88, 40, 512


class Damage(Trial):
    name = "T18"
    cluster = dict(workers=2, threads=1, gateway_env={"FLK_WAL_SEGMENT_BYTES": 131072})
    rate, seconds, short_seconds = 300, 3, 1

    def missing(self):
        return missing()

    def plan(self, random, seconds):
        return [(seconds, "nothing", "gateway-0")]

    def do_nothing(self, run, target):
        """The damage comes afterwards, to copies of this run's log."""

    def extra(self, run, history, ledger):
        gateway, scratch = run.cluster.gateway, run.directory / "copy"
        self.inbox = pathlib.Path(gateway.env["FLK_DATA_DIR"]) / "inbox"
        self.rows = [row for row in replay(gateway, "list")[0]]
        self.sound = self.found(self.inbox)
        faults, count = [], SHORT_DAMAGES if run.short else DAMAGES
        for number in range(count):
            rng = random.Random(f"{run.seed} {number}")
            shutil.rmtree(scratch, ignore_errors=True)
            shutil.copytree(self.inbox, scratch)
            text, hit, named = damage(rng, scratch)
            faults += [f"damage {number}: {text}: {fault}" for fault in self.look(scratch, hit, named)]
        shutil.rmtree(scratch, ignore_errors=True)
        run.extra_figures.update(damages=count, records=len(self.sound), segments=len(segments(self.inbox)))
        return {"damage": judge.verdict(faults)}

    def found(self, directory):
        """{lsn: hash} as the log reads now, without opening it."""
        return recover(shutil.copytree(directory, directory.parent / "look"), remove=True)[1]

    def look(self, scratch, hit, named):
        verified = run_program("flk-replay", "verify", "--dir", scratch, env=KEYS, seconds=60)
        if verified.returncode != (1 if named else 0):
            yield f"verify ended with {verified.returncode}: {verified.stdout.strip()[-300:]}"
        stats, records = recover(scratch)
        again, same = recover(scratch)
        if "failed" in stats or same != records:
            yield f"a start finds {stats}, {len(records)} records; the next {again}, {len(same)}"
            return
        for lsn, digest in records.items():
            if self.sound.get(lsn) != digest:
                yield f"record {lsn} is not what was written"
        for row in self.rows:
            end = row["offset"] + ITEM_BYTES + row["body_bytes"]
            if str(row["lsn"]) not in records and not any(row["segment"] == name and row["offset"] < to and end > begin for name, begin, to in hit):
                yield f"record {row['lsn']} was lost, and not hit"


def segments(directory):
    return sorted(path for path in directory.iterdir() if path.name.startswith("wal-") and path.suffix == ".seg")


def damage(rng, directory):
    """One change: (in words, [(segment, from, to) that may be lost], whether verify has to name it)."""
    paths = segments(directory)
    path, other = rng.choice(paths), rng.choice(paths)
    data = bytearray(path.read_bytes())
    at, kind = rng.randrange(len(data)), rng.choice(("flip", "flip", "cut", "zero", "header", "remove", "copy", "swap", "foreign", "empty"))
    text, hit, named = f"{kind} of {path.name} at {at}", [], True
    if kind in ("flip", "zero", "header"):
        begin, end = {"flip": (at, at + 1), "zero": (at // SECTOR * SECTOR, at // SECTOR * SECTOR + SECTOR), "header": (0, HEADER_BYTES)}[kind]
        new = bytearray(data)
        new[begin:end] = bytes([data[at] ^ 1 << rng.randrange(8)]) if kind == "flip" else bytes(min(end, len(data)) - begin)
        named = meaningful(data, new)
        path.write_bytes(new)
        hit = [(path.name, begin, end)]
    elif kind == "cut":
        path.write_bytes(data[:at])
        named, hit = meaningful(data, data[:at] + bytes(len(data) - at)), [(path.name, at, len(data))]
    elif kind == "remove":
        path.unlink()
        named, hit = path != paths[0], [(path.name, 0, len(data))]
    elif kind == "copy":
        (directory / "wal-00000000000fffff.seg").write_bytes(data)
    elif kind == "swap":
        path.write_bytes(other.read_bytes())
        other.write_bytes(data)
        named = path != other
    else:
        (directory / "wal-00000000000fffff.seg").write_bytes(rng.randbytes(5000) if kind == "foreign" else b"")
    return text, hit, named


def meaningful(old, new):
    """False when only the padding between items has changed, which no checksum covers: verify is silent then."""
    at, changed = HEADER_BYTES, [i for i in range(len(old)) if old[i] != new[i]]
    padding = set()
    while at + ITEM_BYTES <= len(old):
        end = at + ITEM_BYTES + int.from_bytes(old[at + 12:at + 16], "little")
        at = (end + 7) & ~7
        padding.update(range(end, at))
    return any(i not in padding for i in changed)


TRIAL = Damage()
