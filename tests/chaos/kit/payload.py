# SPDX-License-Identifier: MIT
"""One PCS as clients send it, with all that the judge wants to know of it, computed by the reference and not by our code."""
import hashlib
import json

import msgpack

from harness import pcs as reference

WRONG_SIGNATURE = "A" * 43 + "="


def content_hash(text):
    """Hash of everything that a PCS says, in any order and print: `text` is JSON."""
    return hashlib.sha256(json.dumps(json.loads(text, parse_int=float), sort_keys=True).encode()).hexdigest()[:32]


def as_outcome(status, reasons, d_hat, budget, budget_claimed, regime, policy_version):
    """An outcome as it is compared: the same list from an answer, from the store, and from the reference."""
    return [status, list(reasons), d_hat, budget, budget_claimed, regime, policy_version]


class Payload:
    """`expect` is the outcome that the cluster owes it; None for one that must be refused."""

    __slots__ = ("pcs", "body", "packed", "hash", "digest", "expect")

    def __init__(self, pcs):
        self.pcs, self.body, self.packed = pcs, reference.encode(pcs), msgpack.packb(pcs)
        self.hash = content_hash(self.body)
        self.digest = hashlib.sha256(reference.canonical(pcs)).hexdigest()
        self.expect = None
        if pcs["sig"] != WRONG_SIGNATURE:
            owed = reference.verdict(pcs)
            self.expect = as_outcome(owed["status"], owed["reasons"], owed["d_hat"], owed["budget"], pcs["budget"],
                                     owed["regime"], "default-1")

    @property
    def id(self):
        return self.pcs["pcs_id"]
