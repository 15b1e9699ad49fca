#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Both grammars of the policy language over one corpus: they accept the same texts, and find the same items in them.

Usage: grammars.py BUILD_DIR ANTLR_JAR [MUTATIONS [SEED]]
"""
import json
import pathlib
import random
import struct
import subprocess
import sys

import corpus

HERE = pathlib.Path(__file__).resolve().parent
BLOCK = 5000  # texts a run


def build(jar, work):
    work.mkdir(parents=True, exist_ok=True)
    subprocess.run(["java", "-jar", jar, "-o", work, HERE / "Policy.g4"], check=True)
    subprocess.run(["javac", "-nowarn", "-cp", jar, "-d", work, *work.glob("*.java"), HERE / "Items.java"], check=True)
    return ["java", "-cp", f"{jar}:{work}", "Items"]


def items(command, texts):
    framed = b"".join(struct.pack(">I", len(text)) + text for text in texts)
    done = subprocess.run(command, input=framed, check=True, capture_output=True)
    lines = done.stdout.decode().splitlines()
    assert len(lines) == len(texts), f"{command[0]}: {len(lines)} answers to {len(texts)} texts"
    return [None if line == "refused" else json.loads(line) for line in lines]


def texts(count, seed):
    rnd = random.Random(seed)
    default = (corpus.ROOT / "compose" / "default.flk").read_text()
    for number in range(count):
        whole = default if number % 50 == 0 else corpus.policy(rnd)
        yield (whole if number % 4 == 0 else corpus.mutation(rnd, whole)).encode("latin-1")


def main(build_dir, jar, count=1000, seed=1):
    ours, theirs = [pathlib.Path(build_dir) / "tests" / "policy_items"], build(jar, pathlib.Path(build_dir) / "policy")
    accepted = 0
    made = list(texts(int(count), int(seed)))
    for start in range(0, len(made), BLOCK):
        block = made[start:start + BLOCK]
        for text, left, right in zip(block, items(ours, block), items(theirs, block)):
            if left != right:
                sys.exit(f"they differ on {text!r}:\nbison: {left}\nANTLR: {right}")
            accepted += left is not None
    print(f"{len(made)} texts, {accepted} of them accepted by both, with the same items; seed {seed}")


if __name__ == "__main__":
    main(*sys.argv[1:])
