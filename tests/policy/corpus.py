# SPDX-License-Identifier: MIT
"""Policies of the language: random ones that are well formed, and mutations of them, from a seed."""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORDS = re.findall(r"'([^']+)'", (ROOT / "tests" / "policy" / "Policy.g4").read_text())
JUNK = ['"', '""', '"a b"', "#", "\n", "\x00", "\xff", "1.", ".5", "1e3", "-", "--1", "0.0", "1.0", "01", "{", "}", "D_hat0", "9" * 25, "or or", "wh\ten"]


def number(rnd, low=0.0, high=1.0):
    return f"{rnd.uniform(low, high):.{rnd.randint(0, 9)}f}"


def condition(rnd):
    if rnd.random() < 0.2:
        return rnd.choice(["degraded", "not degraded"])
    signal, low, high = rnd.choice([("D_hat", 0, 3), ("coh_star", 0, 1), ("r", 0, 1), ("budget", 0, 1), ("residual_spread", 0, 4), ("scale_count", 2, 30)])
    return f"{signal} {rnd.choice(['<', '<=', '>', '>=', '=='])} {'-' if signal == 'D_hat' and rnd.random() < 0.2 else ''}{number(rnd, low, high)}"


def budget(rnd):
    parts = [number(rnd), f"{number(rnd)} * (1 - r)", f"{number(rnd)} * max(0, D_hat - {number(rnd, 0, 4)})", f"{number(rnd)} * coh_star"]
    rnd.shuffle(parts)
    return "budget = " + " + ".join(parts[:rnd.randint(1, 4)])


def regimes(rnd):
    low = rnd.uniform(0.1, 2)
    lines = [f"regime sticky when coh_star >= {number(rnd)} and D_hat <= {low:.6f}", f"regime non_sticky when D_hat >= {low + rnd.uniform(0.1, 2):.6f}",
             "regime mixed otherwise"]
    rnd.shuffle(lines)
    return "\n".join(lines)


def rule(rnd, name):
    return f'escalate "{name}" when ' + " or ".join(" and ".join(condition(rnd) for _ in range(rnd.randint(1, 3))) for _ in range(rnd.randint(1, 2)))


def settings(rnd, prefix):
    made = [f"tolerance {name} {number(rnd)}" for name in ("D_hat", "coh_star", "budget") if rnd.random() < 0.5]
    made += [f"median {rnd.choice(['mean', 'upper'])}"] * (rnd.random() < 0.4) + [budget(rnd)] * (rnd.random() < 0.6)
    made += [regimes(rnd)] * (rnd.random() < 0.5) + [rule(rnd, f"{prefix}{i}") for i in range(rnd.randint(0, 2))]
    rnd.shuffle(made)
    return made


def policy(rnd):
    """A text of right syntax; most, not all, keep the guard-rails."""
    made = settings(rnd, "rule-") + [f"keep {rnd.randint(1, 30)} {rnd.choice(['hours', 'days'])}"] * (rnd.random() < 0.5)
    made += [f'for shard "s{i}-*" {{ ' + " ".join(settings(rnd, f"s{i}.")) + " }" for i in range(rnd.randint(0, 2))]
    rnd.shuffle(made)
    return f'policy "v{rnd.randint(1, 99)}"\n' + rnd.choice(["\n", " ", "  # a comment\n"]).join(made)


def mutation(rnd, text):
    """One to three faults: bytes, words or pieces gone, doubled, exchanged, or of another kind."""
    for _ in range(rnd.randint(1, 3)):
        tokens = re.findall(r'"[^"]*"|\w+(?:\.\w+)?|\s+|.', text, re.S)
        at = rnd.randrange(len(tokens)) if tokens else 0
        kind = rnd.randrange(6)
        if kind == 0:
            tokens[at:at + 1] = []
        elif kind == 1:
            tokens[at:at] = [rnd.choice(WORDS), " "]
        elif kind == 2:
            tokens[at:at + 1] = [rnd.choice(JUNK)]
        elif kind == 3 and len(tokens) > 1:
            other = rnd.randrange(len(tokens))
            tokens[at], tokens[other] = tokens[other], tokens[at]
        elif kind == 4:
            tokens[at:at + 1] = [rnd.choice(WORDS)]
        text = "".join(tokens)
        if kind == 5 and text:
            at = rnd.randrange(len(text))
            text = text[:at] + chr(rnd.randrange(256)) + text[at + rnd.randint(0, 1):]
    return text
