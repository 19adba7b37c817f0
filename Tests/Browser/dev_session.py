"""All of Millrace on free ports in a temporary folder. A user starts it in the same way: `millrace dev`."""

import glob
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import urllib.request
import uuid

from browser import REPOSITORY, until

PROGRAMS = pathlib.Path(os.environ.get("MILLRACE_BIN", REPOSITORY / ".build" / "debug")).absolute()
# The first start creates a database cluster.
START_PATIENCE_S = 120
STOP_PATIENCE_S = 60


class DevSession:
    def __init__(self):
        # PostgreSQL does not run as root, so its user must be able to enter the folder.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="millrace-browser-", dir="/var/tmp"))
        self.folder.chmod(0o755)
        environment = {name: value for name, value in os.environ.items()
                       if name not in ("DATABASE_URL", "KAFKA_BOOTSTRAP_SERVERS")}
        self.log = open(self.folder / "dev.log", "wb")
        self.process = subprocess.Popen(
            [PROGRAMS / "millrace", "dev", "--data", self.folder / "data", "--partitions", "4"],
            cwd=self.folder, env=environment, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)

    def start(self):
        """Waits until the page is served."""
        try:
            until(self._is_serving, "the query service does not answer", START_PATIENCE_S)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.output()}") from None

    def _is_serving(self):
        if self.process.poll() is not None:
            raise AssertionError("millrace dev has ended")
        try:
            with urllib.request.urlopen(self.url, timeout=5) as answer:
                return answer.status == 200
        except (OSError, LookupError):
            return False

    def output(self):
        texts = [(self.folder / "dev.log").read_text(errors="replace")]
        texts += [f"{path}:\n{pathlib.Path(path).read_text(errors='replace')[-4000:]}"
                  for path in glob.glob(str(self.folder / "data" / "log" / "*.log"))]
        return "\n".join(texts)

    def stop(self):
        """Stops the session as Ctrl-C does, and removes its files."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(STOP_PATIENCE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def url(self):
        """The address of the query service, from the configuration file that `millrace dev` has written."""
        file = self.folder / "data" / "config" / "query-service.toml"
        if not file.exists():
            raise LookupError("not configured yet")
        [port] = re.findall(r"^\[http\]\n(?:.+\n)*?port = ([0-9]+)", file.read_text(), re.M)
        return f"http://127.0.0.1:{port}/"

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return json.load(answer)

    @property
    def database(self):
        text = (self.folder / "data" / "dev.env").read_text()
        return re.search(r"^DATABASE_URL=(.+)$", text, re.M)[1]

    def sql(self, text):
        """Runs the statement in psql, and returns the rows as lists of texts."""
        psql = shutil.which("psql") or sorted(glob.glob("/usr/lib/postgresql/*/bin/psql"))[-1]
        done = subprocess.run(
            [psql, self.database, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", text],
            check=True, capture_output=True, text=True, timeout=30)
        return [line.split("|") for line in done.stdout.splitlines()]

    def play(self, orders):
        """Plays this number of orders of a shop to their end."""
        subprocess.run(
            [PROGRAMS / "millrace", "load", "--database", self.database, "--orders", str(orders), "--rate", "0",
             "--quiet"], check=True, timeout=120, stdout=subprocess.DEVNULL, cwd=self.folder)

    def create_orders(self, count):
        """Commits the events of new orders to the outbox in one transaction, and returns the orders' ids."""
        orders = [f"ord-browser-{uuid.uuid4().hex[:12]}" for _ in range(count)]
        payload = json.dumps({
            "customerId": "cust-browser", "currency": "EUR",
            "items": [{"productId": "prod-browser", "name": "Test kettle", "quantity": 2, "unitPrice": "9.95"}],
            "shippingAddress": {"name": "T. Ester", "street": "1 Mill Road", "city": "Leeds", "postalCode": "LS1",
                                "country": "GB"}})
        rows = ", ".join(
            f"('OrderCreated', 'Order', '{order}', 1, 2, '{order}', '{{\"source\": \"browser-test\"}}', '{payload}')"
            for order in orders)
        self.sql("INSERT INTO outbox (event_type, aggregate_type, aggregate_id, sequence, version, correlation_id, "
                 f"metadata, payload) VALUES {rows}")
        return orders

    def kill_query_service(self):
        """Kills the query service of this session; `millrace dev` restarts it."""
        for process in self._descendants(self.process.pid):
            try:
                arguments = pathlib.Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if pathlib.Path(os.fsdecode(arguments[0])).name == "query-service":
                return os.kill(process, signal.SIGKILL)
        raise AssertionError("no query service is running")

    @classmethod
    def _descendants(cls, process):
        parents = {}
        for entry in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                # The name is in parentheses and may contain spaces. The parent is the second field after it.
                parents[int(entry.parent.name)] = int(entry.read_text().rpartition(")")[2].split()[1])
            except OSError:
                pass
        return [child for child in parents if process in cls._ancestors(child, parents)]

    @staticmethod
    def _ancestors(process, parents):
        while process := parents.get(process, 0):
            yield process
