# SPDX-License-Identifier: MIT
"""A Kubernetes of one's own, and how a drill on it is judged."""
