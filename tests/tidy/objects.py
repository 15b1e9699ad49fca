# SPDX-License-Identifier: MIT
"""The names that the compiled sources of the product define for others and take from others, by nm over the build's objects. A source that
differs from the tree that was built (a planted fault) is compiled anew."""
import concurrent.futures
import json
import os
import pathlib
import shlex
import subprocess
import tempfile

PRODUCT = ("common/", "proto/", "gateway/", "broker/", "worker/", "agent/", "follow/")
ORIGINAL = pathlib.Path(__file__).resolve().parents[2]


class Symbols:
    def __init__(self, listing):
        fields = [line.split() for line in listing.splitlines()]
        self.taken = {field[-1] for field in fields if field[0] == "U"}
        self.functions = {field[-1] for field in fields if len(field) == 3 and field[1] == "T"}
        self.defined = {field[-1] for field in fields if len(field) == 3 and field[1] in "TDRBV"}


def commands(tree):
    """source -> (its compiler's words, directory, object); a copy that a test program is built of is not the product's."""
    for entry in json.loads((tree.build_dir / "compile_commands.json").read_text()):
        name, words = str(pathlib.Path(entry["file"]).relative_to(ORIGINAL)), shlex.split(entry["command"])
        output = words[words.index("-o") + 1]
        if name in tree.files and name.startswith(PRODUCT) and not output.startswith("tests/"):
            yield name, words, pathlib.Path(entry["directory"]), pathlib.Path(entry["directory"]) / output


def without_dependencies(words):
    """The compile command without the options that write .d files into the build."""
    options = [index for index, word in enumerate(words) if word in ("-MT", "-MF")]
    return [word for index, word in enumerate(words) if word != "-MD" and index not in options and index - 1 not in options]


def symbols_of(tree, name, words, directory, output):
    if tree.root == ORIGINAL or ((ORIGINAL / name).exists() and (ORIGINAL / name).read_text() == tree.read(name)):
        return name, nm(output)
    with tempfile.TemporaryDirectory() as scratch:
        words = without_dependencies(words)
        words[words.index("-o") + 1] = f"{scratch}/object.o"
        words = [str(tree.root / name) if word == str(ORIGINAL / name) else word for word in words]
        subprocess.run([*words, "-Wno-error"], cwd=directory, check=True, capture_output=True)
        return name, nm(f"{scratch}/object.o")


def nm(path):
    return Symbols(subprocess.run(["nm", "-g", str(path)], check=True, capture_output=True, text=True).stdout)


def taken_by_generated(tree):
    """Names that sources made in the build, of grammars, take from the product."""
    objects = [pathlib.Path(entry["directory"]) / shlex.split(entry["command"])[shlex.split(entry["command"]).index("-o") + 1]
               for entry in json.loads((tree.build_dir / "compile_commands.json").read_text())
               if pathlib.Path(entry["file"]).is_relative_to(tree.build_dir / "common")]
    return {symbol for path in objects for symbol in nm(path).taken}


def product(tree):
    """name -> Symbols of every source of the product."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(pool.map(lambda item: symbols_of(tree, *item), commands(tree)))
