# SPDX-License-Identifier: MIT
"""Completion of flk's words: the output of flk complete, and that bash, zsh and fish offer it."""
import shutil
import subprocess
import tempfile

import pytest

from harness.process import BIN_DIR, ROOT, environment, run

PACKAGE = ROOT / "compose" / "package"
ASKED = [  # the words of a command line -> some of the words that must be offered
    (["flk", "st"], {"status", "store"}),
    (["flk", "help", "d"], {"demo", "doctor", "dlq"}),
    (["flk", "keygen", "--role", ""], {"broker", "gateway", "worker", "agent", "admin", "tlog"}),
    (["flk", "healthcheck", ""], {"gateway", "broker", "worker"}),
    (["flk", "store", ""], {"check", "get", "stats", "export", "import"}),
    (["flk", "wal", "l"], {"list"}),
    (["flk", "dlq", "p"], {"purge"}),
    (["flk", "agent", "s"], {"submit", "status"}),
    (["flk", "wal", "list", "--sh"], {"--shard"}),
    (["flk-worker", "--ch"], {"--check"}),
]
IDS = [" ".join(words) for words, _ in ASKED]


# flk complete offers the words that may stand there, each once, and nothing that does not begin so.
@pytest.mark.parametrize("words, wanted", ASKED, ids=IDS)
def test_complete(words, wanted):
    done = run("flk", "complete", *words)
    offered = done.stdout.split()
    assert done.returncode == 0 and wanted <= set(offered) and len(offered) == len(set(offered)), done
    assert all(word.startswith(words[-1]) for word in offered), done


# Every command is offered, each with every option that its help has; after an option that takes a file nothing is: that is the shell's.
def test_complete_all():
    commands = run("flk", "complete", "flk", "").stdout.split()
    assert {"up", "status", "wal", "help"} <= set(commands)
    for command in commands:
        help_text = run("flk", command, "--help").stdout if command != "help" else ""
        options = {line.split()[0] for line in help_text.split("\nSettings, from")[0].splitlines() if line.startswith("  --")}
        assert options <= set(run("flk", "complete", "flk", command, "--").stdout.split()), command
    assert run("flk", "complete", "flk", "up", "--data-dir", "").stdout == ""


def shell(program, *args):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not here")
    with tempfile.TemporaryDirectory() as home:  # fish keeps its history there
        env = environment({"PATH": f"{BIN_DIR}:/usr/bin:/bin", "HOME": home})
        return subprocess.run([program, *args], env=env, capture_output=True, text=True, timeout=60)


# bash offers them.
@pytest.mark.parametrize("words, wanted", ASKED, ids=IDS)
def test_bash(words, wanted):
    quoted = " ".join(f"'{word}'" for word in words)
    done = shell("bash", "-c", f"source {PACKAGE}/flk.bash; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _flk; echo \"${{COMPREPLY[@]}}\"")
    assert wanted <= set(done.stdout.split()), done


# zsh offers them.
@pytest.mark.parametrize("words, wanted", ASKED, ids=IDS)
def test_zsh(words, wanted):
    quoted = " ".join(f"'{word}'" for word in words)
    done = shell("zsh", "-fc", f"compadd() {{ print -l -- ${{(P)2}} }}; _files() {{ }}; words=({quoted}); CURRENT={len(words)}; source {PACKAGE}/flk.zsh")
    assert wanted <= set(done.stdout.split()) and not done.stderr, done


# fish offers them.
@pytest.mark.parametrize("words, wanted", ASKED, ids=IDS)
def test_fish(words, wanted):
    line = " ".join(words)
    done = shell("fish", "--no-config", "-c", f"source {PACKAGE}/flk.fish; complete -C '{line}'")
    assert wanted <= {offered.split("\t")[0] for offered in done.stdout.splitlines()}, done
