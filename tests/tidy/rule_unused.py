# SPDX-License-Identifier: MIT
"""Every function of a header is called by the product: by another file, or by its own file and by a test that needs to see it."""
import re

import objects

# Called by the tests alone, and worth it.
KEPT = {"flk_io_set_fault": "the one hook through which tests inject faults of the disk",
        "flk_counter_value": "tests read one counter, where the product prints them all",
        "flk_gauge_value": "as above", "accept": "libcivetweb calls it, in place of libc's", "recv": "likewise", "poll": "likewise"}


def check(tree):
    symbols = objects.product(tree)
    taken = {symbol for of in symbols.values() for symbol in of.taken} | objects.taken_by_generated(tree)
    tests = "\n".join(tree.read(name) for name in tree.files if name.startswith("tests/") and name.endswith((".c", ".h")))
    in_tests = set(re.findall(r"\bflk_\w+", tests))
    faults = [] if len(symbols) > 100 else ["the build's objects cannot be read by this rule"]
    for name, of in sorted(symbols.items()):
        text = tree.read(name)
        for symbol in sorted(of.functions - taken - KEPT.keys() - {"main"}):
            if len(re.findall(rf"\b{symbol}\b", text)) < 2:
                faults.append(f"{name}: nothing of the product calls {symbol}")
            elif symbol not in in_tests:
                faults.append(f"{name}: nothing but this file calls {symbol}: make it static")
    return faults


def planted(body):
    def plant(tree):
        tree.write("common/err.c", tree.read("common/err.c") + body)
        return "flk_planted"
    return plant


PLANTS = {"unused": planted("int flk_planted(void);\nint flk_planted(void) {\n    return 0;\n}\n"),
          "own_file": planted("int flk_planted(void);\nint flk_planted(void) {\n    return 0;\n}\nint (*flk_pointer)(void) = flk_planted;\n")}
