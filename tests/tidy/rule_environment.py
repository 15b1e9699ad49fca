# SPDX-License-Identifier: MIT
"""Environment names in the chart, in compose and in the documents are settings; every setting of a server can be given to the chart."""
import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "chart"))
from rule_settings import table  # noqa: E402

NAME = re.compile(r"\b(?:FLK|PCS|METRICS)_[A-Z0-9_]*[A-Z0-9]\b|\b(?:DEDUP_BACKEND|REDIS_ADDR|POSTGRES_CONN|TOKEN_RATE)(?:_FILE)?\b")
PAGES = {"README.md", "OPERATING.md", "SECURITY.md"}
SCHEMA = "helm/flk/values.schema.json"
ROLES = {"gateway": "G", "broker": "B", "worker": "W", "gateway.follow": "L"}
NOT_OURS = {"FLK_TEST_SLOW", "FLK_TEST_SEED", "FLK_BIN_DIR", "FLK_BUILD_DIR"}  # the tests' own


def missing():
    try:
        import yaml  # noqa: F401
    except ImportError:
        return "needs python3-yaml"
    return None


def check_names(tree, settings):
    for name in tree.files:
        if name in PAGES or name.startswith(("helm/", "compose/")):
            for number, line in enumerate(tree.read(name).split("\n"), 1):
                for word in set(NAME.findall(line)) - NOT_OURS:
                    if word not in settings and word.removesuffix("_FILE") not in settings:
                        yield f"{name}:{number}: {word} is no setting"


def settings_of(values, role):
    """The names that the schema lets be given at role.settings."""
    for key in (*role.split("."), "settings"):
        values = values[key]["properties"]
    return values.keys()


def check_chart(tree, settings):
    import generate
    values = json.loads(tree.read(SCHEMA))["properties"]
    templates = "\n".join(tree.read(name) for name in tree.files if name.startswith("helm/flk/templates/"))
    for role, letter in ROLES.items():
        own = {name for name, (letters, _) in settings.items() if letter in letters}
        given = settings_of(values, role)
        secrets = set(values["store"]["properties"]["secretKeys"]["items"]["enum"]) if role == "worker" else set()
        by_chart = {name for name in own & generate.OWNED if re.search(rf"\b{name}(_FILE)?\b", templates)}
        for name in sorted(own - given - secrets - by_chart):
            yield (f"{SCHEMA}: {name} of {role} cannot be given to the chart: run `python3 tests/chart/generate.py build/bin/flk "
                   f"--write`, or put it into a template and into OWNED there")
        for name in sorted(given - own):
            yield f"{SCHEMA}: {name} is no setting of {role}"


def check(tree):
    settings = table(tree)
    return [*check_names(tree, settings), *check_chart(tree, settings)]


def plant_name(tree):
    tree.write("compose/planted.yaml", "environment: {FLK_HTTP_LISTN: x}\n")
    return "compose/planted.yaml"


def plant_page(tree):
    tree.replace("OPERATING.md", "## Stores", "`FLK_NOTHING`\n\n## Stores")
    return "OPERATING.md"


def plant_setting(tree):
    tree.replace("common/program/settings_table.h", "#define FLK_SETTINGS(X)", '#define FLK_SETTINGS(X) X(NEW, "FLK_NEW", STR, W, "", "", "", "")')
    return SCHEMA


def plant_owned(tree):
    tree.replace("helm/flk/templates/worker/_deployment.tpl", '"FLK_WORKER_THREADS"', '"FLK_THREADS"')
    return SCHEMA


PLANTS = {"name": plant_name, "page": plant_page, "setting": plant_setting, "owned": plant_owned}
