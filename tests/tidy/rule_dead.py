# SPDX-License-Identifier: MIT
"""Every file is built, included, run or named by another one."""
import pathlib
import re

BY_CONVENTION = {"CMakeLists.txt", "README.md", "LICENSE", "CHANGELOG.md", "OPERATING.md", "SECURITY.md", "CONTRIBUTING.md", "CMakePresets.json", ".gitignore", "go.mod", "go.sum", ".clang-format",
                 ".clang-tidy", ".dockerignore", ".env", "conftest.py", "pytest.ini", "__init__.py"}
BY_GLOB = re.compile(r"tests/((integration|rules|chart|load)/test_|tidy/rule_|chaos/trials/t\d)\w+\.py|tests/chart/(values|golden)/[\w-]+\.yaml|tests/fuzz/regressions/\w+/.+|tests/data/layouts/.+"
                     r"|helm/flk/(templates|examples)/.+|helm/flk/(Chart\.yaml|values\.schema\.json|\.helmignore)"
                     r"|compose/grafana/provisioning/.+|compose/package/(systemd|env)/.+")
ENTRY = {"run", ".ci/run"}


def is_used(tree, name, texts, built):
    path = pathlib.PurePosixPath(name)
    if path.name in BY_CONVENTION or name in ENTRY or BY_GLOB.fullmatch(name):
        return True
    others = {other: text for other, text in texts.items() if other != name}
    if name.endswith(".c"):
        return name in built
    if name.endswith(".h"):
        beside = {other: text for other, text in others.items() if pathlib.PurePosixPath(other).parent == path.parent}
        return any(f'#include "{name}"' in text for text in others.values()) or any(f'#include "{path.name}"' in text for text in beside.values())
    if name.endswith(".py"):
        imported = re.compile(rf"^\s*(?:from|import)\b.*\b{path.stem}\b", re.M)
        return any(imported.search(text) or path.name in text for text in others.values())
    return any(path.name in text for text in others.values())


def check(tree):
    built = tree.compile_commands()
    texts = {name: tree.read(name) for name in tree.files if not name.endswith(".csv") and name != "tests/tidy/rule_dead.py"}
    return [f"{name}: nothing builds, includes or names it" for name in tree.files if not is_used(tree, name, texts, built)]


def planted(name):
    def plant(tree):
        tree.write(name, "/* SPDX-License-Identifier: MIT */\n")
        return name
    return plant


PLANTS = {"header": planted("common/orphan.h"), "source": planted("gateway/orphan.c"), "data": planted("tests/data/orphan.csv"),
          "script": planted("tests/integration/harness/orphan.py")}
