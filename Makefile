# fedmq. "make" alone lists the targets.
# Go is all that build and test need; race wants a C compiler, lint downloads
# its tool once into ./bin, test-python wants Python 3.9 and downloads what its
# tests need into ./bin, quickstart wants the same and mosquitto_sub.

GO            ?= go
GOLANGCI      := v2.12.2
LINT          := bin/golangci-lint-$(GOLANGCI)
FUZZTIME      ?= 5s
BENCH         ?= .
COUNT         ?= 1
KILLS         ?= 20
PARAMS        ?= 1000000
ROUNDS        ?= 100000
FROM          ?= 1
NETS          ?=
SOAK          ?= 30m
SITES         ?= 50

# Scripts that start brokers: start-NAME PORT runs one in the foreground, prints
# "ready" when it answers, and exits with 77 where it cannot be had.
FEDMQ_BROKERS_DIR ?= ../shared/brokers

# Debian's PyTorch (python3-torch: CPU, small) is seen by Debian's Python alone.
PYTHON        ?= $(shell /usr/bin/python3 -c 'import torch, venv, ensurepip' 2>/dev/null && echo /usr/bin/)python3
TORCH         ?=
VENV          := bin/venv$(if $(TORCH),-torch)$(if $(filter /usr/bin/%,$(PYTHON)),-debian)
# Debian's PyTorch was built for numpy 1.
NUMPY         := $(if $(filter /usr/bin/%,$(PYTHON)),'numpy<2',numpy)

# The tests of ONNX files have a Python of their own (python/requirements-onnx.txt).
VENV_ONNX     := bin/venv-onnx

NODE_RED      := 4.1.8
TELEGRAF      := v1.37.2
TELEGRAF_TAGS := custom,inputs.mqtt_consumer,parsers.json_v2,outputs.file,outputs.influxdb_v2,serializers.influx

# One build of each package for all that follows; race alone wants another.
export CGO_ENABLED = 0

# MLflow, which reads what `fedmq report --mlflow` writes.
MLFLOW        := 2.22.2
VENV_MLFLOW   := bin/venv-mlflow-$(MLFLOW)

.DEFAULT_GOAL := help
.PHONY: encodings encodings-quick help build test test-python test-notebook wheel test-examples test-web screenshots contract check fmt fmt-check mod vet lint lint-tool layers race fuzz fuzz-seeds nets own-data hostile hostile-sites hostile-quick bench peers figures figures-quick gasturbine brokers brokers-quick crash soak soak-crash conformance samebits sim static tep mutants mutants-check quickstart demo deploy-check release clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

build: ## build ./bin/fedmq, a static binary
	$(GO) build -trimpath -o bin/fedmq ./cmd/fedmq

test: ## run all tests; needs Go alone; SHORT=1 leaves out what takes long
	$(GO) test $(if $(SHORT),-short) ./...

test-python: build $(VENV)/ready $(VENV_ONNX)/ready $(VENV_MLFLOW)/ready ## test python/ with PYTHON (python3); those of PyTorch where torch is there: apt's python3-torch, or TORCH=1 for pip's (5 GB)
	cd python && ../$(VENV)/bin/python -m mypy
	PYTHONPATH=python FEDMQ_PROGRAM='$(CURDIR)/bin/fedmq' FEDMQ_ONNX_PYTHON='$(CURDIR)/$(VENV_ONNX)/bin/python' \
	  $(VENV)/bin/python -m pytest -c python/pyproject.toml python
	FEDMQ_PYTHON='$(CURDIR)/$(VENV)/bin' $(GO) test -count=1 -run 'TestScript/(init-|example-sklearn)' ./cmd/fedmq
	FEDMQ_PYTHON='$(CURDIR)/$(VENV_MLFLOW)/bin' $(GO) test -count=1 -run 'TestScript/report-mlflow' ./cmd/fedmq

test-notebook: build wheel ## fedmq_trainer.federate and the notebook of examples/, with the wheel, in a Python of pinned packages
	$(VENV_ONNX)/bin/python -m pip install -q --force-reinstall --no-deps dist/fedmq_trainer-*.whl
	PATH='$(CURDIR)/bin':"$$PATH" FEDMQ_PROGRAM='$(CURDIR)/bin/fedmq' \
	  $(VENV_ONNX)/bin/python -m pytest -c python/pyproject.toml python/tests/test_federate.py python/tests/test_notebook.py python/tests/test_rows.py

