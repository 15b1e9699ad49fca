#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""z3 proves the properties that the verdict relies on, of rounding to 9 decimals and of the budget's clamp; each property is
seen to fail on a planted error. The contracts are those of common/number.h (flk_round9) and common/pcs/signals.h (flk_budget); x stands for value * 10^9.
"""
import sys

try:
    import z3
except ImportError:
    print("skipped: python3-z3 is not here; ./run policy-test installs it")
    sys.exit(77)

x, y = z3.Reals("x y")
m, n, k = z3.Ints("m n k")
e = z3.Real("e")
HALF = z3.Q(1, 2)


def absolute(value):
    return z3.If(value < 0, -value, value)


def half_even(value, whole):
    """`whole` is the nearest integer, of two the even one."""
    gap = absolute(value - z3.ToReal(whole))
    return z3.And(gap <= HALF, z3.Implies(gap == HALF, whole % 2 == 0))


def half_up(value, whole):
    return whole == z3.ToInt(value + HALF)


def down(value, whole):
    return whole == z3.ToInt(value)


def either(value, whole):
    return absolute(value - z3.ToReal(whole)) <= HALF


def clamp(value):
    return z3.If(value < 0, z3.RealVal(0), z3.If(value > 1, z3.RealVal(1), value))


def open_above(value):
    return z3.If(value < 0, z3.RealVal(0), value)


def folded(value):
    return z3.If(value < 0, -value, z3.If(value > 1, z3.RealVal(1), value))


# The double nearest to n * 10^-9 is off by e * 10^-9 at most, |e| <= |n| * 2^-53.
def nearest_double(bits):
    return z3.And(absolute(e) * 2**53 <= absolute(z3.ToReal(n)), absolute(n) < 2**bits)


# name, claim for the right thing, planted errors: each must be refuted
PROPERTIES = (
    ("one result", lambda f: z3.Implies(z3.And(f(x, m), f(x, n)), m == n), half_even, {"either of two": either}),
    ("off by half a unit at most", lambda f: z3.Implies(f(x, n), absolute(x - z3.ToReal(n)) <= HALF), half_even, {"cut off": down}),
    ("ties go to the even one", lambda f: z3.Implies(z3.And(f(x, n), x == z3.ToReal(m) + HALF), n % 2 == 0), half_even, {"half up": half_up}),
    ("symmetric", lambda f: z3.Implies(z3.And(f(x, m), f(-x, n)), m == -n), half_even, {"half up": half_up}),
    ("monotonic", lambda f: z3.Implies(z3.And(f(x, m), f(y, n), x <= y), m <= n), half_even, {"either of two": either}),
    ("idempotent", lambda f: z3.Implies(f(z3.ToReal(m), n), m == n), half_even,
     {"off by one above": lambda value, whole: half_even(value + 1, whole)}),
    ("a printed number reads as the same", lambda bits: z3.Implies(z3.And(nearest_double(bits), half_even(z3.ToReal(n) + e, k)), k == n), 52,
     {"numbers beyond 2^52 units": 55}),
    ("clamp lies in [0, 1]", lambda f: z3.And(f(x) >= 0, f(x) <= 1), clamp, {"no upper bound": open_above}),
    ("clamp keeps numbers of [0, 1]", lambda f: z3.Implies(z3.And(x >= 0, x <= 1), f(x) == x), clamp,
     {"a bound of 0.9": lambda value: z3.If(value > z3.Q(9, 10), z3.Q(9, 10), clamp(value))}),
    ("clamp is monotonic", lambda f: z3.Implies(x <= y, f(x) <= f(y)), clamp, {"the absolute value": folded}),
    ("clamp is idempotent", lambda f: f(f(x)) == f(x), clamp, {"one above": lambda value: clamp(value) + 1}),
)


def refuted(claim):
    solver = z3.Solver()
    solver.set("timeout", 60000)
    solver.add(z3.Not(claim))
    answer = solver.check()
    assert answer != z3.unknown, f"z3 gives up on {claim}"
    return answer == z3.sat


def main():
    failed = 0
    for name, claim, right, plants in PROPERTIES:
        faults = ["does not hold"] * refuted(claim(right)) + [f"holds with {plant}" for plant, wrong in plants.items() if not refuted(claim(wrong))]
        print(f"{name}: {'; '.join(faults) if faults else f'proved, {len(plants)} planted error refuted'}")
        failed += bool(faults)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
