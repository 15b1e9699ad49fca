# SPDX-License-Identifier: MIT
"""Every row of the threat tables names a test, and every test that it names is there."""
import re

PAGE = "SECURITY.md"


def rows(text):
    """(attacker, attempt, test cell) of each row of each table whose last column is the test."""
    inside = False
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            inside = False
        elif cells[-1] == "test":
            inside = True
        elif inside and not set(line) <= set("|- "):
            yield cells[0], cells[1], cells[-1]


def is_there(tree, name):
    """Whether there is a test of this name: unit/test_x (in any folder there), test_x, integration/x, tests/fuzz."""
    kind, _, rest = name.rpartition("/")
    if kind in ("unit", ""):
        return any(file.startswith("tests/unit/") and file.endswith(f"/{rest}.c") for file in tree.files)
    return f"tests/integration/test_{rest}.py" in tree.files or f"{name}/CMakeLists.txt" in tree.files


def check(tree):
    found, faults = list(rows(tree.read(PAGE))), []
    if len(found) < 10:
        return [f"{PAGE}: the threat tables cannot be read by this rule"]
    for attacker, attempt, cell in found:
        names = re.findall(r"`([^`]+)`", cell)
        if not names:
            faults.append(f"{PAGE}: '{attacker}', '{attempt}': no test is named")
        faults += [f"{PAGE}: '{attacker}', '{attempt}': there is no test {name}"
                   for name in names if not is_there(tree, name)]
    return faults


def plant_row(tree):
    tree.replace(PAGE, "| a reader of logs |", "| a late comer | break in | hope | |\n| a reader of logs |")
    return "a late comer"


def plant_name(tree):
    tree.replace(PAGE, "`integration/tls_front` |", "`integration/tls_behind` |")
    return "tls_behind"


def plant_file(tree):
    tree.files = [name for name in tree.files if name != "tests/integration/test_curve_hostile.py"]
    return "curve_hostile"


PLANTS = {"row": plant_row, "name": plant_name, "file": plant_file}
