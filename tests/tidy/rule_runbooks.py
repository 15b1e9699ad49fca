# SPDX-License-Identifier: MIT
"""Every alert's runbook is a heading of OPERATING.md, and every runbook there belongs to an alert."""
import re

RULES, RUNBOOKS = "compose/prometheus/flk.rules.yml", "OPERATING.md"


def slug(heading):
    """As the usual renderers of Markdown make anchors."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def runbooks(text):
    section = re.search(r"^## Runbooks\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    return {slug(heading) for heading in re.findall(r"^### (.+)$", section.group(1), re.M)} if section else set()


def check(tree):
    there = runbooks(tree.read(RUNBOOKS))
    named = {}
    for alert, url in re.findall(r"- alert: (\w+)\n(?:.*\n)*?\s+runbook_url: (\S+)", tree.read(RULES)):
        named.setdefault(url.partition("#")[2], []).append(alert)
    faults = [] if len(named) > 5 else [f"{RULES}: cannot be read by this rule"]
    faults += [f"{RULES}: {', '.join(alerts)}: {RUNBOOKS} has no runbook #{anchor}"
               for anchor, alerts in named.items() if anchor not in there]
    return faults + [f"{RUNBOOKS}: no alert leads to the runbook #{anchor}" for anchor in sorted(there - named.keys())]


def plant_heading(tree):
    tree.replace(RUNBOOKS, "### The store is down", "### The store went down")
    return RULES


def plant_runbook(tree):
    tree.replace(RUNBOOKS, "### The store is down", "### Nobody comes here\n\n### The store is down")
    return RUNBOOKS


def plant_alert(tree):
    tree.replace(RULES, "OPERATING.md#slow-answers", "OPERATING.md#slow")
    return RULES


PLANTS = {"heading": plant_heading, "runbook": plant_runbook, "alert": plant_alert}
