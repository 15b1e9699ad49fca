# SPDX-License-Identifier: MIT
"""Faults under load, and the invariants that hold afterwards (I1 to I9 of judge.py).

Read in this order: payload and recorder (requests and answers), clients (the askers), nemesis (the breaker), ledger
(the records of the system itself), judge (the invariants between the two), trial (the whole of these).
"""
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "integration"))  # harness: processes, clusters, doors, the reference of the contract

from harness.process import BIN_DIR  # noqa: E402

TOOLS = BIN_DIR.parent / "tests"  # where ../tools is built
