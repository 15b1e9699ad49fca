# SPDX-License-Identifier: MIT
"""Measures the cluster against its targets. Without a name: all rows, in some five minutes on two idle cores."""
import argparse
import json
import subprocess
import sys
import time

import plot
from measure import BENCH_DIR, ROOT, Plan, machine
from rows import ROWS

WIDTHS = 58, 60, 22
SLOW = ["verify", "stores"]  # not in a smoke run: the one has no short form, the other waits for servers


def verdict(line):
    return "" if line.fine is None else "ok" if line.fine else "MISSED"


def show(line):
    cells = [f"{text:{width}}" for text, width in zip((line.what, line.measured, line.target), WIDTHS)]
    print("  ".join([*cells, verdict(line)]).rstrip(), flush=True)


def commit():
    done = subprocess.run(["git", "-C", str(ROOT), "describe", "--always", "--dirty"], capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def measure(names, plan):
    """Rows that cannot be measured are told and counted; the others go on."""
    results, broken = {"machine": machine(), "commit": commit(), "rows": {}, "data": {}}, []
    print("  ".join(f"{text:{width}}" for text, width in zip(("", "measured", "target"), WIDTHS)))
    for name in names:
        began, lines = time.monotonic(), results["rows"].setdefault(name, [])
        try:
            for line in ROWS[name](plan, results["data"]):
                show(line)
                lines.append({"what": line.what, "measured": line.measured, "target": line.target, "verdict": verdict(line)})
        except Exception as error:  # a server that does not start must not cost the other rows
            broken.append(name)
            print(f"{name}: not measured: {error}", file=sys.stderr, flush=True)
        results["machine"].setdefault("seconds", {})[name] = round(time.monotonic() - began, 1)
    results["machine"]["load_after"] = machine()["load_before"]
    return results, broken


def main():
    parser = argparse.ArgumentParser(prog="./run bench", description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="a glimpse of each row, to see that it runs")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join([*ROWS, "plot"]) + ", or a program's: bench_NAME")
    options = parser.parse_args()
    path = BENCH_DIR / ("smoke.json" if options.smoke else "results.json")
    if options.names == ["plot"]:
        return plot.draw(path, BENCH_DIR)
    for name in options.names:
        if name not in ROWS:
            program = BENCH_DIR / ("bench_" + name)
            if not program.exists():
                parser.error(f"there is no '{name}'")
            return subprocess.run([str(program)]).returncode
    rows = [name for name in ROWS if not options.smoke or name not in SLOW]
    results, broken = measure(options.names or rows, Plan(options.smoke))
    path.write_text(json.dumps(results, indent=1) + "\n")
    missed = sum(line["verdict"] == "MISSED" for lines in results["rows"].values() for line in lines)
    print(f"\n{path}: {missed} targets missed, {len(broken)} rows not measured {' '.join(broken)}".rstrip())
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
