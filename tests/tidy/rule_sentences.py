# SPDX-License-Identifier: MIT
"""Above each test stands the sentence that says the behaviour; every test that is written is run. In comments and texts a noun is
the subject or object, and no clause that begins with `who` or `what`."""
import io
import re
import tokenize

TOKEN = re.compile(r"/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.S)
CLAUSE = re.compile(r"\b[Ww](?:hat|hatever|ho|hoever|hom)\b")
CITED = re.compile(r"`[^`]*`|PROTOCOL\.md, \"What is signed\"")


def comments_c(text):
    """(line, comment or text) of a C source; a string without a blank is a name."""
    for token in TOKEN.finditer(text):
        words = re.sub(r"\n *\*? *", " ", token.group())
        if words[0] == "/" or words[0] == '"' and " " in words:
            yield text.count("\n", 0, token.start()) + 1, words


def comments_python(text):
    """(line, comment or docstring) of a Python source."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT or token.string.startswith('"""'):
            yield token.start[0], " ".join(token.string.split())


def check_clauses(name, comments):
    for line, words in comments:
        clause = CLAUSE.search(CITED.sub("", words))
        if clause:
            yield f"{name}:{line}: a clause with \"{clause.group()}\": say it with a noun"


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
        if name.endswith((".c", ".h")):
            faults += check_clauses(name, comments_c(tree.read(name)))
        elif name.endswith(".py"):
            faults += check_clauses(name, comments_python(tree.read(name)))
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


def planted(name, text):
    def plant(tree):
        tree.write(name, text)
        return name
    return plant


PLANTS = {"c": plant_c, "not_run": plant_not_run, "python": plant_python,
          "clause": planted("common/planted.c", "/* Counts it,\n * whatever it is. */\n"),
          "text": planted("common/planted.c", 'static const char no[] = "unknown to who asks";\n'),
          "docstring": planted("tests/planted.py", '"""Says who\nit is."""\n')}
