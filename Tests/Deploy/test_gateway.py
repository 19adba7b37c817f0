"""Tests config/gateway/nginx.conf in a real nginx, with two servers whose answers the test selects."""

import http.client
import http.server
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
NGINX = ROOT / ".build/deploy/debian/usr/sbin/nginx"
DEADLINE_S = 60


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Origin:
    """A server that counts its requests and returns the selected answers."""

    def __init__(self):
        self.requests = []
        self.status = 200
        self.streams = threading.Event()
        origin = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                origin.requests.append((self.command, self.path))
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if self.path == "/v1/dashboard/stream":
                    return self.stream()
                body = f"{origin.port} {len(origin.requests)}".encode()
                self.send_response(origin.status)
                # The header that query-service sends with an order.
                self.send_header("Cache-Control", "no-cache")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def stream(self):
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(b"data: 1\n\n")
                self.wfile.flush()
                origin.streams.wait(DEADLINE_S)

            do_HEAD = do_POST = do_DELETE = do_GET

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.streams.set()
        self.server.shutdown()
        self.server.server_close()


class Gateway(unittest.TestCase):
    # Time for which answers are cached.
    keeps = "60s"

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="millrace-gateway-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.origins = [Origin(), Origin()]
        self.commands = Origin()
        for origin in [*self.origins, self.commands]:
            self.addCleanup(origin.close)
        self.port = free_port()
        text = (ROOT / "config/gateway/nginx.conf").read_text()
        for old, new in [("/run/millrace-gateway", str(self.folder / "cache")),
                         ("127.0.0.1:8080", f"127.0.0.1:{self.origins[0].port}"),
                         ("127.0.0.1:8081", f"127.0.0.1:{self.origins[1].port}"),
                         ("127.0.0.1:8090", f"127.0.0.1:{self.commands.port}"),
                         ("listen 127.0.0.1:80;", f"listen 127.0.0.1:{self.port};"),
                         ("proxy_cache_valid 200 60s", f"proxy_cache_valid 200 {self.keeps}")]:
            self.assertEqual(text.count(old), 1, old)
            text = text.replace(old, new)
        (self.folder / "gateway.conf").write_text(text)
        paths = "".join(f"{kind}_temp_path {self.folder}/{kind};" for kind in
                        ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"])
        (self.folder / "nginx.conf").write_text(
            f"daemon off; master_process off; pid {self.folder}/pid; error_log {self.folder}/error.log;\n"
            f"events {{}}\nhttp {{ access_log off; {paths} include {self.folder}/gateway.conf; }}\n")
        command = [NGINX, "-p", self.folder, "-c", self.folder / "nginx.conf", "-e", self.folder / "error.log"]
        checked = subprocess.run([*command, "-t"], capture_output=True, text=True)
        self.assertEqual(checked.returncode, 0, checked.stderr)
        self.nginx = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        self.addCleanup(self.stop)
        self.until(lambda: self.answers())

    def stop(self):
        self.nginx.terminate()
        self.nginx.wait()

    def answers(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def until(self, condition):
        end = time.monotonic() + DEADLINE_S
        while not condition():
            self.assertLess(time.monotonic(), end, (self.folder / "error.log").read_text())
            time.sleep(0.02)

    def ask(self, path, method="GET", **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)
        connection.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
        response = connection.getresponse()
        body = response.read().decode()
        connection.close()
        return response.status, response.getheader("X-Cache"), body

    def asked(self):
        return sum(len(origin.requests) for origin in self.origins)

    def set_status(self, status):
        for origin in self.origins:
            origin.status = status


class Answers(Gateway):
    def test_answers_are_kept_by_path_token_and_form(self):
        first = self.ask("/v1/orders/1", Authorization="Bearer a")
        self.assertEqual(first[:2], (200, "MISS"))
        self.assertEqual(self.ask("/v1/orders/1", Authorization="Bearer a"), (200, "HIT", first[2]))
        self.assertEqual(self.asked(), 1)
        # No client gets an answer for another token.
        self.assertEqual(self.ask("/v1/orders/1", Authorization="Bearer b")[1], "MISS")
        self.assertEqual(self.ask("/v1/orders/1")[1], "MISS")
        self.assertEqual(self.ask("/v1/orders/1", Authorization="Bearer a", Accept="text/html")[1], "MISS")
        self.assertEqual(self.ask("/v1/orders/1?min_version=2", Authorization="Bearer a")[1], "MISS")
        self.assertEqual(self.asked(), 5)

    def test_who_needs_the_newest_state_gets_it(self):
        old = self.ask("/v1/orders/1")
        new = self.ask("/v1/orders/1", Cache_Control="no-cache")
        self.assertEqual(new[:2], (200, "BYPASS"))
        self.assertNotEqual(new[2], old[2])
        self.assertEqual(self.ask("/v1/orders/1"), (200, "HIT", new[2]))

    def test_a_server_that_is_gone_is_not_noticed(self):
        self.origins[0].close()
        for number in range(8):
            self.assertEqual(self.ask(f"/v1/orders/{number}")[0], 200)
        self.assertEqual(len(self.origins[1].requests), 8)

    def test_the_service_says_itself_that_it_has_too_much(self):
        self.set_status(503)
        self.assertEqual(self.ask("/v1/orders/1")[0], 503)
        self.assertEqual(self.asked(), 1, "a second attempt would increase the load")

    def test_a_failing_server_is_left_alone(self):
        self.origins[0].status = 502
        for number in range(20):
            self.assertEqual(self.ask(f"/v1/orders/{number}")[0], 200)
        self.assertEqual(len(self.origins[0].requests), 3, "max_fails")

    def test_there_are_two_more_tries_and_no_third(self):
        self.set_status(502)
        self.assertEqual(self.ask("/v1/orders/1")[0], 502)
        self.assertEqual(self.asked(), 2, "one for each server")

    def test_commands_go_to_their_service_once(self):
        kinds = ["accounts", "customers", "inventory", "payments", "products", "shipments"]
        asked = [("POST", "/v1/orders"), ("DELETE", "/v1/orders/1/items/2"), ("POST", "/v1/inventory/1/receipts"),
                 *(("GET", f"/v1/{kind}/1") for kind in kinds)]
        for method, path in asked:
            self.assertEqual(self.ask(path, method)[0], 200)
        self.commands.status = 502
        self.assertEqual(self.ask("/v1/orders", "POST")[0], 502)
        self.assertEqual(self.commands.requests, [*asked, ("POST", "/v1/orders")], "a command is not repeated")
        for method, path in [("PUT", "/v1/orders"), ("POST", "/v1/dashboard/stream")]:
            self.assertEqual(self.ask(path, method)[0], 405)
        self.assertEqual(self.asked(), 0)
        # query-service serves these paths, not command-service.
        paths = ["/v1/customers/1/orders", "/v1/customers/1/history", "/v1/products/search?q=a",
                 "/v1/products/search/facets", "/v1/products/best-sellers", "/v1/accounts/1/transactions",
                 "/v1/accounts/1/statements"]
        for path in paths:
            self.assertEqual(self.ask(path)[0], 200)
        self.assertEqual(self.asked(), len(paths))
        self.assertEqual(self.ask("/v1/products/search", "POST")[0], 502, "a command")

    def test_a_stream_comes_as_it_is_made(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)
        connection.request("GET", "/v1/dashboard/stream")
        response = connection.getresponse()
        self.assertEqual(response.read(9), b"data: 1\n\n", "before the stream has ended")
        connection.close()


class OldAnswers(Gateway):
    keeps = "1s"

    def test_an_old_answer_is_better_than_none(self):
        kept = self.ask("/v1/orders/1")[2]
        self.until(lambda: self.ask("/v1/orders/1")[1] == "EXPIRED")
        kept = self.ask("/v1/orders/1")[2]
        for status in [502, 503, 504]:
            self.set_status(status)
            self.until(lambda: self.ask("/v1/orders/1")[1] == "STALE")
            answer = self.ask("/v1/orders/1")
            self.assertEqual((answer[0], answer[2]), (200, kept))
        for origin in self.origins:
            origin.close()
        self.assertEqual(self.ask("/v1/orders/1")[0::2], (200, kept))
        self.assertEqual(self.ask("/v1/orders/2")[0], 502, "a path without a cached answer fails")


if __name__ == "__main__":
    unittest.main()
