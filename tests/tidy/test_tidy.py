# SPDX-License-Identifier: MIT
"""Every rule_*.py has check(tree), which returns one line a fault, and PLANTS: name -> the function that plants a fault into a copy."""
import importlib
import os
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from tree import ROOT, Tree  # noqa: E402

BUILD_DIR = pathlib.Path(os.environ.get("FLK_BUILD_DIR", ROOT / "build")).resolve()


def pytest_generate_tests(metafunc):
    names = metafunc.config.getoption("--rule") or sorted(path.stem[5:] for path in HERE.glob("rule_*.py"))
    rules = {name: importlib.import_module(f"rule_{name}") for name in names}
    if "plant" in metafunc.fixturenames:
        cases = [(rule, plant) for rule in rules.values() for plant in rule.PLANTS]
        metafunc.parametrize("rule, plant", cases, ids=[f"{rule.__name__}-{plant}" for rule, plant in cases])
    else:
        metafunc.parametrize("rule", rules.values(), ids=rules)


@pytest.fixture
def tree():
    return Tree.tracked(BUILD_DIR)


def check(rule, tree):
    missing = getattr(rule, "missing", lambda: None)()
    if missing:
        pytest.skip(missing)
    return rule.check(tree)


# The tree keeps the rule.
def test_tree_keeps(rule, tree):
    faults = check(rule, tree)
    assert not faults, "\n" + "\n".join(faults)


# The rule goes red on each planted fault, and names the file it is in.
def test_rule_catches(rule, plant, tree, tmp_path):
    copy = tree.copy_to(tmp_path)
    guilty = rule.PLANTS[plant](copy)
    faults = check(rule, copy)
    assert any(guilty in fault for fault in faults), f"not caught in {guilty}: {faults}"
