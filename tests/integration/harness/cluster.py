# SPDX-License-Identifier: MIT
"""A local cluster: gateways, brokers and workers as real processes on free loopback ports."""
import pathlib
import shutil
import tempfile

from . import doors, keys, metrics, pcs
from .process import Process, free_port, wait_for


class Daemon(Process):
    """A process with a page of its own: /readyz, /healthz, /metrics at `admin`."""

    def __init__(self, name, program, env, directory, admin, wrap=()):
        super().__init__(name, program, env, directory, wrap)
        self.admin = admin

    def get(self, path, method="GET", **headers):
        return doors.http_get(self.admin, path, headers, method)

    def ready(self):
        try:
            return self.get("/readyz").status == 200
        except OSError:
            return False

    def wait_ready(self, seconds=15):
        def state():
            self.check()
            return self.ready()
        wait_for(state, seconds, lambda: f"{self.name} is not ready\n{self.log_tail()}")
        return self

    def metrics(self, **headers):
        answer = self.get("/metrics", **headers)
        assert answer.status == 200, f"{self.name} /metrics: {answer.status}"
        return metrics.Metrics(answer.raw.decode())


class Cluster:
    """`env` goes to all; gateway_env, broker_env and worker_env to one kind. HMAC signing with pcs.HMAC_KEY, LMDB, unless
    overridden. With `curve` each process has a key of its own, named like it, and there is an agent with the key "agent". Use as a context manager: leaving it stops everything in order and checks every log."""

    running = []  # for the check after each test

    def __init__(self, gateways=1, brokers=1, workers=1, threads=2, env=None, gateway_env=None, broker_env=None,
                 worker_env=None, wrap=None, curve=False):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="flk-it-"))
        self.keep_directory = False
        env, wrap = dict(env or {}), dict(wrap or {})
        self.keys = keys.Keys(self.directory / "keys").make("agent", "agent") if curve else None
        fronts = [f"tcp://127.0.0.1:{free_port()}" for _ in range(brokers)]
        backs = [f"tcp://127.0.0.1:{free_port()}" for _ in range(brokers)]
        self.brokers, self.gateways, self.workers = [], [], []
        for number in range(brokers):
            admin = ("127.0.0.1", free_port())
            settings = {"FLK_FRONTENDS": fronts[number], "FLK_BACKENDS": backs[number],
                        "FLK_ADMIN_LISTEN": "%s:%d" % admin, **env, **(broker_env or {})}
            broker = Daemon(f"broker-{number}", "flk-broker", settings, self.directory, admin, wrap.get("broker", ()))
            broker.frontend, broker.backend = fronts[number], backs[number]
            self.brokers.append(broker)
        signing = {"PCS_SIGN_ALG": "hmac", "PCS_HMAC_KEY": pcs.HMAC_KEY}
        for number in range(workers):
            admin = ("127.0.0.1", free_port())
            settings = {"FLK_BACKENDS": ",".join(backs), "FLK_ADMIN_LISTEN": "%s:%d" % admin,
                        "FLK_DATA_DIR": self.directory / "store", "FLK_WORKER_THREADS": threads, **signing, **env,
                        **(worker_env or {})}
            self.workers.append(Daemon(f"worker-{number}", "flk-worker", settings, self.directory, admin,
                                       wrap.get("worker", ())))
        for number in range(gateways):
            http, zmq = ("127.0.0.1", free_port()), f"tcp://127.0.0.1:{free_port()}"
            settings = {"FLK_FRONTENDS": ",".join(fronts), "FLK_HTTP_LISTEN": "%s:%d" % http, "FLK_ZMQ_LISTEN": zmq,
                        "FLK_DATA_DIR": self.directory / f"gateway-{number}", **env, **(gateway_env or {})}
            gateway = Daemon(f"gateway-{number}", "flk-gateway", settings, self.directory, http, wrap.get("gateway", ()))
            gateway.http, gateway.zmq = http, zmq
            self.gateways.append(gateway)
        for daemon in self.daemons() if curve else []:
            daemon.env.update(self.keys.make(daemon.name.split("-")[0], daemon.name).env(daemon.name))

    @property
    def gateway(self):
        return self.gateways[0]

    @property
    def broker(self):
        return self.brokers[0]

    @property
    def worker(self):
        return self.workers[0]

    def daemons(self):
        return [*self.gateways, *self.workers, *self.brokers]

    def start(self, wait=True):
        Cluster.running.append(self)
        for daemon in [*self.brokers, *self.workers, *self.gateways]:
            daemon.start()
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, seconds=15):
        for daemon in self.daemons():
            if daemon.alive():
                daemon.wait_ready(seconds)

    def stop(self):
        """Gateways drain first, while there is somebody to answer them."""
        for daemon in self.daemons():
            daemon.stop()

    def check(self):
        for daemon in self.daemons():
            daemon.check()

    def logs(self):
        return "\n".join(daemon.log_tail() for daemon in self.daemons())

    def abandon(self):
        """Ends every process that is left, in any state."""
        for daemon in self.daemons():
            if daemon.alive():
                daemon.kill()
        if self in Cluster.running:
            Cluster.running.remove(self)
        if not self.keep_directory:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.abandon()
            raise

    def __exit__(self, kind, error, trace):
        try:
            if kind is None:
                self.stop()
                self.check()
            else:
                self.keep_directory = True
                print(f"kept {self.directory}\n{self.logs()}")
        except BaseException:
            self.keep_directory = True
            print(f"kept {self.directory}\n{self.logs()}")
            raise
        finally:
            self.abandon()

    def http(self, number=0, **options):
        return doors.HttpDoor(self.gateways[number].http, **options)

    def zmq(self, number=0, **options):
        if self.keys and "curve" not in options:
            options["curve"] = self.keys.client("agent", "agent", "gateway", f"gateway-{number}")
        return doors.ZmqDoor(self.gateways[number].zmq, **options)
