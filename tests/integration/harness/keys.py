# SPDX-License-Identifier: MIT
"""CURVE keys of a cluster under test, made by `flk keygen` as an administrator would make them."""
import pathlib

from . import process

ROLES = {"broker": "brokers", "gateway": "gateways", "worker": "workers", "agent": "agents", "admin": "admins"}


class Keys:
    """One directory for all: DIR/NAME.key, DIR/ROLEs/NAME.pub."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)

    def make(self, role, name):
        done = process.run("flk", "keygen", "--role", role, "--dir", self.directory, name)
        assert done.returncode == 0, done.stderr
        assert self.secret(name) not in done.stdout + done.stderr
        return self

    def secret(self, name):
        return (self.directory / f"{name}.key").read_text().strip()

    def public_path(self, role, name):
        return self.directory / ROLES[role] / f"{name}.pub"

    def public(self, role, name):
        return self.public_path(role, name).read_text().strip()

    def remove(self, role, name):
        """Out of its list; the file is kept for add()."""
        self.public_path(role, name).rename(self.directory / f"{role}-{name}.removed")

    def add(self, role, name):
        (self.directory / f"{role}-{name}.removed").rename(self.public_path(role, name))

    def env(self, name):
        return {"FLK_CURVE_DIR": self.directory, "FLK_CURVE_KEY_FILE": self.directory / f"{name}.key"}

    def client(self, role, name, server_role, server):
        """The keys of a CURVE client socket: server's key, own public key, own secret key."""
        return self.public(server_role, server), self.public(role, name), self.secret(name)
