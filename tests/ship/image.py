# SPDX-License-Identifier: MIT
"""Builds the image and holds it to its promises: size, user, read-only root, process 1, health, material list, a cluster.
usage: image.py"""
import contextlib
import json
import time

from engine import IMAGE, build_image, engine
from roots import need_root, say

BYTES_MAX = 120_000_000
LOCKED = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--network", "flk-image"]


def check_facts(made):
    facts = made.look("image", IMAGE)
    config = facts["Config"]
    assert facts["Size"] < BYTES_MAX, facts["Size"]
    assert config["User"] == "10001:10001" and config["Healthcheck"]["Test"] == ["CMD", "/usr/bin/flk", "healthcheck"], config
    labels = config["Labels"]
    for name in ("title", "description", "licenses", "version", "revision"):
        assert labels.get(f"org.opencontainers.image.{name}"), labels
    say(f"image: {facts['Size'] / 1e6:.1f} MB")


def check_materials(made):
    """The material list names the packages of dpkg, and flk."""
    text = made.docker("run", "--rm", "--network", "none", "--entrypoint", "cat", IMAGE, "/usr/share/flk/sbom.cdx.json")
    bill = json.loads(text)
    listed = {part["name"] for part in bill["components"]}
    there = set(made.docker("run", "--rm", "--network", "none", "--entrypoint", "dpkg-query", IMAGE, "-W", "-f", "${Package}\n").split())
    assert bill["bomFormat"] == "CycloneDX" and listed == there and "libzmq5" in listed, listed ^ there
    say(f"material list: {len(listed)} packages")


def check_programs(made):
    for program in ("gateway", "broker", "worker", "agent"):
        said = made.docker("run", "--rm", *LOCKED, IMAGE, program, "--version")
        assert said.startswith(f"flk-{program} "), said
    done = made.tries("run", "--rm", *LOCKED, "--entrypoint", "touch", IMAGE, "/usr/bin/x")
    assert done.returncode != 0 and "Read-only" in done.stderr, done
    ids = made.docker("run", "--rm", *LOCKED, "--entrypoint", "id", IMAGE, "-u").strip()
    assert ids == "10001", ids
    compilers = made.tries("run", "--rm", *LOCKED, "--entrypoint", "sh", IMAGE, "-c", "command -v gcc cmake")
    assert not compilers.stdout, compilers


def start(made, stack, name, program, env, *more):
    variables = [word for pair in env.items() for word in ("-e", "%s=%s" % pair)]
    made.docker("run", "-d", "--name", name, *LOCKED, *variables, *more, IMAGE, program)
    stack.callback(made.tries, "rm", "-f", name)


def wait_healthy(made, name, wanted="healthy", seconds=120):
    end = time.monotonic() + seconds
    while (state := made.look("container", name)["State"])["Health"]["Status"] != wanted:
        assert state["Running"] and time.monotonic() < end, f"{name}: {state}\n{made.tries('logs', name)}"
        time.sleep(0.2)


def check_cluster(made):
    """A container each; healthy by HEALTHCHECK alone; answers; stops with 0 on SIGTERM, handed on by process 1."""
    plain = {"FLK_PLAINTEXT": "1"}  # on a network of our own; compose.yaml has keys
    with contextlib.ExitStack() as stack:
        start(made, stack, "fi-broker", "broker", {**plain, "FLK_FRONTENDS": "tcp://0.0.0.0:5555", "FLK_BACKENDS": "tcp://0.0.0.0:5556"})
        start(made, stack, "fi-worker", "worker", {**plain, "FLK_BACKENDS": "tcp://fi-broker:5556"}, "--tmpfs", "/var/lib/flk:uid=10001,gid=10001")
        start(made, stack, "fi-gateway", "gateway", {**plain, "FLK_FRONTENDS": "tcp://fi-broker:5555", "FLK_HTTP_BEHIND_PROXY": "1",
                                              "FLK_HEARTBEAT_MS": "200"})  # unready some 6 s after its broker is gone
        for name in ("fi-broker", "fi-worker", "fi-gateway"):
            wait_healthy(made, name)
        bench = json.loads(made.docker("run", "--rm", *LOCKED, "-e", "ENDPOINT=http://fi-gateway:8080/v1/pcs/submit", IMAGE, "bench", "--count",
                                       "500", "--seconds", "60", "--json"))
        assert bench["answered"] == bench["accepted"] == 500, bench
        first = made.docker("exec", "fi-gateway", "cat", "/proc/1/comm").strip()
        assert first == "tini", first
        made.docker("kill", "--signal", "KILL", "fi-broker")
        wait_healthy(made, "fi-gateway", "unhealthy")  # seen red: no broker is linked
        made.docker("start", "fi-broker")
        wait_healthy(made, "fi-gateway")
        for name in ("fi-gateway", "fi-worker", "fi-broker"):
            made.docker("stop", "-t", "60", name)
            state = made.look("container", name)["State"]
            assert state["ExitCode"] == 0, state
        say(f"a cluster in containers: {bench['answered']} answers, {bench['rate_per_s']:.0f}/s; all stopped with 0")


def main():
    need_root("image")
    with engine() as made:
        build_image(made)
        made.tries("network", "create", "flk-image")
        try:
            check_facts(made)
            check_materials(made)
            check_programs(made)
            check_cluster(made)
        finally:
            made.tries("network", "rm", "flk-image")
    say("image: passed")


main()
