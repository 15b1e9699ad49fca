# SPDX-License-Identifier: MIT
"""The licence stands in the first lines of every source; a header's second line tells its purpose, its guard its place."""
import re

SOURCES = (".c", ".h", ".l", ".y", ".py", ".sh", ".cmake", "CMakeLists.txt", "/run")
LICENCE = "SPDX-License-Identifier: MIT"


def check_header(name, text):
    guard = "FLK_" + re.sub(r"\W", "_", name).upper()
    if name.startswith("tests/"):
        guard = r"FLK_\w+_H"  # by convention only: nobody else includes these
    if not re.search(rf"^#ifndef {guard}\n#define {guard}\n", text, re.M) or not text.endswith("#endif\n"):
        yield f"{name}: the guard is not {guard}"
    if not re.match(r"[^\n]*\n/\* \w", text):
        yield f"{name}: the second line does not say what it is"


def check(tree):
    faults = []
    for name in tree.files:
        text = tree.read(name)
        if (name.endswith(SOURCES) or name == "run") and LICENCE not in "\n".join(text.split("\n")[:3]):
            faults.append(f"{name}: lacks {LICENCE} in its first lines")
        if name.endswith(".h"):
            faults += check_header(name, text)
    return faults


def plant_licence(tree):
    tree.replace("common/err.c", LICENCE, "none")
    return "common/err.c"


def plant_guard(tree):
    tree.replace("common/err.h", "#define FLK_COMMON_ERR_H", "#define FLK_ERR_H")
    return "common/err.h"


def plant_purpose(tree):
    text = tree.read("common/err.h").split("\n", 2)
    tree.write("common/err.h", text[0] + "\n#include <stdio.h>\n" + text[2])
    return "common/err.h"


PLANTS = {"licence": plant_licence, "guard": plant_guard, "purpose": plant_purpose}
