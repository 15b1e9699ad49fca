# SPDX-License-Identifier: MIT
"""C sources are formatted as clang-format 14 does with .clang-format; other versions format differently."""
import re
import shutil
import subprocess


def tool():
    for name in ("clang-format-14", "clang-format"):
        if shutil.which(name) and re.search(r"version 14\.", subprocess.run([name, "--version"], capture_output=True, text=True).stdout):
            return name
    return None


def missing():
    return None if tool() else "clang-format 14 is not here (Debian 13 has a later one)"


def check(tree):
    done = subprocess.run([tool(), "--dry-run", "-Werror", *tree.ending(".c", ".h")], cwd=tree.root, capture_output=True, text=True)
    return [line for line in done.stderr.splitlines() if "error:" in line]


def plant_indent(tree):
    tree.replace("common/err.c", "\n    ", "\n   ")
    return "common/err.c"


PLANTS = {"indent": plant_indent}