wheel: $(VENV_ONNX)/ready ## build the wheel of fedmq_trainer into dist/
	@mkdir -p dist && rm -rf dist/fedmq_trainer-*.whl python/build python/*.egg-info
	$(VENV_ONNX)/bin/python -m build --wheel --no-isolation --outdir dist python >/dev/null
	@rm -rf python/build python/*.egg-info
	@ls dist/fedmq_trainer-*.whl

$(VENV)/ready:
	$(PYTHON) -m venv --system-site-packages $(VENV)
	$(VENV)/bin/python -m pip install -q $(NUMPY) pytest mypy scikit-learn $(if $(TORCH),torch)
	@touch $@

$(VENV_ONNX)/ready: python/requirements-onnx.txt
	$(PYTHON) -m venv --clear $(VENV_ONNX)
	$(VENV_ONNX)/bin/python -m pip install -q -r $<
	@touch $@

$(VENV_MLFLOW)/ready:
	$(PYTHON) -m venv $(VENV_MLFLOW)
	$(VENV_MLFLOW)/bin/python -m pip install -q numpy mlflow-skinny==$(MLFLOW)
	@touch $@

test-examples: build ## the examples with Telegraf, Node-RED (npm) and HiveMQ itself (FEDMQ_BROKERS_DIR; after brokers-quick, which installs it); what cannot be had is skipped
	@$(MAKE) --no-print-directory bin/telegraf-$(TELEGRAF) || echo 'Telegraf is skipped: it cannot be built'
	@$(MAKE) --no-print-directory bin/node-red-$(NODE_RED)/ready || echo 'Node-RED is skipped: npm does not install it'
	@[ -x '$(FEDMQ_BROKERS_DIR)/start-hivemq' ] || echo 'HiveMQ is skipped: $(FEDMQ_BROKERS_DIR) has no start-hivemq'
	[ ! -x bin/telegraf-$(TELEGRAF) ] || export FEDMQ_TELEGRAF='$(CURDIR)/bin/telegraf-$(TELEGRAF)'; \
	  [ ! -e bin/node-red-$(NODE_RED)/ready ] || export FEDMQ_NODE_RED='$(CURDIR)/bin/node-red-$(NODE_RED)'; \
	  $(GO) test -count=1 -v -run '^Test(Telegraf|Grafana|NodeRED)' ./examples
	FEDMQ_BROKERS_DIR='$(abspath $(FEDMQ_BROKERS_DIR))' $(GO) test -count=1 -run 'TestScript/example-hivemq' ./cmd/fedmq

bin/telegraf-$(TELEGRAF):
	@mkdir -p bin
	GOBIN='$(CURDIR)/bin' GOFLAGS=-trimpath $(GO) install -tags $(TELEGRAF_TAGS) github.com/influxdata/telegraf/cmd/telegraf@$(TELEGRAF)
	@mv bin/telegraf $@

bin/node-red-$(NODE_RED)/ready:
	npm install --silent --no-audit --no-fund --no-save --prefix $(@D) node-red@$(NODE_RED)
	@touch $@

check: static test race ## what CI runs first: static, all tests, those with goroutines once more with the race detector

static: fmt-check mod layers mutants-check lint ## format, modules, import rules, mutants, lint (vet is a part of it)

fmt: $(LINT) ## format all Go files (gofumpt, grouped imports)
	$(LINT) fmt

fmt-check: ## fail if gofmt would change a file
	@out=$$(gofmt -l .); if [ -n "$$out" ]; then echo "not formatted:"; echo "$$out"; exit 1; fi

contract: ## write docs/ref/schema, asyncapi.yaml and strategies.md anew
	$(GO) test ./internal/contract -run 'TestSchemas|TestAsyncAPI' -update
	$(GO) test ./strategy -run TestReference -update

vet: ## go vet
	$(GO) vet ./...

mod: ## fail if go.mod or go.sum is not what the imports want
	@out=$$($(GO) mod tidy -diff 2>&1) || { echo "$$out"; exit 1; }

lint: $(LINT) ## golangci-lint, pinned (.golangci.yml)
	GOLANGCI_LINT_CACHE="$(CURDIR)/bin/lint-cache" $(LINT) run --allow-parallel-runners

lint-tool: $(LINT)

layers: ## the import rules (internal/layers)
	$(GO) test ./internal/layers

# A process ends at once: by default it waits a second for what other goroutines would still
# find, and scripts start hundreds of them.
race: export GORACE = atexit_sleep_ms=20
race: ## run the tests with the race detector, where there are goroutines, but for what takes long; needs a C compiler
	list=$$(GO='$(GO)' scripts/goroutines) && CGO_ENABLED=1 $(GO) test -race -short -timeout 20m $$list

fuzz-seeds: ## run the seeds of every fuzz target
	$(GO) test -run '^Fuzz' ./...

fuzz: fuzz-seeds ## fuzz every target for FUZZTIME (5s)
	@set -e; for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "$$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$pkg; \
	  done; done

nets: ## slow and broken networks: toxiproxy, network namespaces, netem (root); NETS=-full for 1 MB over 64 kbit/s
	cd internal/nettest && $(GO) test -count 1 -timeout 30m -v . $(NETS)

hostile: build ## a peer that says all it should not, and attacks on the built program: rounds, memory, log; writes its table into docs/explain/broker.md (20 minutes)
	FEDMQ_TEST_HOSTILE=1 $(GO) test -count 1 -v -run '^TestHostile(Crowd)?$$' ./internal/federation
	FEDMQ_TEST_HOSTILE=long FEDMQ_PROGRAM='$(CURDIR)/bin/fedmq' FEDMQ_HOSTILE_WRITE='$(CURDIR)/docs/explain/broker.md' \
	  $(GO) test -count 1 -timeout 40m -v ./internal/hostile

hostile-sites: ## two of ten fleets of the example turbofan lie: the error under each defence; writes the table of docs/howto/guard.md
	FEDMQ_HOSTILE_SITES='$(CURDIR)/docs/howto/guard.md' $(GO) test ./cmd/fedmq -count 1 -timeout 30m -v -run '^TestHostileSites$$'

hostile-quick: build ## the attacks on the built program, in two minutes; prints its table
	FEDMQ_TEST_HOSTILE=short FEDMQ_PROGRAM='$(CURDIR)/bin/fedmq' $(GO) test -count 1 -v ./internal/hostile

bench: ## run the benchmarks; BENCH=regexp, COUNT=n
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -count $(COUNT) ./...

peers: build ## fedmq beside NVFlare, rounds in turn; installs NVFlare into bin/peers (250 MB)
	scripts/peers

figures: build ## measure all that docs/ref/bench.md and docs/explain/performance.md show, and write it there (an hour, a quiet machine); PEERS=1, OLD=an older fedmq, PART=sizes
	FEDMQ_FIGURES=full FEDMQ_PROGRAM='$(CURDIR)/bin/fedmq' FEDMQ_BROKERS_DIR='$(abspath $(FEDMQ_BROKERS_DIR))' \
	  FEDMQ_FIGURES_WRITE='$(CURDIR)' FEDMQ_PEERS='$(PEERS)' FEDMQ_OLD='$(OLD)' $(GO) test ./internal/figures -count 1 -timeout 3h -v -run '^TestFigures$$/$(PART)'

encodings: ## run the examples with every encoding of updates over MQTT; writes the table of docs/explain/encodings.md
	FEDMQ_ENCODINGS='$(CURDIR)/docs/explain/encodings.md' $(GO) test ./cmd/fedmq -count 1 -timeout 60m -v -run '^TestEncodingTable$$'

encodings-quick: ## the same with one seed, dense and q8+zstd; prints its table
	FEDMQ_ENCODINGS=quick $(GO) test ./cmd/fedmq -count 1 -timeout 10m -v -run '^TestEncodingTable$$'

figures-quick: build ## the same with small models, in minutes; prints its tables
	FEDMQ_FIGURES=quick FEDMQ_PROGRAM='$(CURDIR)/bin/fedmq' FEDMQ_BROKERS_DIR='$(abspath $(FEDMQ_BROKERS_DIR))' \
	  FEDMQ_PEERS='$(PEERS)' FEDMQ_OLD='$(OLD)' $(GO) test ./internal/figures -count 1 -timeout 20m -v -run '^TestFigures$$/$(PART)'

crash: ## kill real processes at every crash point and at random; KILLS=n, PARAMS=n, SEED=n, COUNT=kills at each point
	$(GO) vet -tags fedmqtest ./internal/crash ./internal/crashtest
	$(GO) test -c -tags fedmqtest -o bin/crash.test ./internal/crashtest
	cd internal/crashtest && ../../bin/crash.test -test.timeout 2h -test.parallel 8 \
	  -times $(COUNT) -kills $(KILLS) -params $(PARAMS) -seed $(or $(SEED),1)

soak: ## SITES (50) sites that come and go for SOAK (30m): what grows, what is lost; writes docs/ref/soak.md
	$(GO) test -c -tags fedmqtest -o bin/crash.test ./internal/crashtest
	cd internal/crashtest && ../../bin/crash.test -test.timeout 0 -test.run '^TestSoak$$' \
	  -soak $(SOAK) -sites $(SITES) -seed $(or $(SEED),1) -page ../../docs/ref/soak.md

soak-crash: ## make crash, each point 20 times, 300 random kills
	$(MAKE) crash COUNT=20 KILLS=300

conformance: build ## the Eclipse Paho tests of MQTT 3.1.1 and 5 against bin/fedmq broker; clones them, or PAHO_TESTING=DIR
	scripts/conformance

samebits: ## one federation of each strategy, one model hash: CPUs, orders of arrival, cores, with and without a crash
	GO='$(GO)' scripts/samebits

sim: ## simulate ROUNDS (100,000) rounds under faults; SEED=n runs one seed and prints its trace
	$(GO) test ./internal/sim -count 1 -timeout 60m -run '^TestSim$$' -v -args $(if $(SEED),-seed $(SEED),-rounds $(ROUNDS) -from $(FROM))

mutants: ## break the machines one line at a time; the simulation and the tests must notice
	scripts/mutants

mutants-check: ## fail if a patch of scripts/mutants.d does not apply to the code as it is
	@for p in scripts/mutants.d/*.patch; do git apply --check "$$p" || bad=1; done; [ -z "$$bad" ]

test-web: ## tests of the dashboard in headless Chromium; skipped where there is none
	FEDMQ_TEST_WEB=1 $(GO) test -count=1 -v -run '^TestPage' ./cmd/fedmq

screenshots: ## the same, and the pictures of the dashboard in docs/img
	FEDMQ_SCREENSHOTS='$(CURDIR)/docs/img' $(MAKE) test-web

tep: ## the example tep over MQTT, three seeds: their accuracy with momentum at the server
	GO='$(GO)' scripts/tep

gasturbine: ## the example gasturbine over MQTT: what its models are worth at home; SEEDS="1 2 3"
	GO='$(GO)' scripts/gasturbine

quickstart: $(VENV_ONNX)/ready ## run the shell blocks of README.md, docs/tutorial, docs/explain/newcomer.md and the how-tos about data of one's own; V=-v says which
	FEDMQ_TEST_PAGES=1 FEDMQ_PYTHON='$(CURDIR)/$(VENV_ONNX)/bin' $(GO) test ./internal/pages -count 1 -parallel 8 $(V)

own-data: build ## from two CSV files to a report, a prediction file and an ONNX file, in five commands
	scripts/owndata

brokers: build ## put every broker that FEDMQ_BROKERS_DIR can start through every story; writes docs/ref/brokers.md
	FEDMQ_BROKERS=full FEDMQ_BROKERS_DIR='$(abspath $(FEDMQ_BROKERS_DIR))' FEDMQ_BROKERS_WRITE='$(CURDIR)/docs/ref/brokers.md' \
	  $(GO) test ./internal/brokers -count 1 -parallel 64 -timeout 40m

brokers-quick: build ## the same in minutes: every story on two brokers, one on each other; prints its table
	FEDMQ_BROKERS=quick FEDMQ_BROKERS_DIR='$(abspath $(FEDMQ_BROKERS_DIR))' \
	  $(GO) test ./internal/brokers -count 1 -parallel 64 -timeout 12m -v

deploy-check: ## read the manifests of deploy/kubernetes into Kubernetes' own types
	cd deploy/kubernetes/check && $(GO) test -count 1 .

demo: ## ten sites on real data, one process, a table of rounds
	$(GO) run ./cmd/fedmq demo

release: ## archives of all platforms, parts lists (SBOM) and checksums in dist/; VERSION=v1.0.0
	GO='$(GO)' scripts/release

clean: ## remove ./bin and ./dist
	rm -rf bin dist

$(LINT):
	@mkdir -p bin
	GOBIN='$(CURDIR)/bin' GOFLAGS=-trimpath $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI)
	@mv bin/golangci-lint $@
