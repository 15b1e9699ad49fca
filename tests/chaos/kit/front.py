# SPDX-License-Identifier: MIT
"""An HTTP proxy before a gateway that can answer for it, as load balancers, login pages and wrong routes do."""
import http.client
import http.server
import threading

PAGE = b"<html><body><h1>It works!</h1></body></html>"
STRANGERS = ((502, {}), (404, {}), (403, {}), (405, {"Allow": "GET"}), (401, {"WWW-Authenticate": "Basic"}), (302, {"Location": "/login"}),
             (200, {}), (500, {}), (429, {"Retry-After": "1"}))


class Front:
    """While `share` is 1 nobody reaches the gateway, at 0 everybody does."""

    def __init__(self, target, random):
        front = self
        self.share, self.strange, self.random, self.lock = 0.0, 0, random, threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with front.lock:
                    stranger = front.random.choice(STRANGERS) if front.random.random() < front.share else None
                    front.strange += stranger is not None
                if stranger:
                    self.reply(stranger[0], {"Content-Type": "text/html", **stranger[1]}, PAGE)
                else:
                    self.forward(body)

            def forward(self, body):
                connection = http.client.HTTPConnection(*target, timeout=60)
                try:
                    connection.request("POST", self.path, body, {"Content-Type": "application/json"})
                    answer = connection.getresponse()
                    kept = {name: value for name, value in answer.getheaders() if name in ("Content-Type", "Retry-After")}
                    self.reply(answer.status, kept, answer.read())
                except OSError:
                    self.reply(502, {"Content-Type": "text/html"}, PAGE)
                finally:
                    connection.close()

            def reply(self, status, headers, body):
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                try:
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:  # the client is gone
                    self.close_connection = True

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = "http://127.0.0.1:%d/v1/pcs/submit" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
