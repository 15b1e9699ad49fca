# SPDX-License-Identifier: MIT
"""The external metrics API as prometheus-adapter serves it with the rule of the chart's README: the sum of the metric over the
series that match selector and namespace, asked of Prometheus. usage: external_metrics.py ADDRESS PORT CERTIFICATE KEY PROMETHEUS"""
import datetime
import http.server
import json
import ssl
import sys
import urllib.parse
import urllib.request

GROUP = "external.metrics.k8s.io/v1beta1"
METRICS = {"flk_broker_queue_depth"}


def ask(metric, namespace, selector):
    """[] when no series matches, as an HPA must see it."""
    pairs = [part.partition("=") for part in selector.split(",") if "=" in part]
    matchers = {f'namespace="{namespace}"', *(f'{name}="{value}"' for name, _, value in pairs)}
    query = urllib.parse.urlencode({"query": f"sum({metric}{{{','.join(sorted(matchers))}}})"})
    with urllib.request.urlopen(f"{sys.argv[5]}/api/v1/query?{query}", timeout=5) as answer:
        return [float(series["value"][1]) for series in json.load(answer)["data"]["result"]]


class Door(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        url = urllib.parse.urlparse(self.path)
        parts = url.path.strip("/").split("/")
        if parts[0] == "openapi":
            self.say(404, {})
        elif len(parts) <= 3:
            self.say(200, {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": GROUP, "resources": [
                {"name": name, "singularName": "", "namespaced": True, "kind": "ExternalMetricValueList", "verbs": ["get"]} for name in METRICS]})
        else:
            self.say_values(parts[4], parts[5], urllib.parse.parse_qs(url.query).get("labelSelector", [""])[0])

    def say_values(self, namespace, metric, selector):
        try:
            values = ask(metric, namespace, selector) if metric in METRICS else []
        except OSError as error:
            self.say(500, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": str(error), "code": 500})
            return
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.say(200, {"kind": "ExternalMetricValueList", "apiVersion": GROUP, "metadata": {}, "items": [
            {"metricName": metric, "metricLabels": {}, "timestamp": now, "value": f"{round(value * 1000)}m"} for value in values]})

    def say(self, status, document):
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


server = http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Door)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[3], sys.argv[4])
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
