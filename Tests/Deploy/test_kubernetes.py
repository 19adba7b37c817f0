"""Tests the manifests in kubernetes/: they are rendered, valid and safe, and the daemons accept the configurations."""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import tomllib
import unittest

import jsonschema
import kubernetes_validate
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("MILLRACE_BIN", ROOT / ".build/debug")).resolve()
TOOLS = ROOT / ".build/deploy/bin"
OVERLAYS = ["dev", "production", "keda", "order-process"]
DAEMONS = {"outbox-relay", "order-summary-projection", "dashboard-projection", "sql-projection", "dead-letter-handler",
           "command-service", "query-service"}
# The daemons of overlays with an optional component.
FURTHER = {"order-process": {"order-process"}}
# The oldest version that supports a sleep before a pod's stop, and a current version.
VERSIONS = ["1.30", "1.35"]


def documents(overlay):
    return [d for d in yaml.safe_load_all((ROOT / f"kubernetes/rendered/{overlay}.yaml").read_text()) if d]


def daemons(overlay):
    return DAEMONS | FURTHER.get(overlay, set())


def of_kind(overlay, kind):
    return {d["metadata"]["name"]: d for d in documents(overlay) if d["kind"] == kind}


def pods(overlay):
    """The pod templates of Deployments and Jobs, by name."""
    return {name: d["spec"]["template"] for kind in ["Deployment", "Job"] for name, d in of_kind(overlay, kind).items()}


