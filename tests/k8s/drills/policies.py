# SPDX-License-Identifier: MIT
from kit import policies
from kit.kubectl import apply, k, tries
from kit.place import node_ip
from kit.stage import SPACE, pod, stage

ABOUT = "NetworkPolicies, pair by pair, enforced by nftables"
OTHER, WATCH = "drill-other", "monitoring"
DOOR, AGENTS, FRONT, BACK, BROKER_PAGES, WORKER_PAGES, REDIS = 8080, 5550, 5555, 5556, 8081, 8082, 6379
# from, to, port, open
PAIRS = [
    ("client", "gateway", DOOR, True), ("client", "gateway", AGENTS, True), ("client", "broker", FRONT, False), ("client", "broker", BACK, False),
    ("client", "worker", WORKER_PAGES, False), ("stranger", "gateway", DOOR, False), ("stranger", "gateway", AGENTS, False),
    ("stranger", "broker", FRONT, False), ("other", "gateway", DOOR, False), ("other", "broker", BROKER_PAGES, False),
    ("watch", "gateway", DOOR, True), ("watch", "broker", BROKER_PAGES, True), ("watch", "worker", WORKER_PAGES, True),
    ("watch", "gateway", AGENTS, False), ("watch", "broker", FRONT, False), ("gateway", "broker", FRONT, True), ("gateway", "broker", BACK, False),
    ("gateway", "redis", REDIS, False), ("worker", "broker", BACK, True), ("worker", "broker", FRONT, False), ("worker", "redis", REDIS, True),
    ("worker", "gateway", DOOR, False), ("broker", "redis", REDIS, False), ("broker", "gateway", DOOR, False), ("broker", "worker", WORKER_PAGES, False),
]


def reaches(space, name, address, port):
    return tries("kubectl", "-n", space, "exec", name, "--", "busybox", "nc", "-w", "2", address, str(port), "-e", "/bin/true").returncode == 0


def probes(made):
    """name -> (namespace, pod)"""
    idle = ["sleep", "3600"]
    for space in (OTHER, WATCH):
        k("create", "namespace", space)
    apply(pod("client", idle, labels={"flk-client": "true"}), pod("stranger", idle), pod("other", idle, labels={"flk-client": "true"}, space=OTHER),
          pod("watch", idle, space=WATCH))
    for space, name in ((SPACE, "client"), (SPACE, "stranger"), (OTHER, "other"), (WATCH, "watch")):
        k("-n", space, "wait", f"pod/{name}", "--for=condition=Ready", "--timeout=60s")
    own = {role: made.pods(role)[0]["metadata"]["name"] for role in ("gateway", "broker", "worker")}
    return {"client": (SPACE, "client"), "stranger": (SPACE, "stranger"), "other": (OTHER, "other"), "watch": (WATCH, "watch"),
            "redis": (SPACE, "redis"), **{role: (SPACE, name) for role, name in own.items()}}


def run(row):
    # The load comes from node-1 itself, which is a client of the gateway on node-2 too.
    rules = {"store": [{"podSelector": {"matchLabels": {"app": "redis"}}}],
             "clients": [{"podSelector": {"matchLabels": {"flk-client": "true"}}}, {"ipBlock": {"cidr": f"{node_ip('node-1')}/32"}}]}
    with stage(row, {"networkPolicy": rules}) as made:
        try:
            places = probes(made)
            address = {name: made.pod(found)["status"]["podIP"] for name, (space, found) in places.items() if space == SPACE}
            row.check(reaches(*places["stranger"], address["broker"], FRONT), "before they are enforced a stranger should reach a broker")
            policies.enforce()
            with made.load():
                right = [opened == reaches(*places[source], address[target], port) for source, target, port, opened in PAIRS]
            for (source, target, port, opened), ok in zip(PAIRS, right):
                row.check(ok, f"{source} to {target}:{port} is not {'open' if opened else 'closed'}")
            row.note(f"{sum(right)} of {len(PAIRS)} pairs as the objects say")
        finally:
            policies.lift()
            for space in (OTHER, WATCH):
                k("delete", "namespace", space, "--ignore-not-found", "--timeout=120s")
