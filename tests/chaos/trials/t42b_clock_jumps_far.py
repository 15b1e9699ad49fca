# SPDX-License-Identifier: MIT
"""The wall clock jumps thirty days, forth and back: outcomes older than their time to live are forgotten, as documented; nothing else."""
from trials.t42_clock_jumps import ClockJumps

DAYS = 30 * 86400


class FarClockJumps(ClockJumps):
    name = "T42b"
    jumps = (DAYS, -DAYS)
    limits = dict(gap_s=30, forgets=True)
    cluster = dict(workers=2, threads=1, gateway_env={"FLK_WAL_RETENTION_S": 10 * 365 * 86400})  # the judge reads the log


TRIAL = FarClockJumps()
