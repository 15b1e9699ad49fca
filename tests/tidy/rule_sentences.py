# SPDX-License-Identifier: MIT
"""Above each test stands the sentence that says the behaviour; every test that is written is run. In comments and texts a noun is
the subject or object, and no clause that begins with "who" or "what"."""
import re

ENGLISH = re.compile(r"(?:agent|broker|common|gateway|proto|worker)/.*\.[ch]")
TOKEN = re.compile(r"/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.S)
CLAUSE = re.compile(r"\b(?:what|whatever|who|whoever|whom)\b", re.I)
CITED = re.compile(r"`[^`]*`|PROTOCOL\.md, \"What is signed\"")


def check_clauses(name, text):
    for token in TOKEN.finditer(text):
        words = CITED.sub("", re.sub(r"\n *\*? *", " ", token.group()))
        clause = CLAUSE.search(words) if words[0] == "/" or " " in words else None
        if clause:
            number = text.count("\n", 0, token.start()) + 1
            yield f"{name}:{number}: \"{words[clause.start():clause.start() + 30]}…\": say it with a noun"


def check_c(name, text):
    for test in re.finditer(r"(.*)\nSTART_TEST\((\w+)\)", text):
        if not test.group(1).rstrip().endswith("*/"):
            yield f"{name}: no sentence above {test.group(2)}"
        if len(re.findall(rf"\b{test.group(2)}\b", text)) < 2:
            yield f"{name}: {test.group(2)} is not run"


def check_python(name, text):
    lines = text.split("\n")
    for number, line in enumerate(lines):
        test = re.match(r"def (test_\w+)\(", line)
        above = number - 1
        while test and lines[above] and not lines[above].startswith("#"):
            above -= 1  # decorators
        if test and not lines[above].startswith("#"):
            yield f"{name}: no sentence above {test.group(1)}"


def check(tree):
    faults = []
    for name in tree.files:
        if re.fullmatch(r"tests/unit/[\w/]*test_\w+\.c", name):
            faults += check_c(name, tree.read(name))
        elif re.fullmatch(r"tests/.*/test_\w+\.py", name):
            faults += check_python(name, tree.read(name))
        if ENGLISH.fullmatch(name):
            faults += check_clauses(name, tree.read(name))
    return faults


def plant_c(tree):
    tree.write("tests/unit/test_planted.c", "\n\nSTART_TEST(test_planted_x)\n{\n}\nEND_TEST\ntcase_add_test(t, test_planted_x);\n")
    return "test_planted_x"


def plant_not_run(tree):
    tree.write("tests/unit/test_planted.c", "/* It is. */\nSTART_TEST(test_planted_x)\n{\n}\nEND_TEST\n")
    return "test_planted_x"


def plant_python(tree):
    tree.write("tests/integration/test_planted.py", "import os\n\n\n@mark\ndef test_x():\n    pass\n")
    return "test_planted.py"


def planted(text):
    def plant(tree):
        tree.write("common/planted.c", text)
        return "common/planted.c"
    return plant


PLANTS = {"c": plant_c, "not_run": plant_not_run, "python": plant_python,
          "subject": planted("/* What is left goes. */\n"), "object": planted("/* Counts it,\n * whatever it is. */\n"),
          "text": planted('static const char no[] = "unknown to who asks";\n')}
