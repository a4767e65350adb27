# make help lists what can be done here.
.DEFAULT_GOAL := help
SHELL := /bin/bash
TOOL := go tool -modfile=tools/go.mod
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## A Slack channel with Slipway in it, on this machine: open the URL it prints (ARGS="-scenario bad-deploy")
	@go build -o bin/sandbox ./sandbox && exec bin/sandbox $(ARGS)

.PHONY: test
test: services ## Run every test, with the race detector, a real Redis, a browser and other people's clients (installs them)
	go test -race -tags services -p 4 -timeout 15m ./...

.PHONY: quick
quick: ## Run the tests that need nothing but Go
	go test ./...

.PHONY: services
services: conformance/slack conformance/gcp
	@packages=; command -v redis-server >/dev/null || packages="$$packages redis-server"; \
	command -v chromium >/dev/null || packages="$$packages chromium"; \
	[ -z "$$packages" ] || { $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq --no-install-recommends $$packages; }

# The packages of Node that other people's clients are; package-lock.json pins them.
conformance/%: node
	@[ sandbox/$@/node_modules/.package-lock.json -nt sandbox/$@/package-lock.json ] || \
		npm ci --silent --ignore-scripts --no-audit --no-fund --prefix sandbox/$@

.PHONY: node
node:
	@command -v npm >/dev/null || { $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq --no-install-recommends nodejs npm; }

.PHONY: conformance
conformance: conformance/slack conformance/gcp ## Hold the local Slack and Google Cloud to the clients of Slack and Google for JavaScript
	go test -tags services -count=1 -v -run Conformance ./sandbox/conformance/...

.PHONY: screens
screens: services ## Take the screenshots of docs/ anew
	go test -tags services -count=1 -run Browser ./sandbox -args -screens ../docs

.PHONY: crash
crash: ## Kill a replica at every single call that it makes during a rollout or an incident (make test takes a sample of them)
	CRASH_EVERY=1 go test -count=1 -timeout 20m -run Crash ./sandbox/crash

.PHONY: chaos
chaos: services ## Kill and freeze bots and their Redis while people deploy: nothing may be lost or doubled (ARGS="-seed 7")
	@go build -o bin/chaos ./sandbox/chaos
	bin/chaos $(ARGS)
	bin/chaos -takeover
	bin/chaos -control -limit 2m; [ $$? -eq 1 ]

.PHONY: build
build: ## Build the binary into bin/slipway
	CGO_ENABLED=0 go build -trimpath -o bin/slipway .

.PHONY: lint
lint: ## Run the linters
	$(TOOL) golangci-lint run ./...

.PHONY: vuln
vuln: ## Look for known vulnerabilities (asks vuln.go.dev)
	$(TOOL) govulncheck -tags services ./...

.PHONY: bench
bench: ## Run the benchmarks, and print what a step and a thousand rollouts that wait cost Redis and a replica
	go test -run '^$$' -bench . -benchmem ./...
	go test -count=1 -v -run '^(TestRoundTripsAStep|TestWaitingCostsLittle)$$' ./rollout ./sandbox/play

.PHONY: fuzz
fuzz: ## Run each fuzz target for 30 seconds
	@for p in $$(go list ./...); do for f in $$(go test -list '^Fuzz' $$p | grep ^Fuzz); do \
		echo "$$p $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime 30s $$p || exit 1; done; done
