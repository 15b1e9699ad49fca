# SPDX-License-Identifier: MIT
def pytest_addoption(parser):
    parser.addoption("--rule", action="append", help="only this rule; may be given several times")
