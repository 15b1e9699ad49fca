# SPDX-License-Identifier: MIT
"""A start of a log's owner, on a directory of our own making."""
import json
import shutil
import subprocess

from . import TOOLS


def recover(directory, remove=False):
    """(the start's lines, {lsn: hash of its record} that the log then holds). The directory is changed, or removed."""
    done = subprocess.run([TOOLS / "flk-recover", directory], capture_output=True, text=True, timeout=60)
    if remove:
        shutil.rmtree(directory)
    if done.returncode != 0:
        return dict(failed=done.stderr.strip() or f"ended with {done.returncode}"), {}
    head, *lines = done.stdout.splitlines()
    return json.loads(head), dict(line.split() for line in lines)
