#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""z3 proves the promises of the guard-rails for each policy that they let pass, and agrees where they refuse a rule.

Usage: bounds.py FLK [POLICIES [SEED]]

Of an accepted policy: its budget lies in [0, 1] and within the bounds that interval arithmetic gave, which are reached; for each
D_hat and coh_star exactly one regime holds, and each holds somewhere; each rule holds somewhere. Of a refused one with "can never
hold": z3 finds no values either. Numbers are the decimals of the JSON form, exactly.
"""
import fractions
import json
import random
import re
import subprocess
import sys

import z3

import corpus

PROBE = re.compile(r"budget lies from (\S+) to (\S+) there")
GRAIN = fractions.Fraction(1, 10**9)


def exact(value):
    text = fractions.Fraction(value)
    return z3.Q(text.numerator, text.denominator)


def compiled(flk, text):
    done = subprocess.run([flk, "policy", "compile", "-"], input=text, capture_output=True, text=True)
    return (json.loads(done.stdout, parse_float=str, parse_int=str), "") if done.returncode == 0 else (None, done.stderr)


D, COH, R, SPREAD = z3.Reals("D_hat coh_star r residual_spread")
COUNT, DEGRADED = z3.Ints("scale_count degraded")


def budget_of(policy):
    raw = (exact(policy["base"]) + exact(policy["alpha"]) * (1 - R) + exact(policy["gamma"]) * COH
           + exact(policy["beta"]) * z3.If(D > exact(policy["D0"]), D - exact(policy["D0"]), 0))
    return z3.If(raw < 0, z3.RealVal(0), z3.If(raw > 1, z3.RealVal(1), raw))


def domain(policy):
    return z3.And(COH >= 0, COH <= 1 + exact(policy["tolCoh"]), R >= 0, R <= 1, SPREAD >= 0, COUNT >= 1, COUNT <= 64, DEGRADED >= 0, DEGRADED <= 1)


def possible(*claims):
    solver = z3.Solver()
    solver.set("timeout", 20000)
    solver.add(*claims)
    answer = solver.check()
    assert answer != z3.unknown, f"z3 gives up: {claims}"
    return answer == z3.sat


def condition(policy, one):
    signal, compare, value = one
    left = {"D_hat": D, "coh_star": COH, "r": R, "budget": budget_of(policy), "residual_spread": SPREAD, "scale_count": COUNT, "degraded": DEGRADED}[signal]
    right = exact(value)
    left = z3.ToReal(left) if signal in ("scale_count", "degraded") else left
    return {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right, "==": left == right}[compare]


def check_terms(flk, policy, text, block):
    budget, within = budget_of(policy), domain(policy)
    assert not possible(within, z3.Or(budget < 0, budget > 1)), "a budget outside [0, 1]"
    if not block:  # a rule that asks for the impossible makes the guard-rail tell its bounds
        probe = compiled(flk, re.sub(r'for shard "[^"]*" \{[^}]*\}', "", text) + '\nescalate "probe" when budget > 1')[1]
        low, high = (fractions.Fraction(value) for value in PROBE.search(probe).groups())
        assert not possible(within, z3.Or(budget < exact(low - GRAIN), budget > exact(high + GRAIN))), "a budget outside its bounds"
        assert possible(within, budget <= exact(low + GRAIN)) and possible(within, budget >= exact(high - GRAIN)), "bounds that none reaches"
    sticky = z3.And(COH >= exact(policy["stickyCoh"]), D <= exact(policy["stickyD"]))
    non_sticky = D >= exact(policy["nonStickyD"])
    mixed = z3.And(z3.Not(sticky), z3.Not(non_sticky))
    assert not possible(within, sticky, non_sticky), "two regimes at once"
    assert all(possible(within, regime) for regime in (sticky, non_sticky, mixed)), "a regime that can never hold"


def check(flk, text):
    """True: accepted and proved."""
    policy, said = compiled(flk, text)
    if policy is None:
        return False
    blocks = [policy] + [{**policy, **shard, "escalate": shard.get("escalate", [])} for shard in policy.get("shards", [])]
    for number, block in enumerate(blocks):
        check_terms(flk, block, text, number)
        for rule in block.get("escalate", []):
            where = blocks if number == 0 else [block]
            for alternative in rule["when"]:
                assert any(possible(domain(terms), *(condition(terms, one) for one in alternative)) for terms in where), f"{rule} can never hold"
    return True


def check_refused(flk, rnd):
    """A rule of three conditions that the guard-rail calls impossible is."""
    parts = [corpus.condition(rnd) for _ in range(3)]
    text = 'policy "v"\nescalate "x" when ' + " and ".join(parts)
    policy, said = compiled(flk, text)
    if policy is not None or "can never hold" not in said:
        return False
    default = compiled(flk, 'policy "v"')[0]
    words = [("degraded", "==", "0" if part.startswith("not") else "1") if "degraded" in part else tuple(part.split()) for part in parts]
    claims = [condition(default, one) for one in words]
    claims += [z3.ToReal(z3.ToInt(value * 10**9)) == value * 10**9 for value in (D, COH, R)]  # claims have 9 decimals
    assert not possible(domain(default), *claims), f"refused, and possible: {text}"
    return True


def main(flk, count=20, seed=1):
    rnd, accepted, refused, tried = random.Random(int(seed)), 0, 0, 0
    assert check(flk, (corpus.ROOT / "compose" / "default.flk").read_text())
    while accepted < int(count):
        text, tried = corpus.policy(rnd), tried + 1
        try:
            accepted += check(flk, text)
            refused += check_refused(flk, rnd)
        except AssertionError as fault:
            sys.exit(f"{fault}\n{text}")
    print(f"the default and {accepted} accepted policies of {tried} proved, {refused} refused rules are impossible; seed {seed}")


if __name__ == "__main__":
    main(*sys.argv[1:])
