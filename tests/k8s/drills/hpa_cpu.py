# SPDX-License-Identifier: MIT
from kit import scaling

ABOUT = "HPA by CPU, up and down"


def run(row):
    scaling.cycle(row, {"cpu": {"enabled": True}, "queueDepth": {"enabled": False}})
