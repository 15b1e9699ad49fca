# SPDX-License-Identifier: MIT
"""The version of CMakeLists.txt is the one that images, chart, OpenAPI and documents name, and the CHANGELOG has a dated chapter of it."""
import re

SOURCE = re.compile(r"project\(flk VERSION (\d+\.\d+\.\d+)")
NAMED = {
    "OPERATING.md": r"\bflk:(\d+\.\d+\.\d+)",
    "compose/Dockerfile": r"ARG VERSION=(\S+)",
    "compose/compose.yaml": r"flk:(\d+\.\d+\.\d+)",
    "compose/setup.sh": r"flk:(\d+\.\d+\.\d+)",
    "helm/flk/Chart.yaml": r"^(?:appV|v)ersion: (\S+)",
    "proto/openapi.yaml": r"^  version: (\S+)",
    "tests/ship/engine.py": r"flk:(\d+\.\d+\.\d+)",
}


def check(tree):
    version = SOURCE.search(tree.read("CMakeLists.txt")).group(1)
    faults = []
    for name, pattern in NAMED.items():
        named = re.findall(pattern, tree.read(name), re.M)
        faults += [f"{name}: names no version any more"] if not named else []
        faults += [f"{name}: names {other}, the tree is {version}" for other in named if other != version]
    if not re.search(rf"^## {re.escape(version)} – \d{{4}}-\d\d-\d\d$", tree.read("CHANGELOG.md"), re.M):
        faults.append(f"CHANGELOG.md: has no chapter '## {version} – YYYY-MM-DD'")
    return faults


def planted(name, old, new):
    def plant(tree):
        tree.write(name, re.sub(old, new, tree.read(name), count=1))
        return name
    return plant


PLANTS = {"chart": planted("helm/flk/Chart.yaml", r"appVersion: \S+", "appVersion: 9.9.9"),
          "image": planted("compose/compose.yaml", r"flk:\d+\.\d+\.\d+", "flk:9.9.9"),
          "changelog": planted("CHANGELOG.md", r"\n## \d+\.\d+\.\d+ – ", "\n## Version ")}
