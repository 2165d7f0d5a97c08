# make quickstart: build cnmctl and bring up the quick-start lab on this machine.
# make test: install what the tests need and run everything.
# make help: the rest.

export GOTOOLCHAIN ?= local

GO        ?= go
CNMCTL    := bin/cnmctl
LINTER    := bin/golangci-lint
CONSUL    := bin/consul
QUICK     := $(CNMCTL) -chdir=examples/quickstart
GOTEST    := $(GO) run -C tools ./gotest
# Packages are tested in this order: those first that take longest.
LONG      := ./e2e/vm ./drivers/registry ./faults ./state/consul ./e2e ./laws
# What does more than one thing at a time runs once more with the race detector, except for
# tests that only look at what cnmctl says, or at which packets pass. The detector needs cgo;
# cnmctl itself never does.
CONCURRENT := ./drivers/registry ./faults ./state/consul/... ./laws ./e2e ./agent ./applier/... ./cli ./planner/... ./plugin/... ./state/...
NO_RACE   := ^(TestTraffic|TestBadValues|TestNeighborLimits|FuzzConfig)$$|^TestContract$$/ten_thousand|^TestScripts$$/^(bad-input|color|completion|fmt|graph|help|output|validate|variables|version)$$
# What a release is built from; empty outside of git.
COMMIT    := $(shell git describe --always --dirty --abbrev=12 2>/dev/null)
BUILD     := CGO_ENABLED=0 $(GO) build -trimpath

.PHONY: help build quickstart quickstart-down demo-overlay test test-short prepare check lint fmt docs bench bench-scale clean FORCE

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 26

build: $(CNMCTL) ## bin/cnmctl, one static binary

$(CNMCTL): FORCE
	@$(BUILD) -ldflags='-s -w -X github.com/cnmctl/cnmctl/cli.commit=$(COMMIT)' -o $@ .

quickstart: build ## plan, apply and ping through the quick-start lab, on this machine
	@echo '$$ cnmctl plan'
	@$(QUICK) plan
	@echo '$$ cnmctl apply -auto-approve'
	@$(QUICK) apply -auto-approve
	@echo '$$ cnmctl exec web -- ping -c 3 db'
	@$(QUICK) exec web -- ping -c 3 db
	@echo
	@echo 'The lab is up. Look around: $(QUICK) show'
	@echo 'Take it down again:         make quickstart-down'

quickstart-down: build ## take the quick-start lab down
	@$(QUICK) destroy -auto-approve

demo-overlay: build prepare $(CONSUL) ## walk through networks across three hosts, in throwaway namespaces, with a real Consul
	@PATH="$(CURDIR)/bin:$$PATH" examples/overlay/demo.sh

test: prepare $(CONSUL) check ## everything: format, vet, linter, unit, kernel and example tests, race detector
	@$(GOTEST) -timeout=25m $(LONG) ./...
	@$(GOTEST) -race -short -timeout=25m -skip='$(NO_RACE)' $(CONCURRENT)

test-short: prepare ## the quick part of the tests, for while you work
	@$(GOTEST) -short $(LONG) ./...

prepare:
	@tools/prepare

check: lint ## format, vet and linter
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo 'not formatted (make fmt):'; gofmt -l $$(git ls-files '*.go'); exit 1; }
	@$(GO) vet ./...

lint: $(LINTER)
	@$(LINTER) run ./...

$(LINTER): tools/go.mod tools/go.sum
	@echo 'building the linter (once)'
	@CGO_ENABLED=0 $(GO) build -C tools -o ../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

# The tests run against a real Consul. Building it takes minutes, once; quick tests do
# without it where it is not built.
$(CONSUL): tools/consul/go.mod tools/consul/go.sum
	@echo 'building Consul for the tests (once, it takes some minutes)'
	@CGO_ENABLED=0 $(GO) build -C tools/consul -trimpath -ldflags='-s -w' -o ../../$@ github.com/hashicorp/consul

fmt: build ## format Go and HCL
	@gofmt -w $$(git ls-files '*.go')
	@$(CNMCTL) fmt -recursive examples

docs: ## write the generated parts of docs/ and README.md anew
	@$(GO) test ./docs -update

bench: build $(CONSUL) ## cnmctl beside ip -batch and the bare netlink program; hosts of a cluster; in throwaway namespaces
	@$(GO) run ./bench
	@GOGC=400 $(GO) test -run - -bench . -benchtime 3x ./bench
	@$(GO) run ./bench/cluster

bench-scale: $(CONSUL) ## a thousand agents and a hundred thousand endpoints with one Consul, simulated
	@$(GO) run ./bench/scale

clean: ## remove what was built
	@rm -rf bin
