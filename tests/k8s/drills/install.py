# SPDX-License-Identifier: MIT
import time

from kit.kubectl import CHART, helm
from kit.stage import SPACE, stage

ABOUT = "default values under PodSecurity restricted, helm test"


def run(row):
    said = helm("lint", "--strict", CHART)
    row.check("1 chart(s) linted, 0 chart(s) failed" in said.stdout, said.stdout)
    with stage(row, base={}) as made:
        began = time.monotonic()
        helm("test", "flk", "-n", SPACE, "--timeout", "120s")
        row.note(f"helm test green in {time.monotonic() - began:.1f} s")
        row.check(not made.warnings(), f"Warning events: {made.warnings()}")
        warned, _ = made.upgrade()
        row.check("PodSecurity" not in warned, warned)
        # The chart's own key signs; agents need one that they know.
        made.upgrade({"signing": {"enabled": True, "existingSecret": "keys"}})
        helm("test", "flk", "-n", SPACE, "--timeout", "120s")
        with made.load(rate=300, after=15):
            pass
