# SPDX-License-Identifier: MIT
"""CURVE on every link: peers that are let in, peers that are put out, and keys that change under load."""
import socket
import threading

import pytest
import zmq

from harness import doors, pcs
from harness.cluster import Cluster
from harness.load import Load, first_answers, statuses
from harness.process import BIN_DIR, SLOW, Process, free_port, run, wait_for

HEARTBEAT = {"FLK_HEARTBEAT_MS": 200}  # for those without load: under it, silence may be the machine's
PATIENT = {"FLK_REQUEST_TIMEOUT_MS": 60000}


def refused(daemon, reason):
    return daemon.metrics().total("flk_curve_refused_total", reason=reason)


def rises(daemon, reason, before=0):
    wait_for(lambda: refused(daemon, reason) > before, 10, lambda: f"{daemon.name}: no {reason}\n{daemon.log_tail()}")


def must_work(cluster, count=20):
    factory = pcs.Factory(7, "works")
    with cluster.http() as http, cluster.zmq() as door:
        for _ in range(count // 2):
            assert http.submit(factory.make()).status in (200, 202)
            assert door.submit(factory.make()).status in (200, 202)


def hears_nothing(client, seconds=1.0):
    """Says HELLO, READY and PING for a while: nobody answers."""
    for message in (doors.pack(doors.HELLO, b"x" * 16, "stranger"), doors.pack(doors.READY, b"x" * 16, 8, "stranger"),
                    doors.pack(doors.PING, b"x" * 16, b"")):
        client.send(message, zmq.DONTWAIT)
    assert not client.poll(seconds * 1000), "somebody answered"


# A whole cluster over CURVE answers every submission at both doors as the reference predicts, also the agent's and after a replay of its
# log by an administrator's key; every key is let in and nobody is refused.
def test_the_same_answers_over_curve(seed):
    with Cluster(brokers=2, workers=2, threads=2, curve=True, gateway_env=PATIENT) as cluster:
        with Load(cluster, seed, http=2, zmq=2, count=150, duplicate_every=5, seconds=70) as load:
            submissions = load.join()
        assert set(statuses(submissions)) <= {200, 202}, statuses(submissions)
        assert len(first_answers(submissions)) > 400
        ready = cluster.directory / "ready.ndjson"
        ready.write_bytes(pcs.encode(pcs.Factory(seed, "agent").make()) + b"\n")
        agent = run("flk-agent", "submit", "--pcs", "--json", ready, env={
            "ENDPOINT": cluster.gateway.zmq, "FLK_DATA_DIR": cluster.directory / "outbox", **cluster.keys.env("agent")})
        assert agent.returncode == 0, agent.stderr
        cluster.keys.make("admin", "alice")
        wait_for(lambda: cluster.gateway.metrics().total("flk_curve_keys", role="admin") == 1, 10, cluster.gateway.log_tail)
        replay = run("flk-replay", "replay", "--to", cluster.gateway.zmq, "--dir", cluster.directory / "gateway-0" / "inbox",
                     env=cluster.keys.env("alice"), seconds=60)
        assert replay.returncode == 0, replay.stderr
        for daemon in [*cluster.brokers, cluster.gateway]:
            assert daemon.metrics().total("flk_curve_admitted_total") > 0
            for reason in ("unknown_key", "wrong_role", "list_unreadable", "removed_key"):  # "handshake": the other broker's key was tried
                assert refused(daemon, reason) == 0, daemon.log_tail()


# Nobody without a key of the right list gets a word in: a plain client, one with a password, one whose key nobody knows, one that
# trusts another server key, and a key in a role that it is not for. Each is counted within a second or so, and the cluster works on.
def test_strangers_stay_outside():
    with Cluster(workers=1, threads=1, curve=True, env=HEARTBEAT) as cluster:
        keys, broker, gateway = cluster.keys, cluster.broker, cluster.gateway
        stranger = tuple(key.decode() for key in zmq.curve_keypair())
        worker, peer = keys.client("worker", "worker-0", "broker", "broker-0"), keys.client("gateway", "gateway-0", "broker", "broker-0")
        agent_at_broker = (keys.public("broker", "broker-0"), *keys.client("agent", "agent", "gateway", "gateway-0")[1:])
        cases = [(broker, broker.frontend, (worker[0], *stranger), "unknown_key"),
                 (broker, broker.backend, (worker[0], *stranger), "unknown_key"),
                 (gateway, gateway.zmq, (keys.public("gateway", "gateway-0"), *stranger), "unknown_key"),
                 (broker, broker.frontend, worker, "wrong_role"),
                 (broker, broker.backend, peer, "wrong_role"),
                 (broker, broker.backend, agent_at_broker, "unknown_key"),  # a broker does not even read agents/
                 (broker, broker.backend, (stranger[0], *worker[1:]), "handshake"),
                 (broker, broker.backend, None, "handshake"),
                 (gateway, gateway.zmq, None, "handshake"),
                 (broker, broker.frontend, "plain", "handshake")]
        for daemon, endpoint, curve, reason in cases:
            before = refused(daemon, reason)
            client = doors.dealer(curve if curve != "plain" else None)
            if curve == "plain":
                client.plain_username, client.plain_password = b"worker", b"secret"
            client.connect(endpoint)
            hears_nothing(client)
            rises(daemon, reason, before)
            client.close()
        assert broker.metrics().total("flk_broker_workers") == 1 and broker.metrics().total("flk_broker_gateways") == 1
        must_work(cluster)


# A key that is taken out while its owner is connected: the worker's deliveries go to the others and its connection is ended, the agent's
# frames are not answered any more; both within the second that is promised, and by the counters. Put back, the worker
# is let in again without a restart of anything.
def test_a_removed_key_is_cut_off(seed):
    with Cluster(workers=2, threads=1, curve=True, gateway_env=PATIENT) as cluster:
        broker, gateway, worker = cluster.broker, cluster.gateway, cluster.workers[1]
        with Load(cluster, seed, http=2, zmq=1, pause=0.002, seconds=70) as load:
            wait_for(lambda: len(load.answered()) > 50, 20, "load does not run")
            cluster.keys.remove("worker", "worker-1")
            wait_for(lambda: broker.metrics().total("flk_broker_workers") == 1, 10, broker.log_tail)
            rises(broker, "removed_key")
            rises(broker, "unknown_key")  # its connection was ended, so it tries to come back
            verdicts = worker.metrics().total("flk_worker_verdicts_total")
            count = len(load.answered())
            wait_for(lambda: len(load.answered()) > count + 50, 20, "load does not go on")
            assert worker.metrics().total("flk_worker_verdicts_total") == verdicts
            cluster.keys.add("worker", "worker-1")
            wait_for(lambda: broker.metrics().total("flk_broker_workers") == 2, 30, broker.log_tail)
            submissions = load.stop()
        assert set(statuses(submissions)) <= {200, 202}, statuses(submissions)
        first_answers(submissions)
        cluster.keys.make("agent", "mallory")
        wait_for(lambda: gateway.metrics().total("flk_curve_keys", role="agent") == 2, 10, gateway.log_tail)
        factory, curve = pcs.Factory(seed, "mallory"), cluster.keys.client("agent", "mallory", "gateway", "gateway-0")
        with cluster.zmq(curve=curve) as door:
            assert door.submit(factory.make()).status in (200, 202)
            before, admitted = refused(gateway, "removed_key"), gateway.metrics().total("flk_curve_admitted_total")
            cluster.keys.remove("agent", "mallory")
            wait_for(lambda: gateway.metrics().total("flk_curve_keys", role="agent") == 1, 10, gateway.log_tail)
            ingest = gateway.metrics().total("flk_ingest_total")
            door.post(factory.make())
            wait_for(lambda: refused(gateway, "removed_key") == before + 1, 10, gateway.log_tail)
            rises(gateway, "unknown_key")  # its connection was ended, so it tried to come back
            assert door.receive(0.3) is None
            assert gateway.metrics().total("flk_ingest_total") == ingest
            assert gateway.metrics().total("flk_curve_admitted_total") == admitted
        must_work(cluster)


# Without its lists a broker lets nobody in, and says so; they may come later.
def test_without_lists_nobody_is_let_in():
    with Cluster(workers=1, threads=1, curve=True, env=HEARTBEAT) as cluster:
        workers, away = cluster.keys.directory / "workers", cluster.keys.directory / "away"
        workers.rename(away)
        wait_for(lambda: cluster.broker.metrics().total("flk_broker_workers") == 0, 10, cluster.broker.log_tail)
        rises(cluster.broker, "unknown_key")
        assert "keys_unreadable" in cluster.broker.log_tail()
        away.rename(workers)
        wait_for(lambda: cluster.broker.metrics().total("flk_broker_workers") == 1, 30, cluster.broker.log_tail)
        must_work(cluster)


# Keys change under load, each with old and new side by side for a while: a worker's own key, then the broker's, which
# everybody finds by itself. No submission sees anything but 200, 202, or a 503 while the only broker restarts.
def test_keys_rotate_under_load(seed):
    with Cluster(workers=2, threads=1, curve=True, gateway_env=PATIENT) as cluster:
        keys, broker, worker = cluster.keys, cluster.broker, cluster.workers[1]
        with Load(cluster, seed, http=2, zmq=1, pause=0.005, seconds=70) as load:
            keys.make("worker", "worker-new")
            worker.env.update(keys.env("worker-new"))
            worker.stop()
            worker.start()
            wait_for(lambda: broker.metrics().total("flk_broker_workers") == 2, 30, broker.log_tail)
            keys.remove("worker", "worker-1")
            before = worker.metrics().total("flk_worker_verdicts_total")
            wait_for(lambda: worker.metrics().total("flk_worker_verdicts_total") > before + 20, 30, worker.log_tail)
            assert {s.status for s in load.answered()} <= {200, 202}, statuses(load.answered())
            keys.make("broker", "broker-new")
            broker.env.update(keys.env("broker-new"))
            broker.stop()
            broker.start()
            wait_for(lambda: broker.ready() and broker.metrics().total("flk_broker_workers") == 2, 60, broker.log_tail)
            keys.remove("broker", "broker-0")
            wait_for(cluster.gateway.ready, 30, cluster.gateway.log_tail)
            count = len(load.answered())
            wait_for(lambda: len(load.answered()) > count + 50, 30, "load does not go on")
            submissions = load.stop()
        assert set(statuses(submissions)) <= {200, 202, 503}, statuses(submissions)
        first_answers(submissions)
        must_work(cluster)


class Tap(threading.Thread):
    """A TCP proxy that keeps the client's bytes."""

    def __init__(self, host, port):
        super().__init__(daemon=True)
        self.listener, self.target, self.said = socket.create_server(("127.0.0.1", free_port())), (host, port), []
        self.endpoint = "tcp://%s:%d" % self.listener.getsockname()
        self.start()

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(self.target)
            self.said.append(bytearray())
            threading.Thread(target=self.pump, args=(client, server, self.said[-1]), daemon=True).start()
            threading.Thread(target=self.pump, args=(server, client, bytearray()), daemon=True).start()

    @staticmethod
    def pump(source, sink, kept):
        try:
            while data := source.recv(65536):
                kept += data
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.listener.close()


def address_of(endpoint):
    host, port = endpoint[len("tcp://"):].rsplit(":", 1)
    return host, int(port)


# A listener on the wire reads nothing of a PCS, and a replay of the same bytes gets nothing: neither a whole connection
# nor any beginning of it is taken.
def test_recorded_connections_are_worth_nothing(seed):
    with Cluster(workers=1, curve=True, env=HEARTBEAT) as cluster:
        gateway = cluster.gateway
        tap = Tap(*address_of(gateway.zmq))
        sent = pcs.Factory(seed, "eavesdropped").make()
        curve = cluster.keys.client("agent", "agent", "gateway", "gateway-0")
        with doors.ZmqDoor(tap.endpoint, curve=curve) as door:
            assert door.submit(sent).status in (200, 202)
        tap.close()
        said = bytes(tap.said[0])
        assert len(said) > 1000 and b"CURVE" in said
        for secret in (sent["pcs_id"], sent["shard_id"], sent["merkle_root"], "SUBMIT"):
            assert secret.encode() not in said
        ingest = gateway.metrics().total("flk_ingest_total")
        admitted = gateway.metrics().total("flk_curve_admitted_total")
        for cut in [len(said), *range(0, len(said), max(1, len(said) // 40))]:
            with socket.create_connection(address_of(gateway.zmq)) as replayed:
                replayed.sendall(said[:cut])
                replayed.shutdown(socket.SHUT_WR)
                replayed.settimeout(20 * SLOW)
                try:
                    while replayed.recv(65536):
                        pass
                except ConnectionResetError:
                    pass
        metrics = gateway.metrics()
        assert metrics.total("flk_ingest_total") == ingest
        assert metrics.total("flk_curve_admitted_total") == admitted
        must_work(cluster)


# A program does not start with half of the settings, with a key that everybody may read, or with none beyond loopback; each says so
# in one line that names the setting. Forced to go without, it warns.
@pytest.mark.parametrize("program", ["flk-gateway", "flk-broker", "flk-worker"])
def test_wrong_settings_stop_the_start(program, tmp_path):
    keys_dir = tmp_path / "keys"
    assert run("flk", "keygen", "--dir", keys_dir, "me").returncode == 0
    key = keys_dir / "me.key"
    base = {"FLK_DATA_DIR": tmp_path / "data", "FLK_ADMIN_LISTEN": "off", "FLK_HTTP_LISTEN": f"127.0.0.1:{free_port()}",
            "FLK_FRONTENDS": f"tcp://127.0.0.1:{free_port()}", "FLK_BACKENDS": f"tcp://127.0.0.1:{free_port()}",
            "FLK_ZMQ_LISTEN": f"tcp://127.0.0.1:{free_port()}"}

    def refuses(words, **env):
        done = run(program, env={**base, **env})
        assert done.returncode != 0 and all(word in done.stderr for word in words), done.stderr
        assert key.read_text().strip() not in done.stderr

    refuses(["FLK_CURVE_KEY_FILE", "FLK_CURVE_DIR"], FLK_CURVE_KEY_FILE=key)
    refuses(["FLK_CURVE_KEY_FILE", "FLK_CURVE_DIR"], FLK_CURVE_DIR=keys_dir)
    refuses(["FLK_CURVE_KEY_FILE", "absent"], FLK_CURVE_KEY_FILE=keys_dir / "absent", FLK_CURVE_DIR=keys_dir)
    key.chmod(0o644)
    refuses(["FLK_CURVE_KEY_FILE", "0644", "chmod 600"], FLK_CURVE_KEY_FILE=key, FLK_CURVE_DIR=keys_dir)
    beyond = {name: f"tcp://0.0.0.0:{free_port()}" for name in ("FLK_FRONTENDS", "FLK_BACKENDS", "FLK_ZMQ_LISTEN")}
    refuses(["beyond loopback", "FLK_PLAINTEXT=1"], **beyond)
    daemon = Process("forced", BIN_DIR / program, {**base, **beyond, "FLK_PLAINTEXT": 1}, tmp_path).start()
    wait_for(lambda: "link_in_plaintext" in daemon.log_tail(), 20, daemon.log_tail)
    daemon.kill()
