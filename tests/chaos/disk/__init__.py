# SPDX-License-Identifier: MIT
"""Disks that fail: the shim between a program and its files, and its journal."""
import os

from harness.process import BIN_DIR, sanitized

TOOLS = BIN_DIR.parent / "tests"
SHIM = TOOLS / "libflk_disk.so"


def missing():
    """Why no disk can be made to fail here; None when it can."""
    return "a sanitizer's runtime cannot be loaded behind the shim" if sanitized() else None


class FaultyDisk:
    """The files of one program under a directory, with rules that may change while it runs (disk/shim.c)."""

    def __init__(self, daemon, directory, scratch, journal=False):
        self.rules, self.journal = scratch / f"{daemon.name}.rules", scratch / f"{daemon.name}.journal"
        self.rules.write_text("")
        daemon.env.update(LD_PRELOAD=SHIM, DISK_SHIM_DIR=directory, DISK_SHIM_FAULTS=self.rules)
        if journal:
            daemon.env["DISK_SHIM_JOURNAL"] = self.journal

    def set(self, *rules):
        """Each rule: "CALL ACTION VALUE SKIP TIMES"."""
        fresh = self.rules.with_suffix(".new")
        fresh.write_text("".join(f"{rule}\n" for rule in rules))
        os.replace(fresh, self.rules)

    def heal(self):
        self.set()
