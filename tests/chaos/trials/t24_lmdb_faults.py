# SPDX-License-Identifier: MIT
"""Workers are killed with -9 all the time on one LMDB whose map starts at its least size: it grows, no lock stays, nothing is forgotten."""
from kit.nemesis import periodic
from kit.trial import Trial


class LmdbFaults(Trial):
    name = "T24"
    cluster = dict(workers=4, threads=1, env={"FLK_LMDB_MAP_BYTES": 1 << 20})
    limits = dict(gap_s=30, answers=(200, 202, 503))
    seconds, short_seconds = 20, 4

    def plan(self, random, seconds):
        return periodic(random, seconds, 0.3, "crash", [f"worker-{n}" for n in range(4)])


TRIAL = LmdbFaults()
