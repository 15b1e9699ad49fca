# SPDX-License-Identifier: MIT
"""A second compiler has no warning either: every source as the build compiles it, by clang."""
import concurrent.futures
import os
import pathlib
import shlex
import shutil
import subprocess


def tool():
    return shutil.which("clang-14") or shutil.which("clang")


def missing():
    return None if tool() else "clang is not installed"


def syntax_check(tree, name, entry):
    """clang's complaints about one source, with the options of its compile command."""
    arguments, skip = [], True  # the compiler itself
    for word in shlex.split(entry["command"]):
        if not skip and word not in ("-c", "-o", "-MD") and not word.startswith("-MF") and not word.startswith("-MT"):
            arguments.append(word)
        skip = word in ("-o", "-MF", "-MT")
    arguments = [word for word in arguments if word != entry["file"]]
    done = subprocess.run([tool(), "-fsyntax-only", f"-I{tree.root}", *arguments, str(tree.root / name)], cwd=entry["directory"],
                          capture_output=True, text=True)
    return [line for line in done.stderr.splitlines() if "error:" in line or "warning:" in line]


def check(tree):
    sources = {name: entry for name, entry in tree.compile_commands().items() if name in tree.files}
    original = pathlib.Path(__file__).resolve().parents[2]
    if tree.root != original:  # a copy: the files that differ are enough
        sources = {name: entry for name, entry in sources.items() if (original / name).read_text() != tree.read(name)}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        faults = pool.map(lambda item: syntax_check(tree, *item), sources.items())
    return [line for lines in faults for line in lines]


def plant_warning(tree):
    tree.write("common/err.c", tree.read("common/err.c") + "static int planted(void) {\n    return 0;\n}\n")
    return "common/err.c"


PLANTS = {"warning": plant_warning}
