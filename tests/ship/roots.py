# SPDX-License-Identifier: MIT
"""Debian root directories, made by debootstrap once and kept under build/roots; tests change copies."""
import contextlib
import os
import pathlib
import random
import shutil
import socket
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
KEPT = ROOT / "build" / "roots"
MIRROR = "http://deb.debian.org/debian"
THIN = ("usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale", "var/cache/apt", "var/lib/apt/lists",
        "var/cache/debconf", "var/log")  # left out of Debian's slim images, too


def say(*words):
    print("ship:", *words, file=sys.stderr, flush=True)


def give_up(why):
    say(why)
    sys.exit(1)


def call(*command, **options):
    """Runs to its end; output only when it fails."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))} ended with {done.returncode}\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}")
    return done.stdout


def need_root(what):
    if os.geteuid() != 0:
        give_up(f"{what} makes Debian roots and enters them: run it as root")


def free_port():
    """Free now, and none that the kernel gives to a connection before it is used."""
    end = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for port in random.sample(range(min(20000, end // 2), end), 200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise AssertionError("no free port")


def unmount_below(place):
    """The mounts left in a directory that is to go: the innermost first."""
    mounted = [line.split()[4].encode().decode("unicode_escape") for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()]
    for point in reversed(mounted):
        if pathlib.Path(point).is_relative_to(place):
            call("umount", "-l", point)


def base(suite):
    """A minimal root of that release, never to be changed."""
    target = KEPT / suite
    if not target.is_dir():
        say(f"debootstrap {suite}, once")
        making = KEPT / f"{suite}.new"
        unmount_below(making)  # a run that was killed
        shutil.rmtree(making, ignore_errors=True)
        making.parent.mkdir(parents=True, exist_ok=True)
        call("debootstrap", "--variant=minbase", suite, making, MIRROR)
        making.rename(target)
    return target


def copy(suite, target):
    call("cp", "-a", base(suite), target)
    shutil.copy("/etc/resolv.conf", target / "etc" / "resolv.conf")
    return target


@contextlib.contextmanager
def with_proc(root):
    """The root with /proc in it while the body runs: programs find themselves by it."""
    call("mount", "-t", "proc", "proc", root / "proc")
    try:
        yield root
    finally:
        call("umount", "-l", root / "proc")


def thin(root):
    for name in THIN:
        for entry in (root / name).glob("*"):
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    return root


def inside(root, *command, env=None, **options):
    """A command in the root, with nothing of our environment."""
    clean = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive", **(env or {})}
    return call("chroot", root, *command, env=clean, **options)
