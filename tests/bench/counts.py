# SPDX-License-Identifier: MIT
"""Instructions of the verify path and of the broker path, counted by callgrind: within 5 % of those that counts.json records for this
compiler and these libraries. `counts.py --record` writes the present ones down; say why in the commit. Exit 77: cannot tell here."""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

RECORD = pathlib.Path(__file__).with_name("counts.json")
PATHS = ["verify", "broker"]
TOLERANCE = 0.05
SKIP = 77


def count(program, path):
    with tempfile.TemporaryDirectory(prefix="flk-counts-") as directory:
        run = subprocess.run(["valgrind", "--tool=callgrind", f"--toggle-collect=counted_{path}",
                              f"--callgrind-out-file={directory}/out", program, path], capture_output=True, text=True)
    collected = re.search(r"Collected : (\d+)", run.stderr)
    assert run.returncode == 0 and collected, run.stderr
    built, records = run.stdout.splitlines()
    return built, int(collected[1]) / int(records.split()[1])


def main():
    program = sys.argv[1]
    if shutil.which("valgrind") is None:
        print("skipped: no valgrind")
        return SKIP
    recorded = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    fine = True
    for path in PATHS:
        built, figure = count(program, path)
        if "--record" in sys.argv:
            recorded.setdefault(built, {})[path] = round(figure)
        elif path not in recorded.get(built, {}):
            print(f"skipped: counts.json has no counts for {built}; counts.py PROGRAM --record adds them")
            return SKIP
        expected = recorded[built][path]
        drift = figure / expected - 1
        print(f"{path}: {figure:.0f} instructions a record, recorded {expected} ({drift:+.1%}), {built}")
        fine = fine and abs(drift) <= TOLERANCE
    if "--record" in sys.argv:
        RECORD.write_text(json.dumps(recorded, indent=2, sort_keys=True) + "\n")
    if not fine:
        print("not within 5 %: if that is meant, record it")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
