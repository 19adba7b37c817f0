"""The dashboard's API under the control of a test. It shows the page in states that a healthy service rarely has.

The documents have the form that /openapi.json describes. test_live.py is there to detect a difference.
"""

import datetime
import http.server
import json
import pathlib
import re
import threading
from urllib.parse import parse_qs, unquote, urlsplit

from browser import REPOSITORY

RESOURCES = REPOSITORY / "Sources" / "DashboardPage" / "Resources"
CHART = pathlib.Path("/usr/share/javascript/chart.js/chart.min.js")
TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
         ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
          "base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
WINDOWS = {"1h": (60, 60, "minute"), "6h": (60, 360, "minute"), "24h": (3600, 24, "hour"), "7d": (3600, 168, "hour"),
           "30d": (86400, 30, "day")}


def iso(instant):
    return instant.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def order(name, status="created", currency="EUR", amount="19.90", ago_s=0):
    at = iso(now() - datetime.timedelta(seconds=ago_s))
    return {"orderId": name, "customerId": "cust-1", "status": status, "itemCount": 2, "totalAmount": amount,
            "currency": currency, "createdAt": at, "updatedAt": at}


def projection(name, state="live", lag=0):
    partitions = [{"topic": topic, "partition": number, "nextOffset": 1000, "endOffset": 1000 + lag, "lag": lag,
                   "state": state} for topic in ("order-events", "payment-events") for number in range(3)]
    return {"name": name, "version": 1, "state": state, "asOf": iso(now()), "lagRecords": lag * 6,
            "lagSeconds": lag * 1.5, "eventsPerSecond": 42.0, "partitions": partitions}


def pipeline(state="live", lag=0, letters=0):
    groups = [{"consumer": "order-summary", "errorClass": "missing_field", "fingerprint": "9f3c", "count": letters,
               "message": "missing_field at $.payload.currency", "firstSeen": iso(now()), "lastSeen": iso(now())}]
    return {"outbox": {"backlog": 3, "backlogIsAtLeast": False, "oldestAgeSeconds": 0.2, "failed": 0},
            "projections": [projection("order-summary", state, lag), projection("dashboard")],
            "deadLetters": {"open": letters, "groups": groups if letters else []},
            "rates": {"inPerSecond": 42.0, "outPerSecond": 41.5}}


