# make help lists what can be done here.
.DEFAULT_GOAL := help
SHELL := /bin/bash
TOOL := go tool -modfile=tools/go.mod
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Play a whole rollout in this terminal: no account, no network, about 2 minutes
	go run ./sandbox -play

.PHONY: test
test: services ## Run every test, with the race detector and a real Redis (installs it if need be)
	go test -race -tags services -timeout 15m ./...

.PHONY: quick
quick: ## Run the tests that need nothing but Go
	go test ./...

.PHONY: services
services:
	@command -v redis-server >/dev/null || { $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq redis-server; }

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
bench: ## Run the benchmarks
	go test -run '^$$' -bench . -benchmem ./...

.PHONY: fuzz
fuzz: ## Run each fuzz target for 30 seconds
	@for p in $$(go list ./...); do for f in $$(go test -list '^Fuzz' $$p | grep ^Fuzz); do \
		echo "$$p $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime 30s $$p || exit 1; done; done
