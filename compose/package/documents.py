# SPDX-License-Identifier: MIT
"""Man pages (mdoc) from the programs' own help and the settings table; copyright and changelog for the package.
usage: documents.py BIN_DIR VERSION OUT_DIR"""
import datetime
import gzip
import json
import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PROGRAMS = ("flk", "flk-gateway", "flk-follow", "flk-broker", "flk-worker", "flk-agent", "flk-replay")
CLEAN = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
FILES = [("/etc/flk/flk.env", "settings of every daemon that systemd runs, then those of PROGRAM.env and PROGRAM@INSTANCE.env"),
         ("/var/lib/flk", "the logs and the embedded store")]


def ask(bin_dir, program, *args):
    return subprocess.run([str(bin_dir / program), *args], check=True, capture_output=True, text=True, env=CLEAN, timeout=30).stdout


def escaped(text):
    """Text that is no request and holds no escape of roff's."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.M)


def verbatim(text):
    return ".Bd -literal\n" + escaped(text.strip("\n")) + "\n.Ed\n"


def setting(row):
    limits = ", ".join(part for part in (row["unit"], row["limits"]) if part)
    shown = [f"Default {row['default'] or '(none)'}"] + ([f"({limits})"] if limits else [])
    return f".It Ev {escaped(row['name'])}\n{escaped(row['help'][:1].upper() + row['help'][1:])}.\n{escaped(' '.join(shown))}.\n"


def usage_and_rest(text):
    """The help without its settings (they are a section of their own), as (one-line summary, the rest)."""
    text = re.sub(r"^Settings, from the environment.*\n\n(?:  .*\n)+", "", text, flags=re.M)
    first, _, rest = text.partition("\n")
    return first.partition(" - ")[2], rest


def page(bin_dir, program, version, rows, verbs):
    summary, rest = usage_and_rest(ask(bin_dir, program, "--help"))
    date = datetime.datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "1767225600")), datetime.timezone.utc)
    out = [f".Dd {date:%B %d, %Y}\n.Dt {program.upper()} 1\n.Os flk {version}\n.Sh NAME\n.Nm {program}\n.Nd {escaped(summary)}\n",
           ".Sh DESCRIPTION\n", verbatim(rest)]
    if program == "flk":
        out.append(".Sh COMMANDS\n")
        for verb in verbs:
            help_text = ask(bin_dir, "flk", verb, "--help")
            out.append(f".Ss flk {verb}\n" + verbatim(re.split(r"^Settings, from", help_text, flags=re.M)[0]))
    mine = [row for row in rows if program in row["programs"]]
    out.append(".Sh ENVIRONMENT\nEach setting comes from the variable of its name, or from the file that\n.Ev NAME_FILE\nnames.\n.Bl -tag -width Ds\n")
    out += [setting(row) for row in mine]
    out.append(".El\n.Sh FILES\n.Bl -tag -width Ds\n")
    out += [f".It Pa {path}\n{escaped(what[:1].upper() + what[1:])}.\n" for path, what in FILES]
    out.append(".El\n.Sh SEE ALSO\n" + " ,\n".join(f".Xr {other} 1" for other in PROGRAMS if other != program) + "\n")
    return "".join(out)


def compress(path, text):
    """Without name and time, so that the same sources give the same package."""
    path.with_name(path.name + ".gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def write_copyright(out):
    head, _, body = (ROOT / "LICENSE").read_text().partition("\n\n")[2].partition("\n\n")
    text = (HERE / "debian" / "copyright.in").read_text()
    paragraphs = "\n".join(" " + (line or ".") for line in body.strip().splitlines())
    (out / "copyright").write_text(text.replace("@copyright@", head.removeprefix("Copyright (c) ")).replace("@license@", paragraphs))


def main():
    bin_dir, version, out = pathlib.Path(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3])
    rows = json.loads(ask(bin_dir, "flk", "settings", "--json"))
    commands = json.loads(ask(bin_dir, "flk", "help", "--json"))["commands"]
    own = ("up", "status", "demo", "submit", "feed", "doctor", "healthcheck", "bench", "keygen", "policy", "store", "wal", "dlq", "settings")
    verbs = [command["name"] for command in commands if command["name"] in own]
    (out / "man").mkdir(exist_ok=True)
    for program in PROGRAMS:
        text = page(bin_dir, program, version, rows, verbs)
        (out / "man" / f"{program}.1").write_text(text)
        compress(out / "man" / f"{program}.1", text)
    write_copyright(out)
    release = next(line for line in pathlib.Path("/etc/os-release").read_text().splitlines() if line.startswith("VERSION_ID="))
    release = re.sub(r"\D", "", release)
    newest = re.search(r"^## \d.*?(?=^## |\Z)", (ROOT / "CHANGELOG.md").read_text(), re.M | re.S).group()
    news = "\n".join("  * " + line[2:] if line.startswith("- ") else "    " + line.strip() if line.startswith("  ") else ""
                     for line in newest.splitlines())
    news = re.sub(r"\n{2,}", "\n", news).strip("\n")
    changelog = f"flk ({version}-1~deb{release}) unstable; urgency=medium\n\n{news}\n\n -- The flk authors <flk@packages.debian.org>  Thu, 01 Jan 2026 00:00:00 +0000\n"
    compress(out / "changelog.Debian", changelog)


main()