def document(window, empty=False):
    """A dashboard in two currencies with the same numbers in each bucket, or the dashboard of a shop without orders."""
    width, buckets, resolution = WINDOWS[window]
    end = (int(now().timestamp()) // width + 1) * width
    at = [datetime.datetime.fromtimestamp(end - (buckets - n) * width, datetime.timezone.utc) for n in range(buckets)]
    counts = {"ordersCreated": 10, "ordersConfirmed": 9, "ordersPaid": 8, "ordersDelivered": 7, "ordersCancelled": 1,
              "paymentsCompleted": 8, "paymentsFailed": 1, "paymentsRefunded": 1}
    money = {"EUR": ("1234.50", "12.30"), "USD": ("99.99", "1.00")}
    # The second bucket is left out, like an empty bucket.
    shown = [instant for place, instant in enumerate(at) if place != 1]
    series = [{"currency": currency, "buckets": [
        {"at": iso(instant), **counts, "revenue": revenue, "refunds": refunds} for instant in shown]}
        for currency, (revenue, refunds) in money.items()]
    totals = [{"currency": currency, **{key: value * len(shown) for key, value in counts.items()},
               "revenue": "28393.50", "refunds": "282.90"} for currency in money]
    products = [{"productId": f"prod-{n}", "name": f"Product {n}", "currency": currency, "units": 100 - n,
                 "revenue": f"{1000 - n}.50"} for n in range(10) for currency in money]
    return {
        "asOf": iso(now()), "window": window, "resolution": resolution, "from": iso(at[0]),
        "to": iso(datetime.datetime.fromtimestamp(end, datetime.timezone.utc)),
        "series": [] if empty else series, "totals": [] if empty else totals,
        "statuses": [] if empty else [{"status": "created", "orders": 5}, {"status": "delivered", "orders": 90},
                                      {"status": "cancelled", "orders": 5}],
        "topProducts": [] if empty else products,
        "durations": [] if empty else [{"step": step, "orders": 90, "p50Ms": ms, "p95Ms": ms * 4}
                                       for step, ms in (("paid", 2300), ("shipped", 61000), ("delivered", 9_400_000))],
        "latestOrders": [] if empty else [order(f"ord-{n}", ago_s=n) for n in range(10)],
        "pipeline": pipeline(),
    }


class Stub:
    """A service on its own port. `changed` guards all of its state."""

    def __init__(self, empty=False):
        self.empty, self.token, self.charts, self.silent = empty, None, True, False
        self.epoch, self.sent, self.cut, self.refusal = "e1", [], 0, None
        # The SQL queries that are served: their rows by path. A path may have names in braces.
        self.queries, self.asked = {}, []
        self.seen = []
        self.changed = threading.Condition()
        service = self

        class Handler(_Handler):
            stub = service

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.disconnect()
        self.server.shutdown()
        self.server.server_close()

    def update(self, skips=0, again=False, **sections):
        """Sends sections to all clients. `skips` loses this number of events before it; `again` repeats the last id."""
        with self.changed:
            number = self.sent[-1][0] if self.sent else 1
            self.sent.append((number if again else number + 1 + skips, {"asOf": iso(now()), **sections}))
            self.changed.notify_all()

    def disconnect(self, refusal=None):
        """Ends all streams. With `refusal`, the status of an answer, the service refuses new streams."""
        with self.changed:
            self.cut += 1
            self.refusal = refusal
            self.changed.notify_all()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stub = None

    def log_message(self, *_):
        pass

    def reply(self, status, kind, body, **headers):
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), "Content-Security-Policy": POLICY,
                            "X-Content-Type-Options": "nosniff", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def problem(self, status, title, **headers):
        body = json.dumps({"title": title, "status": status}).encode()
        self.reply(status, "application/problem+json", body, **headers)

    def do_GET(self):
        url = urlsplit(self.path)
        if url.path == "/assets/chart.js":
            if self.stub.charts:
                return self.reply(200, TYPES[".js"], CHART.read_bytes())
            return self.problem(404, "Not Found")
        name = "index.html" if url.path == "/" else pathlib.PurePosixPath(url.path).name
        if url.path == "/" or url.path.startswith("/assets/"):
            file = RESOURCES / name
            if file.is_file():
                return self.reply(200, TYPES[file.suffix], file.read_bytes())
        if url.path == "/openapi.json":
            paths = {"/v1/dashboard": {}, **{path: {} for path in self.stub.queries}}
            return self.reply(200, "application/json", json.dumps({"paths": paths}).encode())
        for template in self.stub.queries:
            form = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(template))
            if match := re.fullmatch(form, url.path):
                return self.query(url, template, {name: unquote(part) for name, part in match.groupdict().items()})
        if url.path == "/v1/dashboard/stream":
            try:
                return self.stream(parse_qs(url.query)["window"][0])
            except ConnectionError:
                # The page has closed the connection.
                return None
        return self.problem(404, "Not Found")

    def query(self, url, template, parts):
        stub = self.stub
        if stub.token is not None and self.headers.get("Authorization") != f"Bearer {stub.token}":
            return self.problem(401, "Unauthorized", WWW_Authenticate="Bearer")
        asked = parts | {name: values[0] for name, values in parse_qs(url.query).items()}
        stub.asked.append((template, asked))
        answer = stub.queries[template](asked)
        if answer is None:
            return self.problem(503, "Service Unavailable")
        return self.reply(200, "application/json", json.dumps(answer).encode())

    def stream(self, window):
        stub = self.stub
        with stub.changed:
            stub.seen.append(dict(self.headers))
            if stub.token is not None and self.headers.get("Authorization") != f"Bearer {stub.token}":
                return self.problem(401, "Unauthorized", WWW_Authenticate="Bearer")
            if stub.refusal is not None:
                return self.problem(stub.refusal, "Service Unavailable", Retry_After="1")
            cut = stub.cut
            last = self.headers.get("Last-Event-ID", "")
            place = next((n + 1 for n, (number, _) in enumerate(stub.sent) if last == self.name(window, number)), None)
            begins = place is None
            place = len(stub.sent) if begins else place
        self.send_response(200)
        for name, value in {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "Connection": "close",
                            "Content-Security-Policy": POLICY}.items():
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = True
        if begins:
            number = stub.sent[-1][0] if stub.sent else 1
            data = {**document(window, stub.empty), **self.latest()}
            self.event("snapshot", self.name(window, number), data, "retry: 100\n")
        while True:
            with stub.changed:
                stub.changed.wait_for(lambda: stub.cut != cut or len(stub.sent) > place)
                if stub.cut != cut:
                    return
                sent = stub.sent[place:]
                place = len(stub.sent)
            for number, sections in sent:
                self.event("update", self.name(window, number), sections)

    def latest(self):
        """The sections of all updates so far; later values replace earlier ones."""
        sections = {}
        for _, one in self.stub.sent:
            sections.update(one)
        return sections

    def name(self, window, number):
        return f"{self.stub.epoch}.{window}-{number}"

    def event(self, kind, identity, data, more=""):
        self.wfile.write(f"{more}id: {identity}\nevent: {kind}\ndata: {json.dumps(data)}\n\n".encode())
        self.wfile.flush()
