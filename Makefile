# souk: the front door. `make` alone tells what there is.

# Empty means: the target's own preset (release to run, dev to test).
PRESET ?=
DATA ?= .souk-data
SERVICES ?= .souk-services
SPLIT ?= .souk-split
ARGS ?=

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# A fresh clone elsewhere hits the cache too, and precompiled headers are cached at all.
export CCACHE_BASEDIR := $(CURDIR)
export CCACHE_NOHASHDIR := true
export CCACHE_SLOPPINESS := pch_defines,time_macros,include_file_mtime,include_file_ctime

.PHONY: build run run-split restart-split replay services services-stop test test-platform bench bench-growth lint format clean help deps

##@ Use
build: ## build the binary, build/release/souk (PRESET=dev|release|asan|tsan)
	@.ci/deps build
	@.ci/build '$(or $(PRESET),release)'

run: ## build, then serve a demo shop with data in it (DATA=.souk-data ARGS='--port 8080')
	@$(MAKE) build PRESET='$(PRESET)'
	@exec 'build/$(or $(PRESET),release)/souk' serve --demo --data '$(DATA)' $(ARGS)

run-split: ## build, then run the shop as six processes on servers of its own, until ^C (OFFSET=100 for other ports)
	@.ci/deps servers split
	@$(MAKE) build PRESET='$(PRESET)'
	@PRESET='$(or $(PRESET),release)' exec deploy/local/split.sh run $(if $(OFFSET),--offset '$(OFFSET)') '$(SPLIT)'

restart-split: ## replace one process of run-split by a new one, under load or not (MODULE=order)
	@[[ -n '$(MODULE)' ]] || { echo "restart-split: say which: make restart-split MODULE=order" >&2; exit 2; }
	@PRESET='$(or $(PRESET),release)' deploy/local/split.sh restart '$(SPLIT)' '$(MODULE)'

replay: ## put half a year of real orders through a fresh shop (FILE=sales.csv.gz [STACK=embedded|servers|split] [JSON=report.json])
	@[[ -n '$(FILE)' ]] || { echo "replay: say which file: make replay FILE=sales.csv.gz" >&2; exit 2; }
	@[[ -r '$(FILE)' ]] || { echo "replay: cannot read '$(FILE)'" >&2; exit 2; }
	@[[ '$(or $(STACK),embedded)' == embedded ]] || .ci/deps servers split
	@$(MAKE) build PRESET=release
	@FILE='$(FILE)' STACK='$(or $(STACK),embedded)' JSON='$(JSON)' tests/support/replay.sh

services: ## start PostgreSQL, Redis and RabbitMQ on free local ports, and say how to use them
	@.ci/deps servers
	@tests/support/services.sh start '$(SERVICES)'
	@tests/support/services.sh env '$(SERVICES)'
	@echo
	@echo '# Paste the lines above into a shell, or: source $(SERVICES)/env'
	@echo '# Then, there: build/release/souk doctor; make run DATA=$(SERVICES)/shop (a data folder of its own).'
	@echo '# A shell without them uses the embedded stack.'
	@echo '# The end, with the data kept: make services-stop'

services-stop: ## stop what `make services` started, and nothing else; its data stays
	@[[ ! -e '$(SERVICES)' ]] || tests/support/services.sh stop '$(SERVICES)'

##@ Check
test: ## build and run all tests; the last line counts them (PRESET=dev|asan|tsan)
	@.ci/deps build npm servers guard
	@.ci/test '$(or $(PRESET),dev)'

test-platform: ## check what surrounds the binary: packages, scripts, hooks, charts
	@.ci/deps build lint npm servers platform
	@tests/platform/run.sh

bench: ## measure the shop beside the limits of this machine, about 12 minutes (ARGS='--quick', ARGS='--only detail --stack embedded')
	@.ci/deps npm servers bench
	@$(MAKE) build PRESET=release
	@cmake --build build/release --target bench_tools
	@node tests/bench/run.mjs $(value ARGS)

bench-growth: ## measure what growth does: 100 times the data, 4 processes, a backlog, idle connections, about 20 minutes
	@.ci/deps npm servers bench
	@$(MAKE) build PRESET=release
	@cmake --build build/release --target bench_load
	@node tests/bench/growth.mjs $(value ARGS)

lint: ## check format and scripts, and changed C++ with clang-tidy (ALL=1 for all of it)
	@.ci/deps build lint
	@ALL='$(ALL)' .ci/lint

##@ Keep
format: ## format all C++ files
	@.ci/deps lint
	@.ci/lint --fix

deps: ## install from Debian all that the targets above need
	@.ci/deps build lint npm servers guard split bench platform

clean: ## remove what was built (the shop's data stays)
	@rm -rf build

help: ## show this
	@awk 'BEGIN { FS = ":.*## "; print "souk: a shop in one binary. make TARGET [NAME=value]" } \
	    /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	    /^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo 'Each target first installs the Debian packages it lacks, and says so (SOUK_DEPS=skip: it does not).'
