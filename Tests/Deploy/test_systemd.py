"""Tests the units in systemd/: systemd's own verification, and the daemons that run in them."""

import pathlib
import re
import shlex
import shutil
import subprocess
import tempfile
import time
import unittest

from supervisor import DAEMONS, ROOT, Database, Supervisor, why_it_cannot_boot

UNITS = [f"millrace-{name}@main.service" for name in DAEMONS]


class UnitFiles(unittest.TestCase):
    """Runs `systemd-analyze` on a root with the units and with programs of the right names."""

    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="millrace-root-"))
        cls.addClassCleanup(shutil.rmtree, cls.root)
        units = cls.root / "usr/lib/systemd/system"
        shutil.copytree("/lib/systemd/system", units, symlinks=True)
        shutil.copytree(ROOT / "systemd", units, dirs_exist_ok=True)
        (cls.root / "etc").mkdir()
        (cls.root / "usr/bin").mkdir()
        for name in DAEMONS:
            shutil.copy("/bin/true", cls.root / "usr/bin" / name)
        # The program that ExecReload runs.
        (cls.root / "bin").mkdir()
        shutil.copy("/bin/sh", cls.root / "bin/sh")

    def analyze(self, *arguments):
        return subprocess.run(["systemd-analyze", "--no-pager", f"--root={self.root}", *arguments],
                              capture_output=True, text=True)

    def test_systemd_accepts_every_line(self):
        done = self.analyze("verify", "--man=no", *UNITS, "millrace@main.target", "millrace.slice")
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_an_unknown_key_would_be_seen(self):
        unit = self.root / "usr/lib/systemd/system/millrace-wrong@.service"
        unit.write_text("[Service]\nExecStart=/usr/bin/outbox-relay\nProtectEverything=yes\n")
        self.addCleanup(unit.unlink)
        self.assertIn("ProtectEverything", self.analyze("verify", "--man=no", "millrace-wrong@main.service").stderr)

    def test_exposure(self):
        for unit in UNITS:
            with self.subTest(unit):
                done = self.analyze("security", "--offline=true", "--threshold=15", unit)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_every_daemon_has_a_unit(self):
        catalog = (ROOT / "Makefile").read_text()
        programs = re.search(r"^PROGRAMS\s*:=\s*(.*)$", catalog, re.MULTILINE).group(1).split()
        self.assertEqual(set(DAEMONS) | {"millrace"}, set(programs))
        files = {path.name for path in (ROOT / "systemd").glob("millrace-*@.service")}
        self.assertEqual(files, {f"millrace-{name}@.service" for name in DAEMONS})


