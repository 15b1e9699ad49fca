# SPDX-License-Identifier: MIT
"""A room stays small enough to read: 40 sources and headers a folder (the floor 50), 200 lines a header."""
import collections
import pathlib

FILES_MAX, HEADER_LINES_MAX = 40, 200
LARGER = {"common": 50, "gateway": 60, "proto": 50}  # one topic each
PRODUCT = ("common/", "proto/", "gateway/", "broker/", "worker/", "agent/", "follow/")


def check(tree):
    sources = [name for name in tree.ending(".c", ".h") if name.startswith(PRODUCT)]
    counts = collections.Counter(str(pathlib.PurePosixPath(name).parent) for name in sources)
    faults = [f"{room}/: {count} sources and headers, more than {LARGER.get(room, FILES_MAX)}" for room, count in counts.items()
              if count > LARGER.get(room, FILES_MAX)]
    return faults + [f"{name}: {lines} lines, more than {HEADER_LINES_MAX}" for name in sources if name.endswith(".h")
                     and (lines := tree.read(name).count("\n")) > HEADER_LINES_MAX]


def plant_files(tree):
    for number in range(FILES_MAX):
        tree.write(f"broker/part_{number}.c", "\n")
    return "broker/"


def plant_header(tree):
    tree.write("broker/broker.h", tree.read("broker/broker.h") + "\n" * HEADER_LINES_MAX)
    return "broker/broker.h"


PLANTS = {"files": plant_files, "header": plant_header}
