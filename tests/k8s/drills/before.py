# SPDX-License-Identifier: MIT
import os
import shutil

from kit import cluster, images
from kit.kubectl import CHART
from kit.place import ROOT, SOURCES, call, say
from kit.stage import stage

COMMIT = "1de017b"  # the last one whose brokers had no Service each
ABOUT = f"upgrade from the chart and the programs of {COMMIT}"


def build():
    """That tree, and its programs as flk:before, once."""
    place = SOURCES / "before"
    if not (place / "build" / "bin" / "flk-worker").exists():
        say(f"building the programs of {COMMIT}, once")
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        call("sh", "-ec", f'git -c safe.directory="*" -C "$1" archive {COMMIT} | tar -x -C "$2"', "sh", ROOT, place)
        call("cmake", "--preset", "release", "-DFLK_TESTS=OFF", "--log-level=WARNING", cwd=place, env=os.environ)
        call("nice", "ninja", "-C", "build", "programs", cwd=place)
    images.make_flk(place / "build" / "bin", "before")
    cluster.import_all()
    return place / "helm" / "flk"


def run(row):
    chart = build()
    with stage(row, {"image": {"tag": "before"}}, chart=chart) as made:
        with made.load(gap_max=5.0):
            _, took = made.upgrade({"image": {"tag": "0.1.0"}}, chart=CHART)
        row.note(f"rolled in {took:.0f} s")
