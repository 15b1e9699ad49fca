# SPDX-License-Identifier: MIT
"""Renders the chart with real helm, once for each file of values."""
import functools
import os
import pathlib
import subprocess
import sys

import pytest
import yaml

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

import tools  # noqa: E402

CHART = ROOT / "helm" / "flk"
BUILD = pathlib.Path(os.environ.get("FLK_BUILD_DIR", ROOT / "build")).resolve()
VALUES = {file.stem: file for file in [*sorted((HERE / "values").glob("*.yaml")), CHART / "examples" / "production.yaml"]}


def pytest_addoption(parser):
    parser.addoption("--write-golden", action="store_true", help="write golden/ anew; look at the difference before it is committed")


@functools.lru_cache
def tool(name):
    try:
        return tools.install(BUILD / "tools") / name
    except tools.Missing as reason:
        pytest.skip(str(reason))


def helm(*arguments, chart=CHART):
    """Runs helm with the chart as last argument; away from the user's cluster and repositories."""
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "KUBECONFIG": "/nonexistent"}
    return subprocess.run([str(tool("helm")), *map(str, arguments), str(chart)], env=env, capture_output=True, text=True, timeout=60)


@functools.lru_cache
def render_text(*arguments):
    done = helm("template", "release", "--namespace", "space", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def render(*arguments):
    return [document for document in yaml.safe_load_all(render_text(*arguments)) if document]


@pytest.fixture(params=VALUES)
def objects(request):
    return render("--values", VALUES[request.param])
