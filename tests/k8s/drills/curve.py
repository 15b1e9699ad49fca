# SPDX-License-Identifier: MIT
import pathlib
import tempfile

from kit.kubectl import apply
from kit.place import FLK_BIN, call
from kit.stage import secret, stage

ABOUT = "change over from plain links to CURVE"


def keys():
    """As the chart's README makes them."""
    with tempfile.TemporaryDirectory() as place:
        for role in ("gateway", "broker", "worker"):
            call(FLK_BIN / "flk", "keygen", "--role", role, "--dir", place, role)
        return {file.name: file.read_text() for file in pathlib.Path(place).rglob("*") if file.suffix in (".key", ".pub")}


def run(row):
    with stage(row) as made:
        apply(secret("flk-curve", keys()))
        # Plain and encrypted links do not meet: until the last pod has rolled there are 503.
        with made.load(gap_max=60.0, refused_max=None):
            _, took = made.upgrade({"curve": {"enabled": True, "existingSecret": "flk-curve"}})
        row.note(f"rolled in {took:.0f} s; 503 until then")
        for role, port in (("gateway", 8080), ("broker", 8081), ("worker", 8082)):
            for found in made.pods(role):
                row.check(made.page(found["status"]["podIP"], port, "/readyz"), f"{found['metadata']['name']} is not ready")
        with made.load(after=5):
            pass
