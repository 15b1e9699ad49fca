# SPDX-License-Identifier: MIT
"""Faults under load, and what must hold afterwards (RELIABILITY's I1 to I9).

Read in this order: payload and recorder (what was asked and answered), clients (who asks), nemesis (who breaks things), ledger
(what the system itself kept), judge (what must hold between the two), trial (how these go together).
"""
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "integration"))  # harness: processes, clusters, doors, the reference of the contract

from harness.process import BIN_DIR  # noqa: E402

TOOLS = BIN_DIR.parent / "tests"  # what ../tools is built into
