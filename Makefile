# Millrace. `make help` explains every target.

SHELL := /bin/bash
.DEFAULT_GOAL := help

SWIFT       ?= swift
RELEASE_DIR := .build/release
# How the programs are built. lld links faster than the default linker. The variable is for the compilers: glibc gives them
# huge pages, and they have fewer page faults. Backtraces need line tables, and no more.
RELEASE     := GLIBC_TUNABLES=glibc.malloc.hugetlb=1 $(SWIFT) build -c release -Xswiftc -use-ld=lld \
    -Xswiftc -gline-tables-only -Xcc -gline-tables-only -Xcxx -gline-tables-only
# All programs of the package. A build of `millrace` builds the daemons too, and a build of `millrace-bench` builds both.
PROGRAMS    := outbox-relay order-summary-projection dashboard-projection sql-projection dead-letter-handler command-service order-process query-service millrace
# RATE is the number of orders per second of the load of `make run`. RUN_ARGS are more arguments for `millrace dev`.
RATE        ?= 50
RUN_ARGS    ?=
# The folders of SQL projections that `make run` also runs, with a load for them; empty for none.
PROJECTIONS ?= $(patsubst %/projection.toml,%,$(wildcard projections/*/projection.toml))
# The benches that `make bench` runs; empty for all.
BENCH       ?=
# Determines the actions of `make chaos-short` and their times.
SEED        ?= 1
# A regular expression for the tests that `make test` runs; empty for all.
FILTER      ?=
# The tests without servers run first, because they use all processors, and the other tests have deadlines.
UNIT_TESTS  := ^((ArchitectureTests|DashboardPageTests|StreamCoreTests|WireJSONTests|BlockingTests|DigestsTests|EventsTests|OrdersTests|SettingsTests)\.|\w+\.\w+RulesTests\b)

# The test targets that use Kafka, as a regular expression.
WITH_KAFKA := $(shell grep -rl TestKafka Tests --include=*.swift | cut -d/ -f2 | grep -vE '^(TestKit|ArchitectureTests)$$' | sort -u | paste -sd'|')

# The build folder of the example. It is the folder of this package, so nothing is compiled twice.
EXAMPLE_SCRATCH ?= .build

# The Python of `make test-browser`. Debian's Python has Debian's package of selenium.
PYTHON      ?= /usr/bin/python3

.PHONY: help setup build run test test-broker test-example chaos-short test-api test-browser check-systemd check-deploy deb test-deb manifests bench format lint clean

help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  \033[1m%-12s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install the system packages that are missing (Debian: librdkafka, libpq, libcurl, libcrypto, PostgreSQL, Chart.js)
	@scripts/setup

build: setup ## Build everything in release
	@$(RELEASE) --product millrace

run: build ## Run it all on private servers with a load of RATE (50) orders a second; Ctrl-C stops it
	$(RELEASE_DIR)/millrace dev --load $(RATE) $(addprefix --projection ,$(PROJECTIONS)) $(RUN_ARGS)

test: setup ## Run all tests, on a private PostgreSQL and mock cluster (or KAFKA_BOOTSTRAP_SERVERS / DATABASE_URL); FILTER=regex for some
ifeq ($(FILTER),)
	$(SWIFT) build --build-tests
	scripts/run-tests --skip-build --filter '$(UNIT_TESTS)'
	scripts/run-tests --skip-build --skip '$(UNIT_TESTS)'
else
	scripts/run-tests --filter '$(FILTER)'
endif

# The names of tests that the broker cannot pass, with the reasons.
BROKER_SKIPS := Tests/Broker/skipped.txt
# The suites that `make test-broker` does not run, because they need no Kafka.
WITHOUT_KAFKA := $(foreach suite,$(shell grep -v '^\#' Tests/Broker/without-kafka.txt),--skip '^$(suite)/')

test-broker: setup ## Run the tests that use Kafka against a broker that is not the mock (noida-db, from PyPI), or KAFKA_BOOTSTRAP_SERVERS
	$(SWIFT) build --build-tests
ifeq ($(KAFKA_BOOTSTRAP_SERVERS),)
	@grep -v '^#' $(BROKER_SKIPS) | sed 's/^/left out: /'
	scripts/with-broker scripts/run-tests --skip-build --filter '^($(WITH_KAFKA))\.' $(WITHOUT_KAFKA) \
	    $$(awk '!/^#/ && NF { print "--skip", $$1 }' $(BROKER_SKIPS))
else
	scripts/run-tests --skip-build --filter '^($(WITH_KAFKA))\.' $(WITHOUT_KAFKA)
endif

test-example: setup ## Build and test Examples/library, a package with a domain of its own, on the library products
	$(SWIFT) test --package-path Examples/library --scratch-path $(EXAMPLE_SCRATCH)

test-api: setup ## Ask the query service what /openapi.json says, and what it does not say (schemathesis, from PyPI)
	@$(SWIFT) build --product millrace
	MILLRACE_BIN=.build/debug Tests/API/run

test-browser: ## Test the live page in a headless Chromium, before all of Millrace; pictures go to .build/browser
	@scripts/setup browser
	@$(SWIFT) build --product millrace
	MILLRACE_BIN=.build/debug $(PYTHON) -m unittest discover --start-directory Tests/Browser --verbose

check-systemd: ## Check the units in systemd/, and run the daemons under the real systemd (as root, in namespaces of its own)
	@$(MAKE) check-deploy DEPLOY_TESTS=test_systemd

# Two run at a time, and the longest one first.
DEPLOY_TESTS := test_kubernetes test_systemd test_alerts test_gateway test_resolver test_messages

check-deploy: ## Check all that deploys Millrace: units, manifests, image, gateway and alerts; DEPLOY_TESTS for some
	@scripts/setup deploy
	@$(SWIFT) build --product millrace
	.build/deploy/bin/hadolint Dockerfile
	.build/deploy/bin/shellcheck scripts/* .ci/run
	cd Tests/Deploy && printf '%s\n' $(DEPLOY_TESTS) | MILLRACE_BIN=$(CURDIR)/.build/debug xargs -P 2 -I NAME sh -c \
	    'output=$$(../../.build/deploy/bin/python -m unittest -v NAME 2>&1); code=$$?; printf "%s\n" "$$output"; exit $$code'

deb: build ## Build the Debian package millrace, in .build/packages, with Swift's libraries
	@scripts/setup deb
	scripts/build-deb $(RELEASE_DIR) .build/packages $(PROGRAMS)

test-deb: deb ## Install the package on a Debian that has nothing else, and run the programs there (as root)
	@scripts/setup deploy
	cd Tests/Deploy && MILLRACE_DEB=$$(ls -t $(CURDIR)/.build/packages/millrace_*.deb | head -n 1) \
	    ../../.build/deploy/bin/python -m unittest -v test_deb

manifests: ## Write kubernetes/rendered anew
	@scripts/setup deploy
	scripts/render-manifests

bench: ## Run the benches, or some of them: make bench BENCH="relay-drain end-to-end"
	@scripts/setup bench 1>&2
	@$(RELEASE) --product millrace-bench 1>&2
	@$(RELEASE_DIR)/millrace-bench $(BENCH)

chaos-short: setup ## Kill each daemon, take the broker away, let a projection join and leave, all under load; then verify. SEED=n for another order
	@$(SWIFT) build --product millrace-bench 1>&2
	@MILLRACE_BROKER=$$(scripts/setup broker) .build/debug/millrace-bench chaos-short --seed $(SEED)

format: ## Rewrite the sources in the project's format
	$(SWIFT) format --in-place --parallel --recursive Package.swift Plugins Sources Tests Examples bench

lint: ## Check the format; fails on any difference
	$(SWIFT) format lint --strict --parallel --recursive Package.swift Plugins Sources Tests Examples bench

clean: ## Remove what was built, and the data of `make run`
	rm -rf .build .millrace
