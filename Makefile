# Targets are listed by `make help`. What takes more than a few lines lies in scripts/.
SHELL := /bin/bash
.DEFAULT_GOAL := help

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
REVISION ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
LDFLAGS  := -s -w -X main.version=$(VERSION) -X main.revision=$(REVISION)
# Where `make build` puts the program.
BINARY   ?= bin/nodevitals
# Arguments for `make run`, such as ARGS='--read-only-port=20255 --healthz-port=0'.
ARGS     ?=
# How many inputs each fuzz target runs. A time (30s) works too, but when it is up go test now and then takes its own end for a
# failure, "context deadline exceeded".
FUZZTIME ?= 10000x
# Packages that read a live kernel, and so run on the other cgroup version too; after "=", those tests of one that do.
LIVE_PACKAGES ?= collector collector/cgroup collector/cgroup/bpf collector/reference collector/process collector/network collector/storage \
	collector/machine exporter=OnThisHost cmd/nodevitals=Agent|Summary|Verify|EachGroup|Reader|Rights|Seccomp|Disabled|NoNewPrivs

# Those that run a second time on cgroup v2, with the reader in the kernel.
READER_PACKAGES ?= collector collector/cgroup exporter

export FUZZTIME LIVE_PACKAGES READER_PACKAGES

.PHONY: help run build test lint fuzz live e2e image manifests monitoring release bpf bench clean

help: ## list the targets
	@sed -n 's/^\([a-z0-9]*\):.*## /  make \1\t/p' Makefile | expand -t 18

run: build ## build and run the agent on this host
	@exec bin/nodevitals $(ARGS)

# grpcnotrace leaves out gRPC's tracing pages, and with them 5 MB of templates that nobody asks for.
# The version comes from the line of LDFLAGS alone, so that the state of the checkout makes no other binary.
build: ## build bin/nodevitals
	@CGO_ENABLED=0 go build -trimpath -buildvcs=false -tags grpcnotrace -ldflags '$(LDFLAGS)' -o $(BINARY) ./cmd/nodevitals

test: ## install what tests need, then lint, unit tests, fuzz targets and live tests
	@scripts/test.sh

lint: build/tools/.built ## run every static check
	@scripts/lint.sh

fuzz: ## run every fuzz target for FUZZTIME
	@scripts/fuzz.sh

live: build/tools/.built ## run the live tests on the cgroup version that this machine lacks
	@scripts/live.sh '$(RUN)'

e2e: ## run nodevitals beside a real kubelet: in the emulated machine, and on this host if it can
	@scripts/setup.sh
	@scripts/e2e.sh '$(RUN)'

image: ## build the container image into build/image, for amd64 and arm64
	@scripts/image.sh

manifests: ## render every choice of the manifests and of the chart into build/manifests
	@scripts/manifests.sh build/manifests

monitoring: ## write the dashboards and rules anew, of the tables in tools/monitoring
	@go -C tools/monitoring run . '$(CURDIR)'

release: ## make what a release of the tagged commit consists of, in build/release
	@scripts/release.sh

bpf: ## make the program in the kernel anew of its C source (needs Debian's clang llvm libbpf-dev)
	@scripts/bpf.sh

bench: ## measure the cost beside a kubelet and cAdvisor; see scripts/bench.sh for settings
	@scripts/setup.sh
	@scripts/bench.sh

clean: ## remove bin/ and build/
	@rm -rf bin build

# The tools of tools/go.mod, built once for each state of it.
build/tools/.built: tools/go.mod tools/go.sum $(wildcard tools/testreport/*.go) build/tools/.deploy
	@mkdir -p build/tools
	@echo "building the tools of tools/go.mod"
	@GOBIN=$(CURDIR)/build/tools go -C tools install tool ./testreport
	@touch $@

# What renders, checks and packs manifests, chart and release, in a module of its own: helm brings half of Kubernetes.
build/tools/.deploy: tools/deploy/go.mod tools/deploy/go.sum
	@mkdir -p build/tools
	@echo "building the tools of tools/deploy/go.mod"
	@GOBIN=$(CURDIR)/build/tools go -C tools/deploy install -ldflags='-s -w' tool
	@touch $@
