# SPDX-License-Identifier: MIT
"""Starts and ends the cluster. A host or a daemon that is up already stays as it is."""
import os
import pathlib
import re
import shutil
import sys
import time

from . import hosts, images, keys, programs
from .hosts import CONTROL, NODE
from .kubectl import ENVIRONMENT, apply, k
from .place import (API_SERVICE_IP, BIN, CONTROL_IP, DIR, DNS_IP, FLK_BIN, HERE, IMAGES, NODES, PKI, POD_CIDR, RUN, SERVICE_CIDR, TOOLS, Broken,
                    node_ip, node_pods, put, say, until)

CGROUPS = pathlib.Path("/sys/fs/cgroup")
TAGS = ("0.1.0", "0.1.1")  # the chart's own, and another one to upgrade to
KERNEL = {"vm.overcommit_memory": 1, "vm.panic_on_oom": 0, "kernel.panic": 10, "kernel.panic_on_oops": 1, "kernel.keys.root_maxkeys": 1000000,
          "kernel.keys.root_maxbytes": 25000000}


def start_control():
    etcd = "http://127.0.0.1:2379"
    CONTROL.daemon("etcd", BIN / "etcd", "--data-dir", RUN / "control" / "etcd", "--listen-client-urls", etcd, "--advertise-client-urls", etcd,
                   "--listen-peer-urls", "http://127.0.0.1:2380", "--initial-advertise-peer-urls", "http://127.0.0.1:2380",
                   "--initial-cluster", "default=http://127.0.0.1:2380", "--unsafe-no-fsync", "--log-level", "warn")
    CONTROL.daemon(
        "apiserver", BIN / "kube-apiserver", "--etcd-servers", etcd, "--advertise-address", CONTROL_IP, "--secure-port", 6443,
        "--tls-cert-file", PKI / "apiserver.crt", "--tls-private-key-file", PKI / "apiserver.key", "--client-ca-file", PKI / "ca.crt",
        "--authorization-mode", "Node,RBAC", "--enable-admission-plugins", "NodeRestriction", "--allow-privileged",
        "--service-cluster-ip-range", SERVICE_CIDR, "--service-account-issuer", "https://kubernetes.default.svc",
        "--service-account-key-file", PKI / "sa.pub", "--service-account-signing-key-file", PKI / "sa.key",
        "--kubelet-client-certificate", PKI / "kubelet-client.crt", "--kubelet-client-key", PKI / "kubelet-client.key",
        "--kubelet-certificate-authority", PKI / "ca.crt", "--kubelet-preferred-address-types", "InternalIP",
        "--requestheader-client-ca-file", PKI / "ca.crt", "--requestheader-allowed-names", "front-proxy-client",
        "--requestheader-username-headers", "X-Remote-User", "--requestheader-group-headers", "X-Remote-Group",
        "--requestheader-extra-headers-prefix", "X-Remote-Extra-", "--proxy-client-cert-file", PKI / "front-proxy.crt",
        "--proxy-client-key-file", PKI / "front-proxy.key", "--enable-aggregator-routing")
    until("the API server is ready", 180, lambda: k("get", "--raw", "/readyz"))
    for name, program, *more in (
            ("controllers", "kube-controller-manager", "--service-account-private-key-file", PKI / "sa.key", "--root-ca-file", PKI / "ca.crt",
             "--use-service-account-credentials", "--cluster-signing-cert-file", PKI / "ca.crt", "--cluster-signing-key-file", PKI / "ca.key"),
            ("scheduler", "kube-scheduler")):
        config = PKI / f"{name}.conf"
        CONTROL.daemon(name, BIN / program, "--kubeconfig", config, "--authentication-kubeconfig", config, "--authorization-kubeconfig", config,
                       "--leader-elect=false", *more)


def make_cgroups(node):
    """Of version 1: the parent of the node's pods in each hierarchy. A cpuset takes nothing in until it is told which cores it has."""
    hierarchies = [at for at in CGROUPS.iterdir() if (at / "tasks").exists()]
    if not hierarchies:
        raise Broken(f"{CGROUPS} has no hierarchies of cgroup version 1")
    for at in hierarchies:
        for place in (at / "flk-k8s", at / "flk-k8s" / node):
            place.mkdir(exist_ok=True)
            for name in ("cpuset.cpus", "cpuset.mems"):
                if (at / name).exists():
                    (place / name).write_text((place.parent / name).read_text())


def configure(node, place):
    put(place / "cni" / "10-pods.conflist", f"""{{"cniVersion": "0.4.0", "name": "pods", "plugins": [
  {{"type": "ptp", "ipam": {{"type": "host-local", "dataDir": "/run/cni-ipam",
    "ranges": [[{{"subnet": "{node_pods(node)}"}}]], "routes": [{{"dst": "0.0.0.0/0"}}]}}}},
  {{"type": "portmap", "capabilities": {{"portMappings": true}}}}]}}
""")
    put(place / "containerd.toml", f"""version = 2
root = "{place}/containerd"
state = "/run/containerd"
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "docker.io/library/pause:1"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{place}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
""")
    put(place / "resolv.conf", f"nameserver {DNS_IP}\n")
    for name, source in (("kubelet.yaml", "kubelet.yaml"), ("proxy.yaml", "kube-proxy.yaml")):
        put(place / name, fill(source, NODE=node, PLACE=place, PKI=PKI, DNS_IP=DNS_IP, POD_CIDR=POD_CIDR))


