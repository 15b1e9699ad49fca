# SPDX-License-Identifier: MIT
"""Runs trials: tests/chaos/run.py [TRIAL...] [OPTION...], see --help. `./run chaos` builds first.

One line of JSON a run goes to build/chaos/results.ndjson; a table to the terminal. Exit status 1: an invariant is broken.
"""
import argparse
import importlib
import json
import pathlib
import random
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from controls import CONTROLS, verdict_on  # noqa: E402
from kit import ROOT  # noqa: E402
from kit.judge import WORDS  # noqa: E402
from kit.table import table  # noqa: E402
from kit.trial import Run  # noqa: E402

from harness.process import BIN_DIR, SEED, SLOW  # noqa: E402

OUT = BIN_DIR.parent / "chaos"
SKIPPED = 77  # as ctest knows it


def trials():
    """name -> (trial, its sentence), in the order of the files."""
    found = {}
    for path in sorted((HERE / "trials").glob("t*.py")):
        module = importlib.import_module(f"trials.{path.stem}")
        found[module.TRIAL.name] = module.TRIAL, " ".join(module.__doc__.split())
    return found


def chosen(words, known):
    """Trials by their names (T1) or their files' (t01_kill_worker)."""
    files = {type(trial).__module__.split(".")[-1]: name for name, (trial, _) in known.items()}
    return [files.get(word, word) for word in words] or list(known)


def revision():
    done = subprocess.run(["git", "-c", "safe.directory=*", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return done.stdout.strip() or None


def first_seed(name):
    """The same for every run of a trial, unless FLK_TEST_SEED says otherwise."""
    return random.Random(f"{SEED} {name}").getrandbits(30)


def show(result):
    if "error" in result:
        print(f"  {result['trial']:5} seed {result['seed']:<10} BROKEN: could not be carried out\n{result['error']}")
        return
    marks = " ".join(f"{name}{ {True: '+', False: '!', None: '.'}[v['holds']] }" for name, v in result["verdicts"].items())
    print(f"  {result['trial']:5} seed {result['seed']:<10} {'holds ' if result['holds'] else 'BROKEN'} {marks}")
    print(f"        {result['operations']} sent at {result['rate']}/s: {result['ok']} ok, {result['fail']} refused, {result['info']} unknown "
          f"({result['put_off']} told 503); {result['faults']} faults; gap {result['gap_s']} s, back to speed {result['recovery_s']} s; "
          f"p99 {result['p99_base_ms']} / {result['p99_faults_ms']} / {result['p99_after_ms']} ms; drained {result['drain_s']} s")
    for name, found in result["verdicts"].items():
        for line in found["found"] if found["holds"] is False else ():
            print(f"        {name} {WORDS.get(name, '')}: {line}")
    sys.stdout.flush()


def execute(trial, seed, short, keep):
    directory = OUT / f"{trial.name}-{seed}"
    began = time.monotonic()
    run = Run(trial, seed, short, directory)
    result = run.execute()
    result.update(seconds=round(time.monotonic() - began, 1), revision=revision(), slow=SLOW)
    with open(OUT / "results.ndjson", "a", encoding="ascii") as file:
        file.write(json.dumps(result) + "\n")
    show(result)
    if not result["holds"]:
        print(f"        history, ledger and logs: {directory}")
        for line in run.plan:
            print("        planned:", *line)
    elif not keep:
        shutil.rmtree(directory)
    return result["holds"]


def control(short_names):
    """Every control, or those named: each must be red where it says. True when all are."""
    wrong = 0
    for trial in CONTROLS:
        if short_names and trial.name not in short_names:
            continue
        directory = OUT / f"control-{trial.name}"
        result = Run(trial, first_seed(trial.name), True, directory).execute()
        complaint = result.get("error") or verdict_on(trial, result)
        print(f"  {trial.name:18} {'as it must: ' + (trial.red or 'green') if complaint is None else 'NOT SO: ' + complaint:28} {trial.__doc__}")
        for name in trial.red.split() if complaint is None else ():
            for line in result["verdicts"][name]["found"][:1]:
                print(f"    {name} {WORDS[name]}: {line[:200]}")
        sys.stdout.flush()
        wrong += complaint is not None
        if complaint is None:
            shutil.rmtree(directory)
    return wrong == 0


def main():
    parser = argparse.ArgumentParser(description="Faults under load, and what must hold afterwards.")
    parser.add_argument("trials", nargs="*", metavar="TRIAL", help="T1, T5, or a file's name; all without any")
    parser.add_argument("--short", action="store_true", help="a few seconds each")
    parser.add_argument("--seed", type=int, help="of the first run; the next ones count up from it")
    parser.add_argument("--runs", type=int, default=1, help="how often each")
    parser.add_argument("--seconds", type=float, help="of faults, instead of the trial's own")
    parser.add_argument("--keep", action="store_true", help="keep history and ledger of runs that hold, too")
    parser.add_argument("--list", action="store_true", help="what there is")
    parser.add_argument("--controls", action="store_true", help="break promises on purpose: the judge must see each")
    parser.add_argument("--table", action="store_true", help="the figures of all long runs so far, as Markdown")
    options = parser.parse_args()
    if options.table:
        with open(OUT / "results.ndjson", encoding="ascii") as file:
            print("\n".join(table(map(json.loads, file))))
        return 0
    if options.controls:
        OUT.mkdir(parents=True, exist_ok=True)
        return 0 if control(options.trials) else 1
    known = trials()
    if options.list:
        for name, (_, sentence) in known.items():
            print(f"{name:5} {sentence}")
        return 0
    names = chosen(options.trials, known)
    unknown = [name for name in names if name not in known]
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(known)}")
    OUT.mkdir(parents=True, exist_ok=True)
    broken, skipped = [], 0
    for name in names:
        trial, sentence = known[name]
        print(f"{name}  {sentence}")
        trial.seconds = options.seconds or trial.seconds
        reason = trial.missing()
        if reason:
            print(f"  skipped: {reason}")
            skipped += 1
            continue
        seed = first_seed(name) if options.seed is None else options.seed
        broken += [f"{name} --seed {seed + k}" for k in range(options.runs) if not execute(trial, seed + k, options.short, options.keep)]
    if broken:
        print("broken:", "; ".join(broken))
    return 1 if broken else SKIPPED if skipped == len(names) else 0


if __name__ == "__main__":
    sys.exit(main())
