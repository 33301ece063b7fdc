# fedmq. "make" alone lists the targets.
# Go is all that build and test need; race wants a C compiler, quickstart
# wants mosquitto_sub, lint downloads its tool once into ./bin.

GO            ?= go
GOLANGCI      := v2.12.2
LINT          := bin/golangci-lint-$(GOLANGCI)
FUZZTIME      ?= 5s
BENCH         ?= .
COUNT         ?= 1
NETS          ?=

.DEFAULT_GOAL := help
.PHONY: help build test check fmt fmt-check mod vet lint lint-tool layers race fuzz fuzz-seeds nets hostile bench quickstart demo clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

build: ## build ./bin/fedmq, a static binary
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/fedmq ./cmd/fedmq

test: ## run all tests; needs Go alone
	CGO_ENABLED=0 $(GO) test ./...

check: fmt-check mod vet layers lint race fuzz-seeds ## what CI runs: format, modules, vet, import rules, lint, race tests, fuzz seeds

fmt: $(LINT) ## format all Go files (gofumpt, grouped imports)
	$(LINT) fmt

fmt-check: ## fail if gofmt would change a file
	@out=$$(gofmt -l .); if [ -n "$$out" ]; then echo "not formatted:"; echo "$$out"; exit 1; fi

vet: ## go vet
	$(GO) vet ./...

mod: ## fail if go.mod or go.sum is not what the imports want
	@out=$$($(GO) mod tidy -diff 2>&1) || { echo "$$out"; exit 1; }

lint: $(LINT) ## golangci-lint, pinned (.golangci.yml)
	GOLANGCI_LINT_CACHE="$(CURDIR)/bin/lint-cache" $(LINT) run

lint-tool: $(LINT)

layers: ## the import rules (internal/layers)
	$(GO) test ./internal/layers

race: ## run all tests with the race detector; needs a C compiler
	CGO_ENABLED=1 $(GO) test -race ./...

fuzz-seeds: ## run the seeds of every fuzz target
	$(GO) test -run '^Fuzz' ./...

fuzz: fuzz-seeds ## fuzz every target for FUZZTIME (5s)
	@set -e; for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "$$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$pkg; \
	  done; done

nets: ## slow and broken networks: toxiproxy, network namespaces, netem (root); NETS=-full for 1 MB over 64 kbit/s
	cd internal/nettest && $(GO) test -count 1 -timeout 30m -v . $(NETS)

hostile: ## a peer that says all it should not, as often as it can: reasons, rounds, memory, time
	FEDMQ_TEST_HOSTILE=1 $(GO) test -count 1 -v -run '^TestHostile(Crowd)?$$' ./internal/federation

bench: ## run the benchmarks; BENCH=regexp, COUNT=n
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -count $(COUNT) ./...

quickstart: build ## run the README's own commands: broker, aggregator, sites, mosquitto_sub
	scripts/quickstart

demo: ## ten sites on real data, one process, a table of rounds
	$(GO) run ./cmd/fedmq demo

clean: ## remove ./bin
	rm -rf bin

$(LINT):
	@mkdir -p bin
	GOBIN='$(CURDIR)/bin' GOFLAGS= $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI)
	@mv bin/golangci-lint $@
