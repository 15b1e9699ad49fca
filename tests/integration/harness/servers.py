# SPDX-License-Identifier: MIT
"""Real store servers for clusters under test, on free loopback ports, gone with the test run: redis-server, PostgreSQL and a
PgBouncer in front of one.

A server that is not installed fails the test: CI installs them.
"""
import glob
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile

from .process import free_port, wait_for


class Server:
    """A program, its directory and its log. `env` has the settings of a worker that uses it as its store."""

    def __init__(self, name, user=None):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=f"flk-{name}-"))
        self.data, self.log_path, self.port, self.child = self.directory / "data", self.directory / "log", free_port(), None
        self.user = user if user and os.getuid() == 0 else None
        if self.user:
            shutil.chown(self.directory, self.user, self.user)

    def spawn(self, *command):
        become = ["--reuid", self.user, "--regid", self.user, "--clear-groups"] if self.user else []
        with open(self.log_path, "ab") as log:
            return subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *become, *map(str, command)], stdin=subprocess.DEVNULL,
                                    stdout=log, stderr=log, cwd=self.directory, start_new_session=True)

    def run(self, *command):
        status = self.spawn(*command).wait()
        assert status == 0, f"{command[0]} ended with {status}\n{self.log_path.read_text(errors='replace')}"

    def start(self):
        self.child = self.spawn(*self.command())
        wait_for(self.answers, 30, lambda: f"{self.command()[0]} does not answer\n{self.log_path.read_text(errors='replace')[-2000:]}")
        return self

    def end(self, number):
        self.child.send_signal(number)
        self.child.wait()

    def signal_all(self, number):
        """To the server's whole session: PostgreSQL has a process for each connection."""
        os.killpg(self.child.pid, number)

    def pause(self):
        self.signal_all(signal.SIGSTOP)

    def resume(self):
        self.signal_all(signal.SIGCONT)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self.child.poll() is None:
            self.signal_all(signal.SIGKILL)
            self.child.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


class Redis(Server):
    backend = "redis"

    def __init__(self):
        super().__init__("redis")
        self.env = {"DEDUP_BACKEND": "redis", "REDIS_ADDR": f"127.0.0.1:{self.port}"}

    def command(self):
        self.data.mkdir(exist_ok=True)
        return ["redis-server", "--port", self.port, "--bind", "127.0.0.1", "--dir", self.data, "--save", "", "--appendonly", "yes"]

    def cli(self, *words):
        return subprocess.run(["redis-cli", "-p", str(self.port), *words], capture_output=True, text=True, timeout=30).stdout.strip()

    def answers(self):
        assert self.child.poll() is None, f"redis-server ended\n{self.log_path.read_text(errors='replace')}"
        return self.cli("PING") == "PONG"

    def stop(self):
        self.end(signal.SIGTERM)

    def wipe(self):
        shutil.rmtree(self.data)


class Postgres(Server):
    backend = "postgres"

    def __init__(self):
        super().__init__("postgres", user="postgres")
        programs = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
        assert programs, "PostgreSQL's server is not installed (apt-get install postgresql)"
        self.bin = pathlib.Path(programs[-1])
        assert self.user is None or pwd.getpwnam("postgres")
        self.env = {"DEDUP_BACKEND": "postgres", "FLK_PG_AUTO_MIGRATE": 1,
                    "POSTGRES_CONN": f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres"}
        self.run(self.bin / "initdb", "-D", self.data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync")

    def command(self):
        return [self.bin / "postgres", "-D", self.data, "-p", self.port, "-c", "listen_addresses=127.0.0.1", "-c",
                f"unix_socket_directories={self.directory}", "-c", "max_connections=100"]

    def sql(self, text):
        done = subprocess.run([str(self.bin / "psql"), "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p",
                               str(self.port), "-U", "postgres", "-c", text], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def answers(self):
        assert self.child.poll() is None, f"postgres ended\n{self.log_path.read_text(errors='replace')}"
        try:
            return self.sql("SELECT 1") == "1"
        except AssertionError:
            return False

    def stop(self):
        """As pg_ctl stop -m immediate."""
        self.end(signal.SIGQUIT)

    def signal_all(self, number):
        """Its children have sessions of their own."""
        children = pathlib.Path(f"/proc/{self.child.pid}/task/{self.child.pid}/children").read_text().split()
        for pid in [self.child.pid, *map(int, children)]:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass


class PgBouncer(Server):
    """In front of a Postgres, by transactions with one connection to it for all; `env` leads through it."""

    def __init__(self, postgres, mode):
        super().__init__("pgbouncer", user="postgres")
        self.postgres, self.mode = postgres, mode
        self.env = {**postgres.env, "POSTGRES_CONN": f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres"}

    def command(self):
        version = subprocess.run(["/usr/sbin/pgbouncer", "--version"], capture_output=True, text=True, timeout=30).stdout
        knows_statements = tuple(map(int, re.search(r"(\d+)\.(\d+)", version).groups())) >= (1, 21)  # and could carry them over
        (self.directory / "users").write_text('"postgres" ""\n')
        (self.directory / "ini").write_text(f"""[databases]
postgres = host=127.0.0.1 port={self.postgres.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
unix_socket_dir =
auth_type = trust
auth_file = {self.directory}/users
pool_mode = {self.mode}
default_pool_size = {1 if self.mode == "transaction" else 20}
{"max_prepared_statements = 0" if knows_statements else ""}
""")
        return ["/usr/sbin/pgbouncer", self.directory / "ini"]

    def answers(self):
        assert self.child.poll() is None, f"pgbouncer ended\n{self.log_path.read_text(errors='replace')}"
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self.port)) == 0

    def restart(self, mode):
        self.end(signal.SIGKILL)
        self.mode = mode
        self.start()


BY_NAME = {"redis": Redis, "postgres": Postgres}
