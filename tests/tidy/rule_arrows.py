# SPDX-License-Identifier: MIT
"""Dependency arrows of the map: a folder includes itself, proto and common; proto itself and common; common itself.
Includes are spelled from the root and exist. Tests may include everything, and what lies beside them by its name alone."""
import pathlib
import re

FOLDERS = {"common": {"common"}, "proto": {"proto", "common"}}
for sibling in ("gateway", "broker", "worker", "agent"):
    FOLDERS[sibling] = {sibling, "proto", "common"}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def check(tree):
    faults, known = [], set(tree.files)
    for name in tree.ending(".c", ".h"):
        folder = name.split("/")[0]
        for target in INCLUDE.findall(tree.read(name)):
            beside = str(pathlib.PurePosixPath(name).parent / target)
            if folder == "tests" and beside in known:
                continue
            if target not in known:
                faults.append(f"{name}: includes \"{target}\", which is no file of the tree spelled from its root")
            elif folder != "tests" and target.split("/")[0] not in FOLDERS[folder]:
                faults.append(f"{name}: {folder} must not depend on {target.split('/')[0]} (\"{target}\")")
    return faults


def plant_sibling(tree):
    tree.replace("worker/main.c", "#include ", '#include "broker/queue.h"\n#include ')
    return "worker/main.c"


def plant_upwards(tree):
    tree.replace("common/err.c", "#include ", '#include "proto/frame.h"\n#include ')
    return "common/err.c"


def plant_relative(tree):
    tree.replace("common/err.c", '"common/err.h"', '"err.h"')
    return "common/err.c"


PLANTS = {"sibling": plant_sibling, "upwards": plant_upwards, "relative": plant_relative}
