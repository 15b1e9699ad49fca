# SPDX-License-Identifier: MIT
"""The cluster's certificates: one authority, and one for each component."""
import tempfile

from .place import API_SERVICE_IP, CONTROL_IP, NODES, PKI, call, node_ip, put

API_NAMES = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost"]
CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650"]


def sign(name, subject, usage, addresses=()):
    if (PKI / f"{name}.crt").exists():
        return
    extensions = f"extendedKeyUsage={usage}\n" + (f"subjectAltName={','.join(addresses)}\n" if addresses else "")
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(extensions)
        file.flush()
        call("openssl", "req", "-new", *CURVE[:-2], "-keyout", f"{name}.key", "-subj", subject, "-out", f"{name}.csr", cwd=PKI)
        call("openssl", "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "3650",
             "-out", f"{name}.crt", "-extfile", file.name, cwd=PKI)


def config(name):
    put(PKI / f"{name}.conf", f"""apiVersion: v1
kind: Config
clusters: [{{name: c, cluster: {{server: "https://{CONTROL_IP}:6443", certificate-authority: {PKI}/ca.crt}}}}]
users: [{{name: u, user: {{client-certificate: {PKI}/{name}.crt, client-key: {PKI}/{name}.key}}}}]
contexts: [{{name: x, context: {{cluster: c, user: u}}}}]
current-context: x
""")


def make():
    PKI.mkdir(parents=True, exist_ok=True)
    if not (PKI / "ca.crt").exists():
        call("openssl", "req", "-x509", *CURVE, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=flk-k8s", cwd=PKI)
    if not (PKI / "sa.pub").exists():
        call("openssl", "genrsa", "-out", "sa.key", "2048", cwd=PKI)
        call("openssl", "rsa", "-in", "sa.key", "-pubout", "-out", "sa.pub", cwd=PKI)
    sign("apiserver", "/CN=kube-apiserver", "serverAuth",
         [*(f"DNS:{name}" for name in API_NAMES), "IP:127.0.0.1", f"IP:{CONTROL_IP}", f"IP:{API_SERVICE_IP}"])
    sign("kubelet-client", "/O=system:masters/CN=kube-apiserver-kubelet-client", "clientAuth")
    sign("front-proxy", "/CN=front-proxy-client", "clientAuth")
    for name, subject in (("admin", "/O=system:masters/CN=admin"), ("controllers", "/CN=system:kube-controller-manager"),
                          ("scheduler", "/CN=system:kube-scheduler"), ("proxy", "/CN=system:kube-proxy"),
                          *((node, f"/O=system:nodes/CN=system:node:{node}") for node in NODES)):
        sign(name, subject, "clientAuth")
        config(name)
    for node in NODES:
        sign(f"{node}-serving", f"/O=system:nodes/CN=system:node:{node}", "serverAuth", [f"DNS:{node}", f"IP:{node_ip(node)}"])