class Manifests(unittest.TestCase):
    def test_the_rendered_files_are_up_to_date(self):
        rule = ROOT / "kubernetes/overlays/production/prometheus-rule.yaml"
        before = rule.read_text()
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([ROOT / "scripts/render-manifests", folder], check=True)
            self.assertEqual(rule.read_text(), before, "run scripts/render-manifests")
            for overlay in OVERLAYS:
                self.assertEqual((pathlib.Path(folder) / f"{overlay}.yaml").read_text(),
                                 (ROOT / f"kubernetes/rendered/{overlay}.yaml").read_text(),
                                 "run scripts/render-manifests")

    def test_every_object_is_valid(self):
        own = {path.stem: json.loads(path.read_text()) for path in (ROOT / "Tests/Deploy/schemas").glob("*.json")}
        for overlay in OVERLAYS:
            for document in documents(overlay):
                kind = document["kind"]
                with self.subTest(overlay=overlay, kind=kind, name=document["metadata"]["name"]):
                    if kind in own:
                        self.assertEqual(document["apiVersion"], own[kind]["apiVersion"])
                        jsonschema.validate(document, own[kind]["schema"])
                        continue
                    for version in VERSIONS:
                        kubernetes_validate.validate(document, version, strict=True)

    def test_each_probe_asks_its_question(self):
        """A liveness probe that tested readiness would restart every pod whenever a server is not available."""
        for overlay in OVERLAYS:
            for name in of_kind(overlay, "Deployment"):
                with self.subTest(overlay=overlay, daemon=name):
                    container = pods(overlay)[name]["spec"]["containers"][0]
                    asked = {probe: container[f"{probe}Probe"]["httpGet"] for probe in
                             ["startup", "liveness", "readiness"]}
                    self.assertEqual({probe: get["path"] for probe, get in asked.items()},
                                     {"startup": "/health/startup", "liveness": "/health/live",
                                      "readiness": "/health/ready"})
                    self.assertEqual({get["port"] for get in asked.values()}, {"operations"})

    def test_a_mistake_would_be_seen(self):
        deployment = of_kind("production", "Deployment")["outbox-relay"]
        deployment["spec"]["template"]["spec"]["containers"][0]["livenessProb"] = {}
        with self.assertRaises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(deployment, VERSIONS[0], strict=True)
        route = of_kind("production", "HTTPRoute")["orders"]
        route["spec"]["rules"][0]["timeout"] = {}
        schema = json.loads((ROOT / "Tests/Deploy/schemas/HTTPRoute.json").read_text())["schema"]
        with self.assertRaises(jsonschema.ValidationError):
            jsonschema.validate(route, schema)

    def test_checkov(self):
        files = [argument for overlay in OVERLAYS for argument in ["-f", ROOT / f"kubernetes/rendered/{overlay}.yaml"]]
        done = subprocess.run(
            [TOOLS / "checkov", *files, "-f", ROOT / "Dockerfile", "--framework", "kubernetes", "dockerfile",
             "--config-file", ROOT / "kubernetes/checkov.yaml", "--compact", "--quiet", "--skip-download",
             "--output", "json"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        reports = json.loads(done.stdout)
        passed = {report["check_type"]: report["summary"]["passed"] for report in reports}
        self.assertGreater(passed["kubernetes"], 500)
        self.assertGreater(passed["dockerfile"], 10)


class Configurations(unittest.TestCase):
    """Builds the volumes of a pod like the kubelet, and lets the daemon check its configuration."""

    def lay_out(self, overlay, name, folder):
        """Writes the files of a pod's volumes below `folder`, at their mount paths. Secrets get valid values."""
        maps = of_kind(overlay, "ConfigMap")
        spec = pods(overlay)[name]["spec"]
        mounts = {m["name"]: m["mountPath"] for m in spec["containers"][0]["volumeMounts"]}
        for volume in spec["volumes"]:
            target = folder / mounts[volume["name"]].lstrip("/")
            for source in volume.get("projected", {}).get("sources", []):
                data = maps[source["configMap"]["name"]]["data"]
                for item in source["configMap"]["items"]:
                    path = target / item["path"]
                    path.parent.mkdir(parents=True, exist_ok=True)
                    # In the image, this folder is that of the repository.
                    path.write_text(data[item["key"]].replace("/usr/share/millrace/projections", f"{ROOT}/projections"))
            if "secret" in volume:
                target.mkdir(parents=True, exist_ok=True)
                for key in ["pg-password", "kafka-password", "api-tokens"]:
                    (target / key).write_text("0123456789abcdef0123456789abcdef")
                    (target / key).chmod(volume["secret"]["defaultMode"])
        return folder

    def run_daemon(self, overlay, name, *arguments):
        container = pods(overlay)[name]["spec"]["containers"][0]
        with tempfile.TemporaryDirectory() as temporary:
            folder = self.lay_out(overlay, name, pathlib.Path(temporary))
            environment = {e["name"]: str(folder) + e["value"] for e in container["env"]}
            program, option, configuration = container["command"]
            self.assertEqual(option, "--config")
            command = [BIN / pathlib.Path(program).name, *arguments] if arguments[0] != "show" else [
                BIN / "millrace", "config", "show", name]
            return subprocess.run([*command, "--config", str(folder) + configuration],
                                  env={**environment, "PATH": os.environ["PATH"]}, capture_output=True, text=True)

    def test_the_daemons_accept_them(self):
        for overlay in OVERLAYS:
            self.assertEqual(set(of_kind(overlay, "Deployment")), daemons(overlay))
            for name in daemons(overlay):
                with self.subTest(overlay=overlay, daemon=name):
                    done = self.run_daemon(overlay, name, "--check")
                    self.assertEqual((done.returncode, done.stdout, done.stderr),
                                     (0, "the configuration is valid\n", ""))

    def test_a_stop_ends_before_the_kubelet_kills(self):
        for overlay in OVERLAYS:
            for name in daemons(overlay):
                with self.subTest(overlay=overlay, daemon=name):
                    done = self.run_daemon(overlay, name, "show")
                    self.assertEqual(done.returncode, 0, done.stderr)
                    numbers = {key: int(value.replace("_", "")) for key, value in
                               re.findall(r"^(\w+) = ([0-9_]+)", done.stdout, re.MULTILINE)}
                    spec = pods(overlay)[name]["spec"]
                    hook = spec["containers"][0].get("lifecycle", {}).get("preStop", {}).get("sleep", {})
                    grace = spec["terminationGracePeriodSeconds"] - hook.get("seconds", 0)
                    self.assertGreater(grace, numbers["stop_timeout_s"] + 5)
                    self.assertGreater(numbers["stop_timeout_s"] * 1_000, numbers.get("drain_timeout_ms", 0))
                    port = next(p for p in spec["containers"][0]["ports"] if p["name"] == "operations")
                    self.assertEqual(port["containerPort"], numbers["port"] if not name.endswith("-service") else 9400)

    def test_a_query_is_answered_before_the_gateway_gives_up(self):
        shown = self.run_daemon("production", "query-service", "show").stdout
        wait = int(re.search(r"^max_wait_s = (\d+)", shown, re.MULTILINE).group(1))
        rules = of_kind("production", "HTTPRoute")["orders"]["spec"]["rules"]
        limits = {rule["name"]: rule["timeouts"]["request"] for rule in rules}
        self.assertEqual(limits, {"stream": "0s", "commands": "30s", "queries": "10s"})
        self.assertLess(wait, 10)
        for rule in rules:
            changes = {match.get("method") for match in rule["matches"]} - {"GET", "HEAD"}
            self.assertEqual(bool(changes), rule["name"] == "commands")
            self.assertFalse(changes and "retry" in rule, "a rule with retries must not allow changes")
        retry = next(rule["retry"] for rule in rules if rule["name"] == "queries")
        self.assertEqual((retry["attempts"], retry["codes"]), (2, [502, 503, 504]))

    def test_requests_go_to_the_services_that_answer_them(self):
        """Requests have the same routes as behind nginx (test_gateway)."""
        def rank(match):
            # The order of priority: an exact path, an expression, the longest prefix, a method before any method.
            kinds = ["PathPrefix", "RegularExpression", "Exact"]
            return (kinds.index(match["path"]["type"]), len(match["path"]["value"]), "method" in match)

        def matches(match, method, path):
            kind, value = match["path"]["type"], match["path"]["value"]
            return match.get("method", method) == method and (
                path == value if kind == "Exact" else
                re.fullmatch(value, path) is not None if kind == "RegularExpression" else
                path == value or path.startswith(value.rstrip("/") + "/"))

        for overlay in ["production", "keda", "order-process"]:
            rules = of_kind(overlay, "HTTPRoute")["orders"]["spec"]["rules"]

            def service(method, path):
                found = [(rank(match), rule) for rule in rules for match in rule["matches"] if matches(match, method, path)]
                return max(found, key=lambda pair: pair[0])[1]["backendRefs"][0]["name"] if found else None

            for kind in ["accounts", "customers", "inventory", "payments", "products", "shipments"]:
                self.assertEqual(service("GET", f"/v1/{kind}/1"), "command-service", kind)
            for method, path in [("POST", "/v1/orders"), ("DELETE", "/v1/orders/1/items/2"),
                                 ("POST", "/v1/customers/1/details"), ("POST", "/v1/inventory/1/receipts")]:
                self.assertEqual(service(method, path), "command-service", path)
            for path in ["/v1/orders", "/v1/orders/1", "/v1/customers/1/orders", "/v1/customers/1/summary", "/v1/q/top",
                         "/v1/customers/1/history", "/v1/products/search", "/v1/products/search/facets",
                         "/v1/products/best-sellers", "/v1/accounts/1/transactions", "/v1/accounts/1/statements",
                         "/v1/dashboard/stream", "/v1/freshness", "/", "/openapi.json"]:
                self.assertEqual(service("GET", path), "query-service", path)
            for method, path in [("PUT", "/v1/orders"), ("POST", "/")]:
                self.assertIsNone(service(method, path))

    def test_the_service_has_the_domains_whose_commands_it_gets(self):
        """An order needs a customer, whose commands the service must accept too."""
        for overlay in OVERLAYS:
            shown = self.run_daemon(overlay, "command-service", "show").stdout
            domains = set(json.loads(re.search(r"^domains = (.*)$", shown, re.MULTILINE).group(1)))
            for rule in of_kind(overlay, "HTTPRoute").get("orders", {"spec": {"rules": []}})["spec"]["rules"]:
                if rule["name"] == "commands":
                    values = {match["path"]["value"].split("/")[2] for match in rule["matches"]
                              if match["path"]["value"] != "/v1"}
                    self.assertTrue(values)
                    self.assertLessEqual(values, domains)
            self.assertLessEqual({"orders", "customers"}, domains)

    def test_a_command_is_answered_before_the_gateway_gives_up(self):
        shown = self.run_daemon("production", "command-service", "show").stdout
        numbers = {key: int(value.replace("_", "")) for key, value in
                   re.findall(r"^(\w+) = ([0-9_]+)", shown, re.MULTILINE)}
        self.assertLess(numbers["timeout_ms"], numbers["request_timeout_ms"])
        self.assertLess(numbers["request_timeout_ms"], 30_000)

    def test_migrations_are_those_that_the_daemons_need(self):
        known = subprocess.run([BIN / "millrace", "migrate", "up", "--help"], capture_output=True, text=True).stdout
        jobs = [(overlay, name, job) for overlay in OVERLAYS for name, job in of_kind(overlay, "Job").items()]
        for overlay, name, job in jobs:
            arguments = job["spec"]["template"]["spec"]["containers"][0]["args"]
            sets = [arguments[i + 1] for i, word in enumerate(arguments) if word == "--set"]
            self.assertTrue(sets, name)
            self.assertEqual(len(sets), len(set(sets)), name)
            if name == "migrate-write":
                needed = {"outbox", "orders", "inventory", "products", "commands"}
                further = {"processes", "projections"} if overlay == "order-process" else set()
                self.assertEqual(needed | further, set(sets))
            for migration in sets:
                self.assertIn(migration, known)
            # The program accepts the command line: it fails only because the database is not available.
            with tempfile.TemporaryDirectory() as folder:
                (pathlib.Path(folder) / "pg-password").write_text("secret")
                url = "postgresql://127.0.0.1:9/none"
                done = subprocess.run(
                    [BIN / "millrace", "migrate", "up", *[a.replace("$(DATABASE)", url) for a in arguments]],
                    env={"CREDENTIALS_DIRECTORY": folder}, capture_output=True, text=True)
                self.assertEqual(done.returncode, 69, done.stderr)


class Rules(unittest.TestCase):
    """Tests rules for every pod that no tool checks."""

    def test_pods_are_found_by_what_is_meant_for_them(self):
        for overlay in OVERLAYS:
            policies = of_kind(overlay, "NetworkPolicy")
            self.assertEqual(policies["default-deny"]["spec"]["podSelector"], {})
            databases = policies["servers"]["spec"]["podSelector"]["matchExpressions"][0]["values"]
            for name, template in pods(overlay).items():
                self.assertIn(template["metadata"]["labels"]["millrace/database"], databases, name)
            for kind in ["PodDisruptionBudget"]:
                for name, budget in of_kind(overlay, kind).items():
                    self.assertEqual(budget["spec"]["selector"]["matchLabels"],
                                     {"app.kubernetes.io/name": name})

    def test_all_pods_have_one_image(self):
        for overlay in OVERLAYS:
            images = {template["spec"]["containers"][0]["image"] for template in pods(overlay).values()}
            self.assertEqual(len(images), 1, overlay)

    def test_order_process_is_there_only_where_it_is_asked_for(self):
        for overlay in OVERLAYS:
            self.assertEqual("order-process" in of_kind(overlay, "Deployment"), overlay == "order-process")
            self.assertEqual("order-process" in of_kind(overlay, "PodDisruptionBudget"), overlay == "order-process")

    def test_secrets_are_files_that_others_cannot_read(self):
        for overlay in OVERLAYS:
            for name, template in pods(overlay).items():
                for variable in template["spec"]["containers"][0]["env"]:
                    self.assertNotIn("secretKeyRef", variable.get("valueFrom", {}), name)
                secrets = [v["secret"] for v in template["spec"]["volumes"] if "secret" in v]
                self.assertEqual([s["defaultMode"] for s in secrets], [0o440], name)

    def test_nobody_says_how_many_there_are_but_the_scaler(self):
        production, keda = of_kind("production", "Deployment"), of_kind("keda", "Deployment")
        self.assertNotIn("replicas", production["query-service"]["spec"])
        scaled = {o["spec"]["scaleTargetRef"]["name"]: o for o in of_kind("keda", "ScaledObject").values()}
        self.assertEqual(set(scaled), {name for name in daemons("keda") if name.endswith("-projection")})
        for name in scaled:
            self.assertIn("replicas", production[name]["spec"])
            self.assertNotIn("replicas", keda[name]["spec"])

    def test_services_scale_by_processor_and_memory(self):
        for overlay in OVERLAYS:
            scalers = of_kind(overlay, "HorizontalPodAutoscaler")
            for name, scaler in scalers.items():
                self.assertEqual(scaler["spec"]["scaleTargetRef"]["name"], name)
            spec = scalers.get("query-service", {"spec": None})["spec"]
            if overlay == "dev":
                self.assertIsNone(spec)
                continue
            self.assertEqual((spec["minReplicas"], spec["maxReplicas"]), (3, 10))
            self.assertEqual({m["resource"]["name"]: m["resource"]["target"]["averageUtilization"] for m in spec["metrics"]},
                             {"cpu": 70, "memory": 80})
            # A utilization is a fraction of the request.
            requests = pods(overlay)["query-service"]["spec"]["containers"][0]["resources"]["requests"]
            self.assertEqual(set(requests), {"cpu", "memory"})

    def test_every_pod_is_confined(self):
        for overlay in OVERLAYS:
            for name, template in pods(overlay).items():
                with self.subTest(overlay=overlay, pod=name):
                    spec = template["spec"]
                    self.assertIs(spec["automountServiceAccountToken"], False)
                    self.assertIs(spec["securityContext"]["runAsNonRoot"], True)
                    self.assertEqual(spec["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
                    for container in spec["containers"]:
                        context = container["securityContext"]
                        self.assertIs(context["readOnlyRootFilesystem"], True)
                        self.assertIs(context["allowPrivilegeEscalation"], False)
                        self.assertEqual(context["capabilities"], {"drop": ["ALL"]})

    def test_a_node_that_is_lost_or_drained_takes_not_all(self):
        for overlay in OVERLAYS:
            budgets = of_kind(overlay, "PodDisruptionBudget")
            self.assertEqual(set(budgets), set() if overlay == "dev" else daemons(overlay))
            for name in daemons(overlay):
                spreads = pods(overlay)[name]["spec"]["topologySpreadConstraints"]
                self.assertEqual({s["topologyKey"] for s in spreads},
                                 {"kubernetes.io/hostname", "topology.kubernetes.io/zone"})
                for spread in spreads:
                    self.assertEqual(spread["labelSelector"]["matchLabels"], {"app.kubernetes.io/name": name})

    def test_a_relay_waits_for_the_other(self):
        for overlay in ["production", "keda", "order-process"]:
            self.assertEqual(of_kind(overlay, "Deployment")["outbox-relay"]["spec"]["replicas"], 2)

    def test_scalers_ask_for_the_groups_that_there_are(self):
        settings = {name.rsplit("-", 1)[0]: m["data"] for name, m in of_kind("keda", "ConfigMap").items()}
        folders = tomllib.loads(settings["millrace-daemons"]["sql-projection.toml"])["sql_projections"]["folders"]
        in_sql = [tomllib.loads((ROOT / "projections" / pathlib.Path(folder).name / "projection.toml").read_text())["projection"]
                  for folder in folders]
        for name, scaled in of_kind("keda", "ScaledObject").items():
            self.assertEqual(name, scaled["spec"]["scaleTargetRef"]["name"])
            triggers = [trigger["metadata"] for trigger in scaled["spec"]["triggers"]]
            projections = ([(p["name"], p["version"]) for p in in_sql] if name == "sql-projection"
                           else [(name.removesuffix("-projection"), 1)])
            self.assertEqual([t["consumerGroup"] for t in triggers],
                             [f"millrace.{projection}.v{version}" for projection, version in projections])
            for trigger in triggers:
                self.assertIn(f'bootstrap_servers = "{trigger["bootstrapServers"]}"', settings["millrace-servers"]["kafka.toml"])

    def test_alerts_are_those_of_the_rules(self):
        rules = yaml.safe_load((ROOT / "config/prometheus/rules.yml").read_text())
        for overlay in ["production", "keda", "order-process"]:
            self.assertEqual(of_kind(overlay, "PrometheusRule")["millrace"]["spec"], rules)


if __name__ == "__main__":
    unittest.main()
