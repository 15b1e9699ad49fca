# SPDX-License-Identifier: MIT
from kit.stage import stage

ABOUT = "rolling upgrade to another image, DNS answers cached for 30 s"


def run(row):
    with stage(row) as made:
        with made.load():
            _, took = made.upgrade({"image": {"tag": "0.1.1"}})
        images = {found["spec"]["containers"][0]["image"] for found in made.pods()}
        row.check(images == {"flk:0.1.1"}, f"images {images}")
        row.note(f"rolled in {took:.0f} s")
