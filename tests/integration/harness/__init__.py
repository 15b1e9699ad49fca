# SPDX-License-Identifier: MIT
"""Real processes, real sockets: the ground of the integration tests.

Read in this order: process (one program), cluster (several), doors (the two ways in), pcs (the expected answers),
load (many submissions and the end of each), metrics.
"""
