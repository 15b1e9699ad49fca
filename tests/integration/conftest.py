# SPDX-License-Identifier: MIT
"""Seeds, and the check that every log of every running cluster is clean after each test."""
import pathlib
import random
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from harness.cluster import Cluster  # noqa: E402
from harness.process import BIN_DIR, SEED, SLOW  # noqa: E402


def pytest_report_header():
    return f"binaries {BIN_DIR}, seed {SEED} (FLK_TEST_SEED), deadlines x{SLOW:g} (FLK_TEST_SLOW)"


@pytest.fixture
def seed(request):
    """One number a test, from FLK_TEST_SEED and the test's name; printed with the failure."""
    value = random.Random(f"{SEED} {request.node.name}").getrandbits(30)
    print(f"seed {value}")
    return value


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed and call.when == "call":
        for cluster in Cluster.running:
            cluster.keep_directory = True
            report.sections.append((f"logs in {cluster.directory}", cluster.logs()))


@pytest.fixture(autouse=True)
def clean_logs():
    yield
    for cluster in Cluster.running:
        cluster.check()
