# SPDX-License-Identifier: MIT
"""The chart on a real Kubernetes: starts the cluster, runs drills, writes build/k8s/results.md.

usage: run.py [DRILL...]   every drill, or some; the cluster stays up until `down`
       run.py list | up | down | forget (down, and its objects and volumes go too)"""
import pathlib
import sys
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from drills import DRILLS  # noqa: E402
from kit import cluster  # noqa: E402
from kit.place import Broken, say  # noqa: E402
from kit.row import Row, write_table  # noqa: E402


def run(name):
    row = Row(name, DRILLS[name].ABOUT)
    say(f"{name}: {row.about}")
    began = time.monotonic()
    try:
        DRILLS[name].run(row)
    except (Broken, AssertionError) as fault:
        row.check(False, str(fault))
    except Exception:
        row.check(False, traceback.format_exc())
    row.keep()
    say(f"{name}: {'FAILED' if row.faults else 'held'} after {time.monotonic() - began:.0f} s")
    return not row.faults


def main(words):
    if words == ["list"]:
        print("\n".join(DRILLS))
        return 0
    if words in (["down"], ["forget"]):
        cluster.down(forget=words == ["forget"])
        return 0
    unknown = [word for word in words if word not in DRILLS and word != "up"]
    if unknown:
        raise Broken(f"'{unknown[0]}' is none of {', '.join(DRILLS)}, list, up, down, forget")
    cluster.up()
    if words == ["up"]:
        return 0
    held = [run(name) for name in words or DRILLS]
    print(write_table(DRILLS))
    say(f"{sum(held)} of {len(held)} drills held: build/k8s/results.md")
    return 0 if all(held) else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Broken as fault:
        say(fault)
        sys.exit(1)
