# SPDX-License-Identifier: MIT
"""No line of a C source or grammar is longer than 120 columns, comments included; clang-format sees to the rest."""

COLUMNS_MAX = 120


def check(tree):
    return [f"{name}:{number}: {len(line)} columns" for name in tree.ending(".c", ".h", ".l", ".y")
            for number, line in enumerate(tree.read(name).split("\n"), 1) if len(line) > COLUMNS_MAX]


def planted(name, line):
    def plant(tree):
        tree.write(name, tree.read(name) + line + "\n")
        return name
    return plant


PLANTS = {"comment": planted("common/err.c", f"/* {'word ' * 24}*/"), "code": planted("common/err.h", f"int {'x' * 120};"),
          "grammar": planted("common/pcs/policy/parse.y", f"/* {'word ' * 24}*/")}
