"""Tests alerts and dashboard with the metrics that the running daemons expose."""

import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
import urllib.request

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("MILLRACE_BIN", ROOT / ".build/debug")).resolve()
PROMTOOL = ROOT / ".build/deploy/debian/usr/bin/promtool"
RULES = ROOT / "config/prometheus/rules.yml"
DASHBOARD = ROOT / "config/grafana/millrace.json"
DEADLINE_S = 240
NAME = re.compile(r"\b((?:millrace|cqrs|process)_[a-z_]+)\b")


def declared():
    """The metrics with a help text in the sources, by name."""
    names = {"up": ""}
    for path in (ROOT / "Sources").rglob("*.swift"):
        for name, text in re.findall(r'"((?:millrace|cqrs|process)_[a-z_]+)"[:,]\s+(?:"[a-z]+",\s+)?(?:help: )?"([^"]+)"',
                                     path.read_text()):
            names[name] = text
    return names


def base(name):
    return re.sub(r"_(bucket|sum|count)$", "", name)


def expressions():
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]


class Alerts(unittest.TestCase):
    def promtool(self, *arguments, **options):
        return subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True, **options)

    def test_the_rules_are_rules(self):
        done = self.promtool("check", "rules", RULES)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_each_alert_is_raised_when_it_should_be(self):
        done = self.promtool("test", "rules", ROOT / "Tests/Deploy/rules_test.yml")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        tests = yaml.safe_load((ROOT / "Tests/Deploy/rules_test.yml").read_text())["tests"]
        tested = {(case["alertname"], bool(case["exp_alerts"])) for test in tests for case in test["alert_rule_test"]}
        alerts = {rule["alert"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]}
        self.assertEqual(tested, {(alert, raised) for alert in alerts for raised in [True, False]})

    def test_every_alert_says_what_to_do(self):
        page = (ROOT / "docs/operations.md").read_text()
        anchors = {heading.strip().lower().replace(" ", "-") for heading in re.findall(r"^#+ (.*)$", page, re.MULTILINE)}
        for group in yaml.safe_load(RULES.read_text())["groups"]:
            for rule in group["rules"]:
                with self.subTest(rule["alert"]):
                    self.assertIn(rule["labels"]["severity"], ["page", "ticket"])
                    file, anchor = rule["annotations"]["runbook"].split("#")
                    self.assertEqual(file, "docs/operations.md")
                    self.assertIn(anchor, anchors)

    def test_only_metrics_that_there_are(self):
        known = declared()
        for where, expression in expressions():
            names = set(NAME.findall(re.sub(r'"[^"]*"', "", expression))) - {"process"}
            self.assertTrue(names or "up" in expression, where)
            for name in names:
                self.assertIn(base(name), known, where)


class Scrapes(unittest.TestCase):
    """Runs daemons of all kinds on private servers, and scrapes them."""

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="millrace-scrape-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.folder.chmod(0o755)
        output = open(cls.folder / "output", "w")
        cls.addClassCleanup(output.close)
        data = cls.folder / "data"
        cls.session = subprocess.Popen([BIN / "millrace", "dev", "--data", data, "--partitions", "2", "--load", "20"],
                                       stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                                       # No collector listens there, but the metrics of tracing exist in any case.
                                       env={**os.environ, "MILLRACE_TRACING__ENDPOINT": "http://127.0.0.1:9/v1/traces"})
        cls.addClassCleanup(cls.stop)
        end = time.monotonic() + DEADLINE_S
        cls.scrapes = {}
        process = None
        while len(cls.scrapes) < 6 or not all(cls.is_at_work(*scrape) for scrape in cls.scrapes.items()):
            if time.monotonic() > end or cls.session.poll() is not None:
                raise AssertionError((cls.folder / "output").read_text())
            if process is None and cls.ports(data):
                process = cls.start_order_process(data)
            for name, port in cls.ports(data).items():
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
                        cls.scrapes[name] = answer.read().decode()
                except OSError:
                    pass
            time.sleep(0.5)

    @classmethod
    def stop(cls):
        cls.session.send_signal(signal.SIGINT)
        cls.session.wait()

    @classmethod
    def start_order_process(cls, data):
        """The demo shop plays all steps of its orders, so this process reads topics that have no events."""
        servers = dict(line.split("=", 1) for line in shlex.split((data / "dev.env").read_text()))
        environment = {**os.environ, **servers}
        subprocess.run([BIN / "millrace", "migrate", "up", "--daemon", "order-process"], env=environment, check=True,
                       stdout=subprocess.DEVNULL)
        log = open(data / "log/order-process.log", "w")
        cls.addClassCleanup(log.close)
        process = subprocess.Popen([BIN / "order-process", "--set", "operations.port=0",
                                    "--set", "projection.topic_suffix=-unused"], env=environment, stderr=log)
        cls.addClassCleanup(process.wait)
        cls.addClassCleanup(process.terminate)
        return process

    @staticmethod
    def ports(data):
        """The ports of operations, which each daemon logs."""
        found = {}
        for path in data.glob("log/*.log"):
            match = re.search(r"serving operations.*?address\W+127\.0\.0\.1:(\d+)", path.read_text(errors="replace"))
            if match:
                found[path.stem] = match.group(1)
        return found

    @staticmethod
    def is_at_work(name, text):
        """A projection gets its partitions some time after it is ready, and queries Kafka half a minute later."""
        has_partitions = "\nmillrace_projection_log_start_offset{" in text or not name.endswith("-projection")
        return "\nmillrace_ready 1\n" in text and has_partitions

    def test_promtool_has_nothing_to_say(self):
        for name, text in self.scrapes.items():
            with self.subTest(name):
                done = subprocess.run([PROMTOOL, "check", "metrics"], input=text, capture_output=True, text=True)
                self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_every_metric_is_explained(self):
        known = declared()
        for name, text in self.scrapes.items():
            for metric, explanation in re.findall(r"^# HELP (\S+) (.*)$", text, re.MULTILINE):
                self.assertEqual(known.get(metric), explanation, name)
            self.assertEqual(set(re.findall(r"^# HELP (\S+)", text, re.MULTILINE)),
                             set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)), name)

    def test_alerts_ask_for_what_is_exposed(self):
        """Most alerts need metrics that a daemon exposes from its start. Without them `== 0` would never be true."""
        exposed = {metric for text in self.scrapes.values() for metric in re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)}
        for where, expression in expressions():
            for name in set(NAME.findall(re.sub(r'"[^"]*"', "", expression))):
                # Dead letters have one series for each group, so none at first.
                if name != "millrace_dead_letters":
                    self.assertIn(base(name), exposed, where)


if __name__ == "__main__":
    unittest.main()
