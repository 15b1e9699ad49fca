# SPDX-License-Identifier: MIT
"""One drill's judgement, and the table of all of them."""
import collections
import json
import time

from .place import REPORT, say

RESULTS = REPORT / "results.json"
HEAD = ("drill", "PCS", "lost / changed / doubled", "503", "refused", "other broken", "longest gap", "restarts", "Warning events", "took",
        "held", "seen beside")
# Probes fail while a pod starts or ends; a kubelet whose cache of Secrets is late on a busy machine mounts them at the next try.
EXPECTED_WARNINGS = frozenset({"Unhealthy", "FailedMount"})


class Row:
    """Figures are checked as they are taken; a promise that does not hold becomes a fault, in words."""

    def __init__(self, name, about):
        self.name, self.about, self.began = name, about, time.monotonic()
        self.pcs = self.lost = self.changed = self.doubled = self.unavailable = self.refused = self.broken = self.restarts = 0
        self.gap, self.loaded, self.warnings, self.faults, self.notes = 0, False, collections.Counter(), [], []

    def check(self, holds, fault):
        if not holds:
            self.faults.append(fault)
            say(f"{self.name}: FAULT: {fault}")
        return holds

    def note(self, text):
        self.notes.append(text)
        say(f"{self.name}: {text}")

    def take_load(self, report, gap_max, refused_max):
        """A report of agents.py; several add up. `refused_max` None: refused connections are counted, not judged."""
        self.loaded, errors = True, report["errors"]
        self.pcs += report["pcs"]
        self.lost += report["lost"]
        self.changed += report["changed"]
        self.doubled += report["doubled"]
        self.unavailable += report["answers"].get("503", 0)
        self.refused += errors.get("refused", 0)
        self.broken += sum(errors.values()) - errors.get("refused", 0)
        self.gap = max(self.gap, report["gap_s"])
        self.check(report["pcs"] > 0 and report["lost"] == report["changed"] == report["doubled"] == 0, f"promises broken: {report['some']}")
        self.check(report["gap_s"] <= gap_max, f"no verdict for {report['gap_s']} s from {report['gap_at_s']} s on, more than {gap_max} s")
        if refused_max is not None:
            self.check(errors.get("refused", 0) <= refused_max, f"{errors.get('refused', 0)} connections refused, more than {refused_max}")
        others = {status for status in report["answers"] if status not in ("200", "202", "503")}
        self.check(not others, f"answers {sorted(others)}")

    def take_events(self, restarts, restarts_max, warnings, expected):
        self.restarts += restarts
        self.warnings += warnings
        self.check(restarts <= restarts_max, f"{restarts} restarts, more than {restarts_max}")
        strange = {reason: count for reason, count in warnings.items() if reason not in EXPECTED_WARNINGS | expected}
        self.check(not strange, f"Warning events: {strange}")

    def keep(self):
        REPORT.mkdir(parents=True, exist_ok=True)
        kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        kept[self.name] = {**{name: value for name, value in vars(self).items() if name != "began"}, "took": round(time.monotonic() - self.began)}
        RESULTS.write_text(json.dumps(kept, indent=1))


def line(kept):
    warnings = ", ".join(f"{reason} {count}" for reason, count in sorted(kept["warnings"].items())) or "none"
    load = [f"{kept['pcs']:,}", f"{kept['lost']} / {kept['changed']} / {kept['doubled']}", kept["unavailable"], kept["refused"], kept["broken"],
            f"{kept['gap']:.2f} s"] if kept["loaded"] else ["", "", "", "", "", ""]
    told = "; ".join([*kept["notes"], *(f"**{fault[:200]}**" for fault in kept["faults"])])
    return [f"{kept['name']}: {kept['about']}", *load, kept["restarts"], warnings, f"{kept['took']} s", "no" if kept["faults"] else "yes",
            told.replace("|", "/").replace("\n", " ")]


def write_table(order):
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    rows = [line(kept[name]) for name in order if name in kept]
    text = "".join(f"| {' | '.join(map(str, cells))} |\n" for cells in [HEAD, ["---"] * len(HEAD), *rows])
    (REPORT / "results.md").write_text(text)
    return text
