# SPDX-License-Identifier: MIT
"""Shell scripts pass shellcheck."""
import shutil
import subprocess


def missing():
    return None if shutil.which("shellcheck") else "shellcheck is not installed"


def scripts(tree):
    return [name for name in tree.files if name.endswith(".sh") or tree.read(name).startswith(("#!/bin/sh", "#!/bin/bash", "#!/usr/bin/env bash"))]


def check(tree):
    done = subprocess.run(["shellcheck", "-f", "gcc", *scripts(tree)], cwd=tree.root, capture_output=True, text=True)
    return done.stdout.splitlines()


def plant_unquoted(tree):
    tree.write("planted.sh", "#!/bin/sh\nrm $1\n")
    return "planted.sh"


PLANTS = {"unquoted": plant_unquoted}
