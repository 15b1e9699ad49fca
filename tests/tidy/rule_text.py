# SPDX-License-Identifier: MIT
"""Text files: UTF-8, Unix line ends, no tabs (but in Go, which indents by them), no blanks at line ends, a newline at the end; no
path of one person's machine, nothing left to be done."""
import re

AS_GIVEN = ("tests/data/", "tests/fuzz/regressions/")
PERSONAL = re.compile(r"(?<![\w.])/(?:home|Users|work|root)/\w")
LEFT = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X)\b")


def check_text(name, data):
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        yield f"{name}: not UTF-8 at byte {error.start}"
        return
    if text and not text.endswith("\n"):
        yield f"{name}: no newline at the end"
    for number, line in enumerate(text.split("\n"), 1):
        if line != line.rstrip():
            yield f"{name}:{number}: blanks or a carriage return at the end of the line"
        if "\t" in line and not name.endswith((".go", "/go.mod")):
            yield f"{name}:{number}: a tab"
        if PERSONAL.search(line):
            yield f"{name}:{number}: a path of one machine: {PERSONAL.search(line).group()}…"
        if LEFT.search(line):
            yield f"{name}:{number}: something left to be done"


def check(tree):
    faults = []
    for name in tree.files:
        if not name.startswith(AS_GIVEN):
            faults += check_text(name, (tree.root / name).read_bytes())
    return faults


def planted(text):
    def plant(tree):
        tree.write("common/planted.c", text)
        return "common/planted.c"
    return plant


PLANTS = {"path": planted("/* see /ho" "me/me/file */\n"), "blank": planted("int x; \n"), "tab": planted("\tint x;\n"),
          "end": planted("int x;"), "return": planted("int x;\r\n"), "left": planted("/* TO" "DO: write */\n")}
