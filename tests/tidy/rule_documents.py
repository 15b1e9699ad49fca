# SPDX-License-Identifier: MIT
"""Documents: every link inside the tree leads to a file and a heading that exist, README.md and CONTRIBUTING.md stay short, and no
sentence begins with a `who …` or `what …` clause."""
import pathlib
import re

WORDS_MAX = {"README.md": 2500}
LINES_MAX = {"README.md": 200, "CONTRIBUTING.md": 80}
LINK = re.compile(r"\]\(([^)\s]+)\)")
CLAUSE = re.compile(r"(?:^|[.:;] |\| )((?:Who|Whoever|Whose|What|Whatever) [^.?!|]*)(?=[.!|]|$)", re.M)


def slug(heading):
    """As the usual renderers of Markdown make anchors."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def prose(text):
    """The text without the parts between fences, and without generated tables."""
    text = re.sub(r"^```.*?^```|^#.*?$", "", text, flags=re.M | re.S)
    return re.sub(r"<!-- (\w+) -->.*?<!-- /\1 -->", "", text, flags=re.S)


def check_links(tree, name, text):
    for target in LINK.findall(prose(text)):
        path, _, anchor = target.partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        there = pathlib.PurePosixPath(name).parent / path if path else pathlib.PurePosixPath(name)
        file = (tree.root / there).resolve()
        if not file.exists():
            yield f"{name}: leads to {target}, which is not there"
        elif anchor and file.suffix == ".md" and anchor not in map(slug, re.findall(r"^#+ (.+)$", file.read_text(), re.M)):
            yield f"{name}: leads to {target}, which has no such heading"


def check(tree):
    faults = []
    for name in tree.ending(".md"):
        text = tree.read(name)
        faults += check_links(tree, name, text)
        if len(text.split()) > WORDS_MAX.get(name, 10**9):
            faults.append(f"{name}: has {len(text.split())} words, more than {WORDS_MAX[name]}")
        if text.count("\n") > LINES_MAX.get(name, 10**9):
            faults.append(f"{name}: has {text.count(chr(10))} lines, more than {LINES_MAX[name]}")
        faults += [f"{name}: a clause as a subject: {clause[:60].strip()!r}" for clause in CLAUSE.findall(prose(text))]
    return faults


def planted(name, old, new):
    def plant(tree):
        tree.replace(name, old, new)
        return name
    return plant


def plant_words(tree):
    tree.write("README.md", tree.read("README.md") + "word " * 2500 + "\n")
    return "README.md"


def plant_lines(tree):
    tree.write("CONTRIBUTING.md", tree.read("CONTRIBUTING.md") + "\n" * 80)
    return "CONTRIBUTING.md"


PLANTS = {"file": planted("README.md", "](proto/PROTOCOL.md)", "](proto/PROTOCOLS.md)"),
          "heading": planted("README.md", "](OPERATING.md#promises)", "](OPERATING.md#oaths)"),
          "words": plant_words, "lines": plant_lines,
          "clause": planted("README.md", "## Glossary", "Who reads this is lost.\n\n## Glossary")}
