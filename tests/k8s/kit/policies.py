# SPDX-License-Identifier: MIT
"""Enforces NetworkPolicies by nftables on every node: a packet to or from a pod that a policy selects must be let through by one.
Knows numeric ports, selectors of pods and namespaces, and blocks of addresses. A node reaches its own pods, as everywhere."""
import subprocess

from .hosts import NODE
from .kubectl import items
from .place import Broken

OPERATORS = {"In": lambda has, values: has in values, "NotIn": lambda has, values: has not in values,
             "Exists": lambda has, _: has is not None, "DoesNotExist": lambda has, _: has is None}


def fits(selector, labels):
    if any(labels.get(name) != value for name, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(OPERATORS[one["operator"]](labels.get(one["key"]), one.get("values") or []) for one in selector.get("matchExpressions") or [])


class Pods:
    """Pods, namespaces and policies of one moment."""

    def __init__(self):
        self.spaces = {space["metadata"]["name"]: space["metadata"].get("labels") or {} for space in items("namespaces")}
        self.pods = [pod for pod in items("pods", "-A") if pod["status"].get("podIP") and not pod["spec"].get("hostNetwork")
                     and pod["status"].get("phase") in ("Pending", "Running")]
        self.policies = items("networkpolicies", "-A")

    def matching(self, peer, own_space):
        if "ipBlock" in peer:
            return {peer["ipBlock"]["cidr"]}
        found = set()
        for pod in self.pods:
            space = pod["metadata"]["namespace"]
            inside = fits(peer["namespaceSelector"], self.spaces[space]) if "namespaceSelector" in peer else space == own_space
            if inside and fits(peer.get("podSelector") or {}, pod["metadata"].get("labels") or {}):
                found.add(pod["status"]["podIP"])
        return found

    def lines(self, policy, way):
        """Rules that let packets through, one way, as one policy allows."""
        side, peers_are = ("saddr", "from") if way == "Ingress" else ("daddr", "to")
        for rule in policy["spec"].get(way.lower()) or []:
            peers = rule.get(peers_are) or []
            found = set().union(*(self.matching(peer, policy["metadata"]["namespace"]) for peer in peers))
            if peers and not found:
                continue
            whom = f"ip {side} {{ {', '.join(sorted(found))} }} " if peers else ""
            for port in rule.get("ports") or [None]:
                yield whom + (f"{port.get('protocol', 'TCP').lower()} dport {port['port']} " if port else "") + "return"

    def rules(self):
        chains, jumps = [], {"Ingress": [], "Egress": []}
        for number, pod in enumerate(self.pods):
            own = [policy for policy in self.policies if policy["metadata"]["namespace"] == pod["metadata"]["namespace"]
                   and fits(policy["spec"]["podSelector"], pod["metadata"].get("labels") or {})]
            for way, jump in jumps.items():
                chosen = [policy for policy in own if way in (policy["spec"].get("policyTypes") or ["Ingress"])]
                if chosen:
                    jump.append(f"{pod['status']['podIP']} : jump {way.lower()}_{number}")
                    chains.append("\n".join([f"chain {way.lower()}_{number} {{", *(line for policy in chosen for line in self.lines(policy, way)),
                                             "drop", "}"]))
        forward = ["chain forward {", "type filter hook forward priority 10; policy accept;", "ct state established,related accept"]
        for way, side in (("Egress", "saddr"), ("Ingress", "daddr")):
            if jumps[way]:
                forward.append(f"ip {side} vmap {{ {', '.join(jumps[way])} }}")
        return "\n".join(["table inet policies", "delete table inet policies", "table inet policies {", *chains, *forward, "}", "}", ""])


def enforce():
    """As the pods are now; again after any of them changed."""
    nft(Pods().rules())


def lift():
    nft("table inet policies\ndelete table inet policies\n")


def nft(text):
    for node in NODE.values():
        done = subprocess.run(node.words("nft", "-f", "-"), input=text, capture_output=True, text=True)
        if done.returncode != 0:
            raise Broken(f"nft on {node.name}: {done.stderr}\n{text}")