class Life(unittest.TestCase):
    """Runs the real daemons under the real systemd, with the sandbox. PostgreSQL and Kafka are not available."""

    @classmethod
    def setUpClass(cls):
        reason = why_it_cannot_boot()
        if reason:
            raise unittest.SkipTest(f"a private systemd cannot boot here: {reason}")

    def test_all_daemons_start_and_stop(self):
        with Supervisor() as systemd:
            wants = systemd.stage / "units/millrace@main.target.wants"
            wants.mkdir()
            for unit in UNITS:
                (wants / unit).symlink_to(f"../{unit.replace('@main', '@')}")
            systemd.systemctl("daemon-reload")
            systemd.systemctl("start", "millrace@main.target")
            for unit in UNITS:
                systemd.until(unit, lambda: systemd.show(unit, "ActiveState") == "active")
                systemd.until(f"{unit} says why it is not ready", lambda: "not ready: database: not reached yet"
                              in systemd.show(unit, "StatusText"))
                self.assertEqual(systemd.show(unit, "NRestarts"), "0", systemd.log(unit))
            systemd.systemctl("stop", "millrace@main.target")
            for name, unit in zip(DAEMONS, UNITS):
                systemd.until(f"{unit} stops", lambda: systemd.show(unit, "ActiveState") == "inactive")
                self.assertEqual(systemd.show(unit, "Result"), "success")
                self.assertEqual(systemd.show(unit, "ExecMainStatus"), "0")
                self.assertIn("stopped", systemd.log(name))

    def test_a_reload_changes_settings(self):
        with Supervisor() as systemd:
            for name, unit in zip(DAEMONS, UNITS):
                systemd.systemctl("start", unit)
                systemd.run("sed", "-i", "1i log.level = \"debug\"", f"/etc/millrace/main/{name}.toml")
                systemd.systemctl("reload", unit)
                systemd.until(f"{unit} reloads", lambda: "reloaded" in systemd.log(name))
                self.assertIn("log.level", systemd.log(name))
                self.assertEqual(systemd.show(unit, "ActiveState"), "active")

    def test_a_killed_daemon_is_started_again(self):
        with Supervisor(["RestartSec=100ms"]) as systemd:
            unit = UNITS[0]
            systemd.systemctl("start", unit)
            systemd.systemctl("kill", "--signal=KILL", unit)
            systemd.until("restart", lambda: systemd.show(unit, "NRestarts") == "1"
                          and systemd.show(unit, "ActiveState") == "active")

    def test_a_daemon_that_stands_still_is_started_again(self):
        with Supervisor(["WatchdogSec=3", "TimeoutAbortSec=1", "RestartSec=100ms"]) as systemd:
            unit = UNITS[0]
            systemd.systemctl("start", unit)
            fed = systemd.show(unit, "WatchdogTimestampMonotonic")
            systemd.until("a watchdog notification", lambda: systemd.show(unit, "WatchdogTimestampMonotonic") != fed)
            self.assertEqual(systemd.show(unit, "NRestarts"), "0")
            systemd.systemctl("kill", "--signal=STOP", unit)
            systemd.until("restart", lambda: systemd.show(unit, "NRestarts") == "1"
                          and systemd.show(unit, "ActiveState") == "active")

    def test_a_wrong_configuration_is_not_tried_again(self):
        with Supervisor(["RestartSec=100ms"]) as systemd:
            unit = UNITS[0]
            systemd.run("sed", "-i", "1i [relay]\\nshards = 0", "/etc/millrace/main/outbox-relay.toml")
            self.assertNotEqual(systemd.run("systemctl", "start", unit).returncode, 0)
            self.assertEqual(systemd.show(unit, "ExecMainStatus"), "78")
            self.assertEqual(systemd.show(unit, "ActiveState"), "failed")
            self.assertEqual(systemd.show(unit, "NRestarts"), "0")
            self.assertIn("relay.shards: 0 is outside the range", systemd.log(DAEMONS[0]))

    def test_secrets_come_from_the_credential_store(self):
        tokens = 'host = "0.0.0.0"\ntoken_files = ["api-tokens"]'
        password = 'url = "postgresql://millrace@127.0.0.1:9/none"\npassword = { file = "pg-password" }'
        supervisor = Supervisor()
        supervisor.configure("query-service", f"[http]\n{tokens}\n", password)
        supervisor.configure("outbox-relay", "", password)
        supervisor.secret("millrace.main.query-service.pg-password", "hunter2")
        supervisor.secret("millrace.main.query-service.api-tokens", "0123456789abcdef0123456789abcdef")
        with supervisor as systemd:
            unit = "millrace-query-service@main.service"
            systemd.systemctl("start", unit)
            self.assertEqual(systemd.show(unit, "ActiveState"), "active")
            self.assertNotIn("secret file", systemd.log("query-service"), "nobody else can read them")
            # The relay has no secret with this name, and cannot use that of another daemon.
            self.assertNotEqual(systemd.run("systemctl", "start", UNITS[0]).returncode, 0)
            self.assertRegex(systemd.log("outbox-relay"), "postgres.password: secret file .*pg-password: no such file")

    @staticmethod
    def line_of_the_page(part):
        """The command of docs/operations.md that runs `part` under systemd, with servers that are not available."""
        page = (ROOT / "docs/operations.md").read_text().replace("\\\n", " ")
        (line,) = [line for line in re.findall(r"^ *systemd-run .*$", page, re.MULTILINE) if part in line]
        return shlex.split(line.replace("kafka-1:9092", "127.0.0.1:9").replace("db:5432", "127.0.0.1:9"))

    def test_a_rebuild_runs_in_the_background(self):
        supervisor = Supervisor()
        supervisor.secret("millrace.main.order-summary-projection.pg-password", "hunter2")
        with supervisor as systemd:
            done = systemd.run(*self.line_of_the_page("rebuild start"))
            self.assertEqual(done.returncode, 0, done.stderr)
            unit = "rebuild-order-summary.service"
            # A restart may help against unavailable servers, but not against a missing secret (64).
            systemd.until("a failure", lambda: systemd.show(unit, "ExecMainStatus") == "69")
            systemd.until("another start", lambda: int(systemd.show(unit, "NRestarts")) >= 1)
            systemd.systemctl("stop", unit)

    def test_a_check_finds_the_secrets_of_a_unit(self):
        supervisor = Supervisor()
        supervisor.configure("outbox-relay", "",
                             'url = "postgresql://millrace@127.0.0.1:9/none"\npassword = { file = "pg-password" }')
        supervisor.secret("millrace.main.outbox-relay.pg-password", "hunter2")
        supervisor.dbus()
        with supervisor as systemd:
            systemd.systemctl("start", "dbus.socket", "dbus.service")
            command = self.line_of_the_page("--check=online")
            systemd.until("systemd is on the bus", lambda: systemd.run("busctl", "status", "org.freedesktop.systemd1")
                          .returncode == 0)
            done = systemd.run(*command)
            # The exit code of the check means that a server cannot be reached.
            self.assertEqual(done.returncode, 69, done.stdout + done.stderr)
            self.assertNotIn("secret file", done.stdout + done.stderr)
            without = [word for word in command if "LoadCredential" not in word]
            without.remove("-p")
            refused = systemd.run(*without)
            self.assertEqual(refused.returncode, 78, refused.stdout + refused.stderr)
            self.assertIn("secret file", refused.stdout + refused.stderr)

    def test_a_stop_may_take_as_long_as_the_configuration_says(self):
        """A relay waits longer than TimeoutStopSec for unavailable brokers, and asks systemd for more time."""
        supervisor = Supervisor(["TimeoutStopSec=1s"])
        supervisor.configure("outbox-relay", "[relay]\ndrain_timeout_ms = 4000\n",
                             f'url = "{Database.URL}"')
        with supervisor as systemd, Database(systemd) as database:
            unit = UNITS[0]
            database.migrate("outbox")
            database.execute("INSERT INTO outbox (event_type, aggregate_type, aggregate_id, sequence, payload) "
                             "VALUES ('OrderCreated', 'Order', 'o-1', 1, '{}')")
            systemd.systemctl("start", unit)
            systemd.until("a row in flight", lambda: 'millrace_outbox_in_flight_rows{shard="0"} 1\n'
                          in systemd.get(9401, "/metrics"))
            systemd.until("a status that names the brokers", lambda: re.match(
                r"not ready: kafka: \S", systemd.show(unit, "StatusText")))
            begin = time.monotonic()
            systemd.systemctl("stop", unit)
            self.assertGreater(time.monotonic() - begin, 3)
            self.assertEqual(systemd.show(unit, "Result"), "success", systemd.log("outbox-relay"))


if __name__ == "__main__":
    unittest.main()
