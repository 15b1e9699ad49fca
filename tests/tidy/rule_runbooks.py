# SPDX-License-Identifier: MIT
"""Every alert's runbook is a heading of the README, and every runbook of the README belongs to an alert."""
import re

RULES, README = "compose/prometheus/flk.rules.yml", "README.md"


def slug(heading):
    """As the usual renderers of Markdown make anchors."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def runbooks(text):
    section = re.search(r"^## Runbooks\n(.*?)(?=^## )", text, re.M | re.S)
    return {slug(heading) for heading in re.findall(r"^### (.+)$", section.group(1), re.M)} if section else set()


def check(tree):
    there = runbooks(tree.read(README))
    named = {}
    for alert, url in re.findall(r"- alert: (\w+)\n(?:.*\n)*?\s+runbook_url: (\S+)", tree.read(RULES)):
        named.setdefault(url.partition("#")[2], []).append(alert)
    faults = [] if len(named) > 5 else [f"{RULES}: cannot be read by this rule"]
    faults += [f"{RULES}: {', '.join(alerts)}: README.md has no runbook #{anchor}"
               for anchor, alerts in named.items() if anchor not in there]
    return faults + [f"{README}: no alert leads to the runbook #{anchor}" for anchor in sorted(there - named.keys())]


def plant_heading(tree):
    tree.replace(README, "### The store is down", "### The store went down")
    return RULES


def plant_runbook(tree):
    tree.replace(README, "### The store is down", "### Nobody comes here\n\n### The store is down")
    return README


def plant_alert(tree):
    tree.replace(RULES, "README.md#slow-answers", "README.md#slow")
    return RULES


PLANTS = {"heading": plant_heading, "runbook": plant_runbook, "alert": plant_alert}
