# SPDX-License-Identifier: MIT
"""Drills by name, in the order in which they run. Each has ABOUT, its deeds in a few words, and run(row)."""
from . import before, cable, canary, curve, dns, drain, gateways, hpa_cpu, hpa_queue, install, kills, node, policies, upgrade, validate

DRILLS = {module.__name__.rpartition(".")[2]: module for module in (
    install, validate, upgrade, before, kills, drain, node, cable, gateways, dns, policies, hpa_cpu, hpa_queue, canary, curve)}
