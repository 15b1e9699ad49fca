# SPDX-License-Identifier: MIT
"""The package beside the programs: units, man pages, environment files. ./run deb installs and runs them."""
import pathlib
import re
import shutil
import subprocess

import pytest

from harness.process import BIN_DIR, ROOT, run, sanitized

PACKAGE = ROOT / "compose" / "package"
UNITS = BIN_DIR.parent / "compose" / "package" / "units"
TEMPLATES = sorted((PACKAGE / "systemd").glob("*.service.in"))
EXPOSURE_MAX = 1.5  # of 10, as systemd-analyze security counts

pytestmark = pytest.mark.skipif(sanitized(), reason="nobody packages a sanitizer build")


def analyze(*args):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here")
    return subprocess.run(["systemd-analyze", *map(str, args)], capture_output=True, text=True, timeout=60)


@pytest.fixture
def units(tmp_path):
    """The units as they are installed, but for the place of the programs and with an instance each."""
    made = []
    for template in TEMPLATES:
        text = (UNITS / template.name.removesuffix(".in")).read_text()
        path = tmp_path / template.name.removesuffix(".in").replace("@.", "@8081.")
        path.write_text(text.replace("/usr/bin/flk", f"{BIN_DIR}/flk"))
        made.append(path)
    assert len(made) == 5
    return made


# systemd has no complaint about any unit.
def test_units_verify(units):
    for unit in units:
        done = analyze("verify", "--man=no", unit)
        complaints = [line for line in done.stderr.splitlines() if unit.name in line]
        assert done.returncode == 0 and not complaints, done.stderr


# A unit has few rights: the exposure that systemd counts stays below the threshold.
def test_units_are_hardened(units):
    for unit in units:
        done = analyze("security", "--offline=yes", f"--threshold={EXPOSURE_MAX * 10:.0f}", unit)
        assert done.returncode == 0, done.stdout[-200:]


# A daemon's unit waits for its word and gives it longer than its drain; a wrong setting is not tried for ever.
def test_units_of_daemons(units):
    for unit in units:
        text = unit.read_text()
        assert "RestartPreventExitStatus=2" in text and "@hardening@" not in text
        if "flk-agent" not in unit.name:
            assert "Type=notify" in text and "Restart=always" in text and re.search(r"^WatchdogSec=\d+$", text, re.M)
            assert int(re.search(r"TimeoutStopSec=(\d+)", text).group(1)) >= 30


# Each name in the environment files and units is a setting of that program; agents have their arguments too.
def test_environment_names():
    known = set(re.findall(r'X\(\w+, "(\w+)"', (ROOT / "common" / "program" / "settings_table.h").read_text()))
    for path in [*(PACKAGE / "env").glob("*.env"), *TEMPLATES]:
        text = path.read_text()
        names = re.findall(r"^#([A-Z][A-Z0-9_]+)=", text, re.M) + re.findall(r"^Environment=.*", text, re.M)
        for name in re.findall(r"[A-Z][A-Z0-9_]{3,}(?==)", " ".join(name + "=" if name.isupper() else name for name in names)):
            assert name.removesuffix("_FILE") in known or name in known or name == "AGENT_ARGS", f"{path.name}: {name}"


# A page for each program, with each of its settings, and no fault that the formatter finds.
def test_man_pages(tmp_path):
    done = subprocess.run(["/usr/bin/python3", "-B", str(PACKAGE / "documents.py"), str(BIN_DIR), "1.2.3", str(tmp_path)],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    pages = sorted((tmp_path / "man").glob("*.1"))
    assert sorted(page.stem for page in pages) == sorted(path.name for path in BIN_DIR.glob("flk*") if path.name != "flk-load")
    for page in pages:
        text = page.read_text()
        for name in re.findall(r"^  ([A-Z][A-Z0-9_]+) ", run(page.stem, "--help").stdout, re.M):
            assert f".It Ev {name}\n" in text, f"{page.name} lacks {name}"
        assert re.search(r"^\.Nd \S", text, re.M) and "1.2.3" in text
        if shutil.which("mandoc"):
            done = subprocess.run(["mandoc", "-T", "lint", "-W", "error", str(page)], capture_output=True, text=True)
            assert done.returncode == 0, done.stdout
    assert "Copyright: 2026" in pathlib.Path(tmp_path / "copyright").read_text()
