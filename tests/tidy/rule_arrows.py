# SPDX-License-Identifier: MIT
"""Dependency arrows of the map (README, "Folders and arrows"): a room includes itself and the rooms that USES gives it.
Includes are spelled from the root and exist. Tests may include everything, and files beside them by their names alone."""
import pathlib
import re

FLOOR = ["common"]
START = [*FLOOR, "common/program"]
WIRE = [*START, "common/pcs", "proto"]
USES = {
    "common": [],
    "common/program": FLOOR,
    "common/pcs": START,
    "common/pcs/policy": ["common", "common/pcs"],
    "common/wal": [*FLOOR, "common/wal/follow"],
    "common/wal/follow": [*FLOOR, "common/wal"],
    "common/http": FLOOR,
    "common/tlog": [*START, "common/pcs"],
    "proto": [*START, "common/pcs"],
    "gateway": [*WIRE, "common/wal", "common/http"],
    "gateway/replay": [*WIRE, "common/wal", "gateway", "common/pcs/policy"],
    "follow/tlog": [*WIRE, "common/http", "common/tlog", "follow"],
    "follow/feed": [*WIRE, "common/wal", "common/wal/follow", "common/http", "follow"],
    "follow": [*WIRE, "common/wal", "common/wal/follow", "common/http", "follow/feed", "follow/tlog"],
    "broker": [*WIRE, "common/http"],
    "worker/store/memory": [*WIRE, "worker/store"],
    "worker/store/lmdb": [*WIRE, "worker/store"],
    "worker/store/redis": [*WIRE, "worker/store"],
    "worker/store/postgres": [*WIRE, "worker/store"],
    "worker/store": WIRE,
    "worker": [*WIRE, "common/http", "worker/store", "common/pcs/policy"],
    "agent/read": [*START, "common/pcs"],
    "agent/signals": [*START, "common/pcs", "agent/read"],
    "agent/send": [*WIRE, "common/wal", "agent/read", "agent/signals"],
    "agent": [*WIRE, "common/wal", "agent/read", "agent/signals", "agent/send", "common/pcs/policy"],
    "agent/flk/cluster": WIRE,
    "agent/flk/doctor": [*WIRE, "agent/flk", "agent/flk/cluster", "common/pcs/policy"],
    "agent/flk/policy": [*WIRE, "common/pcs/policy", "common/wal", "agent/flk"],
    "agent/flk/audit": [*WIRE, "common/tlog", "agent/flk"],
    "agent/flk": [*WIRE, "common/tlog", "agent/flk/cluster", "agent", "agent/read", "agent/signals", "agent/send"],
}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def room_of(name):
    return str(pathlib.PurePosixPath(name).parent)


def check(tree):
    faults, known = [], set(tree.files)
    for name in tree.ending(".c", ".h"):
        room, in_tests = room_of(name), name.startswith("tests/")
        if not in_tests and room not in USES:
            faults.append(f"{name}: {room} is no room of the map; give it its arrows in {__name__}.py")
            continue
        for target in INCLUDE.findall(tree.read(name)):
            if in_tests and str(pathlib.PurePosixPath(room) / target) in known:
                continue
            if target not in known:
                faults.append(f"{name}: includes \"{target}\", which is no file of the tree spelled from its root")
            elif not in_tests and room_of(target) not in [room, *USES[room]]:
                faults.append(f"{name}: {room} must not depend on {room_of(target)} (\"{target}\")")
    return faults


def planted(name, target):
    def plant(tree):
        tree.replace(name, "#include ", f'#include "{target}"\n#include ')
        return name
    return plant


def plant_relative(tree):
    tree.replace("common/err.c", '"common/err.h"', '"err.h"')
    return "common/err.c"


PLANTS = {
    "relative": plant_relative,
    "sibling": planted("worker/main.c", "broker/queue.h"),
    "upwards": planted("common/err.c", "proto/frame.h"),
    "floor_to_room": planted("common/err.c", "common/pcs/pcs.h"),
    "floor_to_program": planted("common/io.c", "common/program/settings.h"),
    "wal_to_program": planted("common/wal/wal.c", "common/program/settings.h"),
    "pcs_to_policy": planted("common/pcs/verdict.c", "common/pcs/policy/load.h"),
    "pcs_to_wal": planted("common/pcs/pcs.c", "common/wal/wal.h"),
    "wal_to_pcs": planted("common/wal/wal.c", "common/pcs/pcs.h"),
    "http_to_pcs": planted("common/http/answer.c", "common/pcs/canonical.h"),
    "http_to_wal": planted("common/http/answer.c", "common/wal/wal.h"),
    "proto_to_wal": planted("proto/frame.c", "common/wal/wal.h"),
    "store_to_worker": planted("worker/store/store.c", "worker/loop.h"),
    "backend_to_backend": planted("worker/store/redis/store.c", "worker/store/lmdb/env.h"),
    "backend_to_worker": planted("worker/store/lmdb/store.c", "worker/loop.h"),
    "read_to_signals": planted("agent/read/csv.c", "agent/signals/window.h"),
    "signals_to_send": planted("agent/signals/builder.c", "agent/send/outbox.h"),
    "send_to_agent": planted("agent/send/outbox.c", "agent/options.h"),
    "agent_to_flk": planted("agent/source.c", "agent/flk/door.h"),
    "tlog_to_wal": planted("common/tlog/tile.c", "common/wal/wal.h"),
    "pcs_to_tlog": planted("common/pcs/pcs.c", "common/tlog/tile.h"),
    "flk_to_audit": planted("agent/flk/submit.c", "agent/flk/audit/audit.h"),
    "flk_to_doctor": planted("agent/flk/submit.c", "agent/flk/doctor/checks.h"),
    "cluster_to_flk": planted("agent/flk/cluster/port.c", "agent/flk/style.h"),
    "replay_to_http": planted("gateway/replay/main.c", "common/http/admin.h"),
    "follow_to_gateway": planted("follow/event.c", "gateway/gateway.h"),
    "gateway_to_follow": planted("gateway/main.c", "follow/event.h"),
    "gateway_to_replay": planted("gateway/main.c", "gateway/replay/filter.h"),
}