def fill(name, **values):
    return re.sub(r"@(\w+)@", lambda found: str(values[found.group(1)]), (HERE / "objects" / name).read_text())


def set_kernel(host, place):
    """The kubelet finds the kernel set as it wants it, by files over those of /proc on this host alone: the machine's own stay."""
    lines = "".join(f"{key} {value}\n" for key, value in KERNEL.items())
    host.run("sh", "-ec", """
        mkdir -p /var/log/containers /var/lib/cni
        mountpoint -q /var/log/containers || mount --bind "$1/log-links" /var/log/containers
        mountpoint -q /var/lib/cni || mount --bind "$1/cni-cache" /var/lib/cni
        while read -r key value; do
            file=/proc/sys/$(echo "$key" | tr . /)
            [ "$(cat "$file")" != "$value" ] || continue
            echo "$value" >"$1/sysctl/$key"
            mount --bind "$1/sysctl/$key" "$file"
        done""", "sh", place, input=lines)


def import_images(host, place):
    for archive in sorted(IMAGES.glob("*.tar")):
        done = place / "imported" / archive.name
        if not done.exists() or done.stat().st_mtime < archive.stat().st_mtime:
            host.run("ctr", "-n", "k8s.io", "images", "import", archive)
            done.touch()


def import_all():
    for node, host in NODE.items():
        import_images(host, RUN / node)


def start_node(node):
    host, place = NODE[node], RUN / node
    for name in ("cni", "containerd", "kubelet", "pod-logs", "cni-cache", "log-links", "sysctl", "imported"):
        (place / name).mkdir(parents=True, exist_ok=True)
    make_cgroups(node)
    configure(node, place)
    set_kernel(host, place)
    host.daemon("containerd", "containerd", "--config", place / "containerd.toml", "--log-level", "warn")
    until(f"containerd of {node} answers", 60, lambda: host.tries("ctr", "version"))
    import_images(host, place)
    host.daemon("kubelet", BIN / "kubelet", "--config", place / "kubelet.yaml", "--kubeconfig", PKI / f"{node}.conf", "--root-dir",
                place / "kubelet", "--hostname-override", node, "--node-ip", node_ip(node), "--node-labels",
                f"topology.kubernetes.io/zone=zone-{NODES[node]}")
    host.daemon("proxy", BIN / "kube-proxy", "--config", place / "proxy.yaml")


def python_daemon(name, *words):
    """A script of kit/ on the control host, which asks the API server by kubectl."""
    CONTROL.daemon(name, sys.executable, "-B", HERE / "kit" / f"{name}.py", *words, KUBECONFIG=ENVIRONMENT["KUBECONFIG"],
                   PATH=f"{TOOLS}:{os.environ['PATH']}")


def nodes_ready():
    k("wait", "--for=condition=Ready", "node", "--all", "--timeout=2s")
    return True


def up():
    began = time.monotonic()
    if os.geteuid() != 0:
        raise Broken("the cluster's hosts are namespaces: run this as root")
    programs.make()
    if not images.made():
        images.make_cluster()
    images.make_flk(FLK_BIN, *TAGS)
    for host in hosts.ALL:
        host.boot()
    hosts.wire()
    keys.make()
    start_control()
    for node in NODES:
        start_node(node)
    k("apply", "-f", "-", text=fill("addons.yaml", DNS_IP=DNS_IP))
    python_daemon("volumes", DIR / "volumes")
    until("the nodes are ready", 180, nodes_ready)
    k("-n", "kube-system", "rollout", "status", "deployment/coredns", "--timeout=180s")
    say(f"the cluster is up after {time.monotonic() - began:.0f} s")


def start_metrics():
    """A Prometheus that finds flk's pods and has the chart's rules, and the external metrics API on top of it."""
    control = RUN / "control"
    put(control / "prometheus.yml", fill("prometheus.yml", TARGETS=control / "targets.json", RULES=HERE.parents[1] / "compose/prometheus/flk.rules.yml"))
    python_daemon("targets", control / "targets.json")
    CONTROL.daemon("prometheus", "prometheus", f"--config.file={control}/prometheus.yml", f"--storage.tsdb.path={control}/prometheus",
                   f"--web.listen-address={CONTROL_IP}:9090", "--log.level=warn")
    python_daemon("external_metrics", CONTROL_IP, 6444, PKI / "apiserver.crt", PKI / "apiserver.key", f"http://{CONTROL_IP}:9090")
    k("apply", "-f", "-", text=fill("external_metrics.yaml", CONTROL_IP=CONTROL_IP))
    until("the external metrics API answers", 60, lambda: k("get", "--raw", "/apis/external.metrics.k8s.io/v1beta1"))


def down(forget=False):
    """Ends every host, and with it all that runs on it. `forget`: objects and volumes too."""
    for host in hosts.ALL:
        host.power_off()
        for file in host.place.glob("*.pid"):
            file.unlink()
    groups = [group for at in CGROUPS.glob("*/flk-k8s") for group in [*at.rglob("*/"), at]]
    groups = sorted({group for group in groups if group.is_dir()}, key=lambda group: -len(group.parts))
    until("the groups of its processes are empty", 20, lambda: remove(groups))
    if forget:
        shutil.rmtree(RUN, ignore_errors=True)
        shutil.rmtree(DIR / "volumes", ignore_errors=True)
    say("the cluster is down")


def remove(groups):
    left = []
    for group in groups:
        try:
            group.rmdir()
        except FileNotFoundError:
            pass
        except OSError as error:
            left.append(f"{group}: {error}")
    if left:
        raise Broken(left[0])
    return True
