# Targets are short; what they run is in lib/beatlake and pyproject.toml.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TORCH := $(VENV)/.torch
VERSION := $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' lib/beatlake/__init__.py)
SCALE ?= 0.002
INPUT ?= build/input
LAKE ?= build/lake
MINUTES ?= 10
BENCH_SCALE ?= 0.1
BENCH_ROWS ?= 4700000

# The first Python that can start and is one of the supported ones, or PYTHON=/path/to/python.
PYTHON ?= $(shell for p in python3.12 python3.11 python3.10 python3 python; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' \
	2>/dev/null && echo $$p && break; done)
LOCK := $(BIN)/uv pip compile --universal --python-version 3.10 --generate-hashes --quiet \
	--no-header --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: help
help: ## list the targets
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

.PHONY: run
run: $(STAMP) ## make a small input and run the whole pipeline on it
	@[ -e "$(INPUT)" ] || $(BIN)/beatlake generate --scale "$(SCALE)" --out "$(INPUT)"
	$(BIN)/beatlake run --input "$(INPUT)" --lake "$(LAKE)"

.PHONY: test
test: $(STAMP) ## lint, format check, types, import rules, tests, doctests
	@$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest -m "not full and not real_data"

.PHONY: test-full
test-full: $(STAMP) ## everything, the slow tests too; real data where BEATLAKE_REAL_DATA is set
	@$(MAKE) --no-print-directory test
	$(BIN)/python -m pytest -m "full or real_data"

.PHONY: fuzz
fuzz: $(STAMP) ## damage files at random for MINUTES=10 and check that no row is lost
	@BEATLAKE_FUZZ_MINUTES=$(MINUTES) $(BIN)/python -m pytest -s -m full \
		tests/ingest/test_random_damage.py

.PHONY: bench
bench: $(STAMP) ## measure tasks, pipeline, readers, skew, safety (BENCH_SCALE=0.1) beside the baseline
	@status=0
	input="build/bench/$(BENCH_SCALE)" lake="build/bench/lake-$(BENCH_SCALE)"
	[ -e "$$input" ] || $(BIN)/beatlake generate --clean --scale "$(BENCH_SCALE)" --out "$$input"
	bench() { $(BIN)/python "benchmarks/$$1.py" "$${@:2}" --json "$$input-$$1.json" || status=1; }
	bench etl --input "$$input"
	bench pipeline --input "$$input" --lake "$$lake"
	bench readers --lake "$$lake"
	bench skew --input "$$input"
	bench safety --input "$$input"
	bench generator --scale "$(BENCH_SCALE)" --clean
	exit $$status

.PHONY: bench-slope
bench-slope: $(STAMP) ## measure how the pipeline grows with its input, with cores and on a cluster
	@mkdir -p build/bench
	$(BIN)/python benchmarks/slope.py --folder build/bench --json build/bench/slope.json
	$(BIN)/python benchmarks/cluster.py --input "build/bench/0.1" --json build/bench/cluster.json

.PHONY: bench-learn
bench-learn: $(STAMP) ## measure fits, scoring, the ladder, spectrograms beside other libraries (BENCH_ROWS=4700000)
	@mkdir -p build/bench
	$(BIN)/python benchmarks/learn.py --rows "$(BENCH_ROWS)" --folder build/bench \
		--json "build/bench/learn-$(BENCH_ROWS).json"
	$(BIN)/python benchmarks/spectrograms.py --json build/bench/spectrograms.json

.PHONY: bench-networks
bench-networks: torch ## measure networks trained in one process, federated and data-parallel
	@mkdir -p build/bench
	$(BIN)/python benchmarks/networks.py --json build/bench/networks.json

.PHONY: format
format: $(STAMP) ## format the code and fix what the linter can
	@$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: doctor
doctor: ## check Python, Java, disk, memory, packages and jars
	@PYTHONPATH=lib $(if $(wildcard $(STAMP)),$(BIN)/python,$(call python,)) -m beatlake.environment

.PHONY: install
install: $(STAMP) ## the virtual environment and Delta's jars

.PHONY: torch
torch: $(TORCH) ## PyTorch, for networks (on Linux with x86 it comes with CUDA: 3 GB are fetched)

.PHONY: jars
jars: $(STAMP) ## fetch Delta's jars again if they are missing or damaged
	@$(BIN)/python -m beatlake.jars

.PHONY: audit
audit: $(STAMP) ## list what is locked in build/sbom.json, and ask PyPI for known vulnerabilities
	@$(BIN)/python -m beatlake.materials build/sbom.json

.PHONY: dist
dist: $(STAMP) ## the wheel, and the same package as .zip for Spark's workers
	@rm -f dist/beatlake-*
	SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH:-1704067200} \
		$(BIN)/hatchling build --target wheel --directory dist
	cp dist/beatlake-$(VERSION)-py3-none-any.whl dist/beatlake-$(VERSION).zip
	ls dist/beatlake-*

.PHONY: lock
lock: $(STAMP) ## resolve the dependencies anew into requirements/
	@$(LOCK) --upgrade --group build --output-file requirements/build.lock
	$(LOCK) --upgrade --extra local --extra learn --extra sound --group dev \
		--constraint requirements/build.lock --output-file requirements/dev.lock pyproject.toml
	$(LOCK) --upgrade --extra torch --constraint requirements/dev.lock \
		--output-file requirements/torch.lock pyproject.toml

.PHONY: clean
clean: ## remove what was made, except the jars
	@rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis

# $(call python,): PYTHON, or one sentence that says what is missing.
python = $(or $(PYTHON),$(error beatlake needs Python 3.10, 3.11 or 3.12 with the venv module, and \
	there is only $(or $(shell python3 --version 2>&1),none): "apt-get install python3-venv" or \
	"brew install python@3.12" brings one, or name it with make PYTHON=/path/to/python3.12))
supported := import sys; (3, 10) <= sys.version_info < (3, 13) or sys.exit( \
	"beatlake needs Python 3.10 to 3.12, and PYTHON=$(PYTHON) is %d.%d; " \
	"mend it with: make PYTHON=python3.12" % sys.version_info[:2])

$(VENV)/.packages: requirements/build.lock requirements/dev.lock
	@$(call python,) -c '$(supported)'
	PYTHONPATH=lib $(PYTHON) -m beatlake.environment --before-install
	echo "installing into $(VENV) with $$($(PYTHON) --version 2>&1): some minutes, once"
	$(PYTHON) -m venv --clear $(VENV)
	$(INSTALL) --require-hashes -r requirements/build.lock
	$(INSTALL) --require-hashes --no-build-isolation --use-pep517 -r requirements/dev.lock
	touch $@

$(STAMP): $(VENV)/.packages pyproject.toml conf/jars.lock
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	$(BIN)/python -m beatlake.jars
	touch $@

# Apart from the other packages, which it would make three times as large, and not kept twice.
$(TORCH): requirements/torch.lock $(STAMP)
	@PYTHONPATH=lib $(BIN)/python -m beatlake.environment --before-torch
	$(INSTALL) --require-hashes --no-cache-dir -r requirements/torch.lock
	touch $@
