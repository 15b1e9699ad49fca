# SPDX-License-Identifier: MIT
"""Independent reference of the PCS contract (proto/PROTOCOL.md): id, canonical bytes, signatures, verdict.

Written from the specification, never from the C code, so that a fault in one shows as a difference.
"""
import base64
import hashlib
import hmac
import json
import math
import random

import nacl.signing

HMAC_KEY = "testsecret-of-the-integration-tests"
PLANTED = "planted-7f3a91.payload"  # in every PCS; process.py looks for it in every log
POLICY = dict(tolD=0.15, tolCoh=0.05, tolBudget=0.01, alpha=0.30, beta=0.50, gamma=0.20, base=0.10, D0=2.2)
SIGNED = ("D_hat", "budget", "coh_star", "epoch", "merkle_root", "pcs_id", "r", "shard_id")
FLOATS = ("D_hat", "budget", "coh_star", "r")
REASONS = ("d_hat_unverifiable", "d_hat_out_of_tolerance", "coh_star_out_of_bounds", "r_out_of_bounds",
           "regime_mismatch", "budget_mismatch", "degraded", "dead_letter")


def round9(value):
    return round(float(value), 9) + 0.0  # -0.0 + 0.0 is 0.0


def pcs_id(merkle_root, epoch, shard_id):
    return hashlib.sha256(f"{merkle_root}|{epoch}|{shard_id}".encode("ascii")).hexdigest()


def canonical(pcs):
    """Signed bytes as json.dumps prints them."""
    subset = {key: round9(pcs[key]) if key in FLOATS else pcs[key] for key in SIGNED}
    return json.dumps(subset, sort_keys=True, separators=(",", ":")).encode("ascii")


def sign_hmac(pcs, key=HMAC_KEY):
    digest = hashlib.sha256(canonical(pcs)).digest()
    return base64.b64encode(hmac.new(key.encode(), digest, hashlib.sha256).digest()).decode()


def sign_ed25519(pcs, seed):
    digest = hashlib.sha256(canonical(pcs)).digest()
    return base64.b64encode(nacl.signing.SigningKey(seed).sign(digest).signature).decode()


def ed25519_public(seed):
    return base64.b64encode(bytes(nacl.signing.SigningKey(seed).verify_key)).decode()


def d_hat(scales, counts):
    """Theil-Sen on log2-log2; None when a scale has no positive count or there are fewer than two."""
    if len(scales) < 2 or any(counts.get(str(scale), 0) <= 0 for scale in scales):
        return None
    points = sorted((math.log2(scale), math.log2(counts[str(scale)])) for scale in scales)
    slopes = sorted((points[j][1] - points[i][1]) / (points[j][0] - points[i][0])
                    for i in range(len(points)) for j in range(i + 1, len(points)))
    middle = len(slopes) // 2
    return round9(slopes[middle] if len(slopes) % 2 else (slopes[middle - 1] + slopes[middle]) / 2)


def regime(coh_star, d):
    if coh_star >= 0.70 and d <= 1.5:
        return "sticky"
    return "non_sticky" if d >= 2.6 else "mixed"


def budget(d, coh_star, r, policy=POLICY):
    raw = (policy["base"] + policy["alpha"] * (1 - r) + policy["beta"] * max(0.0, d - policy["D0"])
           + policy["gamma"] * coh_star)
    return round9(min(1.0, max(0.0, raw)))


def verdict(pcs, policy=POLICY):
    """The expected answer of the cluster. Regime and budget follow from the claimed D, as the vectors have it: a wrong D is
    one reason, not three."""
    recomputed, claimed = d_hat(pcs["scales"], pcs["N_j"]), pcs["D_hat"]
    reasons = set()
    if recomputed is None:
        reasons.add("d_hat_unverifiable")
    elif abs(recomputed - claimed) > policy["tolD"]:
        reasons.add("d_hat_out_of_tolerance")
    if not 0 <= pcs["coh_star"] <= 1 + policy["tolCoh"]:
        reasons.add("coh_star_out_of_bounds")
    if not 0 <= pcs["r"] <= 1:
        reasons.add("r_out_of_bounds")
    expected_regime, expected_budget = regime(pcs["coh_star"], claimed), budget(claimed, pcs["coh_star"], pcs["r"], policy)
    if expected_regime != pcs["regime"]:
        reasons.add("regime_mismatch")
    if abs(expected_budget - pcs["budget"]) > policy["tolBudget"]:
        reasons.add("budget_mismatch")
    if pcs.get("ft", {}).get("degraded"):
        reasons.add("degraded")
    return dict(status=202 if reasons else 200, reasons=[name for name in REASONS if name in reasons],
                d_hat=recomputed, budget=expected_budget, regime=expected_regime)


def encode(pcs):
    return json.dumps(pcs, separators=(",", ":")).encode()


class Factory:
    """Makes PCS from a seed: every `escalate_every`-th one is to be escalated, the rest to be accepted.

    Two factories with the same seed make the same PCS; `shard` keeps those of several threads apart.
    """

    def __init__(self, seed, shard="it", key=HMAC_KEY, escalate_every=5):
        self.random, self.shard, self.key, self.escalate_every, self.made = random.Random(seed), shard, key, escalate_every, 0

    def make(self, key=None, **overrides):
        """One signed PCS; `overrides` replace members before id, verdict and signature are made."""
        rnd, number = self.random, self.made
        self.made += 1
        slope = rnd.uniform(0.2, 2.9)
        scales = [2 ** power for power in range(1, rnd.randint(4, 9))]
        counts = {str(scale): max(1, round(3 * scale ** slope * rnd.uniform(0.9, 1.1))) for scale in scales}
        coh, r = round9(rnd.uniform(0.05, 0.99)), round9(rnd.uniform(0.05, 0.99))
        pcs = dict(schema="fractal-lba-kakeya", version="0.1", shard_id=f"{self.shard}-{number % 7}", epoch=number,
                   attempt=1, sent_at="2026-01-01T00:00:00Z", seed=rnd.getrandbits(31), scales=scales, N_j=counts,
                   coh_star=coh, v_star=[round9(rnd.uniform(-1, 1)) for _ in range(3)], D_hat=d_hat(scales, counts), r=r,
                   merkle_root=rnd.getrandbits(256).to_bytes(32, "big").hex(),
                   ft=dict(outbox_seq=number, degraded=False, fallbacks=[PLANTED], clock_skew_ms=0))
        if self.escalate_every and number % self.escalate_every == self.escalate_every - 1:
            pcs["D_hat"] = round9(pcs["D_hat"] + 1.0)
        pcs.update(overrides)
        pcs.setdefault("regime", regime(pcs["coh_star"], pcs["D_hat"]))
        pcs.setdefault("budget", budget(pcs["D_hat"], pcs["coh_star"], pcs["r"]))
        pcs.setdefault("pcs_id", pcs_id(pcs["merkle_root"], pcs["epoch"], pcs["shard_id"]))
        pcs.setdefault("sig", sign_hmac(pcs, key or self.key))
        return pcs
