# SPDX-License-Identifier: MIT
"""The settings table, each program's --help, and the table of OPERATING.md say the same."""
import re
import subprocess

PAGE = "OPERATING.md"
PROGRAMS = {"G": "flk-gateway", "B": "flk-broker", "W": "flk-worker", "A": "flk-agent", "R": "flk-replay", "L": "flk-follow", "F": "flk"}
ROW = re.compile(r'X\(\w+, "(\w+)", \w+, ([A-Z |]+), "([^"]*)"')


def table(tree):
    """name -> (letters of its programs, default)"""
    source = re.sub(r"\s*\\\n\s*", " ", tree.read("common/program/settings_table.h"))
    return {name: (set(letters.replace(" ", "").split("|")), default) for name, letters, default in ROW.findall(source)}


def output(tree, program, argument):
    return subprocess.run([str(tree.bin_dir / program), argument], capture_output=True, text=True, timeout=20, env={}).stdout


def check_help(tree, rows):
    for letter, program in PROGRAMS.items():
        listed = dict(re.findall(r"^  ([A-Z][A-Z0-9_]+) +(.*)", output(tree, program, "--help"), re.M))
        wanted = {name: default for name, (letters, default) in rows.items() if letter in letters}
        for name in sorted(listed.keys() ^ wanted.keys()):
            yield f"{program}: --help {'lists' if name in listed else 'lacks'} {name}, the table does {'not ' if name in listed else ''}list it"
        for name in sorted(listed.keys() & wanted.keys()):
            if not listed[name].startswith(wanted[name]):
                yield f"{program}: --help gives {name} the default {listed[name]!r}, the table {wanted[name]!r}"


def check_page(tree):
    block = re.search(r"<!-- settings -->\n(.*)<!-- /settings -->", tree.read(PAGE), re.S)
    if not block:
        return [f"{PAGE}: has no block between <!-- settings --> and <!-- /settings -->"]
    if block.group(1).strip() != output(tree, "flk", "settings").strip():
        return [f"{PAGE}: the settings table is not what `flk settings` prints; put that between the markers"]
    return []


def check(tree):
    rows = table(tree)
    faults = [] if len(rows) > 20 else ["common/program/settings_table.h: cannot be read by this rule"]
    return [*faults, *check_help(tree, rows), *check_page(tree)]


def plant_page(tree):
    tree.replace(PAGE, "| `TOKEN_RATE` | gateway | `0` |", "| `TOKEN_RATE` | gateway | `1` |")
    return PAGE


def plant_default(tree):
    tree.replace("common/program/settings_table.h", '"5000", "ms"', '"6000", "ms"')
    return "flk-gateway"


def plant_row(tree):
    tree.replace("common/program/settings_table.h", "#define FLK_SETTINGS(X)", '#define FLK_SETTINGS(X) X(NEW, "FLK_NEW", STR, W, "", "", "", "")')
    return "flk-worker"


PLANTS = {"page": plant_page, "default": plant_default, "row": plant_row}
