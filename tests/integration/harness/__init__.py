# SPDX-License-Identifier: MIT
"""Real processes, real sockets: what the integration tests stand on.

Read in this order: process (one program), cluster (several), doors (the two ways in), pcs (what must come out),
load (many submissions and what became of each), metrics.
"""
