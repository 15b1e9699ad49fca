# SPDX-License-Identifier: MIT
from kit import scaling

ABOUT = "HPA by the brokers' queues, up and down"


def run(row):
    scaling.cycle(row, {"cpu": {"enabled": False}, "queueDepth": {"enabled": True}})
