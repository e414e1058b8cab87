# Everything here makes its own virtual environment first (.venv, from pyproject.toml and constraints.txt) and writes
# nothing outside this folder but pip's download cache and ~/.cache/tvm-sweep (a lock a core).

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
READY_FOR_TESTS := $(VENV)/.ready-for-tests
READY_TO_RUN := $(VENV)/.ready-to-run
ENOUGH_TO_RUN := $(or $(wildcard $(READY)),$(READY_TO_RUN))
PIP = $(BIN)/python -m pip install -q --no-compile --disable-pip-version-check -c constraints.txt
comma := ,

STUDY ?= experiments/quickstart.yaml
CLUSTER ?= clusters/local.yaml
ARGS ?=

phase = @printf '[%s] %s\n' "$$(date +%T)" '$(1)'

.PHONY: help
help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' Makefile

.PHONY: quickstart
quickstart: $(ENOUGH_TO_RUN) ## Run the first study on this machine: two devices, two tuners, one table
	$(BIN)/sweep run $(STUDY) --cluster $(CLUSTER) $(ARGS)

.PHONY: doctor
doctor: $(ENOUGH_TO_RUN) ## Look at this machine: versions, compiler, cores, ports, disk
	$(BIN)/sweep doctor

# Tests start hundreds of processes: what each would compile anew is kept, whatever the environment says.
PYTEST := env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest

.PHONY: test
test: $(READY_FOR_TESTS) ## Lint, types, layers, then every test but the slow ones
	@$(MAKE) --no-print-directory -j 2 lint collected
	$(call phase,pytest)
	@$(PYTEST) -n 2 $(ARGS)

.PHONY: test-all
test-all: $(READY_FOR_TESTS) ## The same with the slow tests
	@$(MAKE) --no-print-directory -j 2 lint collected
	$(call phase,pytest with the slow tests)
	@$(PYTEST) -n 2 -m '' $(ARGS)

# pytest compiles the tests in a way of its own, which takes some 20 s: mypy leaves it a core.
.PHONY: collected
collected: $(READY_FOR_TESTS)
	@$(PYTEST) --collect-only -qq >/dev/null 2>&1 || true

.PHONY: faults
faults: $(READY) ## The fault campaign: ARGS="--times 20"
	$(BIN)/python -m tests.faults $(ARGS)

.PHONY: fuzz
fuzz: $(READY) ## Files changed at random, two minutes of them: ARGS="--mutations 10000 --seconds 7200" for a night
	$(BIN)/python -m tests.fuzz --seconds 120 $(ARGS)

.PHONY: coverage
coverage: $(READY_FOR_TESTS) ## Real networks of the index's packages against their own runtimes, and docs/coverage.md
	$(BIN)/python -m tests.packaged $(ARGS)

.PHONY: lint
lint: $(READY) ## ruff, mypy, import-linter
	$(call phase,ruff)
	@$(BIN)/ruff check --quiet --output-format=concise .
	@$(BIN)/ruff format --check --quiet .
	$(call phase,mypy)
	@$(BIN)/mypy
	$(call phase,import-linter)
	@$(BIN)/lint-imports

.PHONY: format
format: $(READY) ## Mend what ruff can mend
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format .

.PHONY: bench
bench: $(READY) ## Benchmarks of sweep itself
	$(BIN)/python -m benchmarks $(ARGS)

.PHONY: wheels
wheels: $(READY) ## dist/: the wheel, and the one that reads sweeps without TVM and Ray
	@$(BIN)/python tools/plotly_bundle.py
	@$(BIN)/python -m pip wheel . --no-deps --no-build-isolation --quiet --wheel-dir dist
	@$(BIN)/python tools/read_wheel.py dist/tvm_sweep-*.whl

.PHONY: front-door
front-door: $(READY) ## What a newcomer does, in two clean environments: wheel, init, run, export, and the bundle alone
	@$(BIN)/python tools/front_door.py $(ARGS)

.PHONY: site
site: $(READY) ## build/site: the documentation, with a page for each command and the Python reference
	@$(BIN)/python tools/docs_site.py

.PHONY: constraints
constraints: ## Resolve pyproject.toml anew and write constraints.txt
	./tools/lock

.PHONY: farm-free
farm-free: $(READY) ## End the tracker and device servers that a farm left running
	$(BIN)/sweep farm down $(CLUSTER)

.PHONY: clean
clean: ## Remove caches and built files (not sweeps/, not .venv)
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find sweep tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# setuptools comes from the constraints too and pip's build isolation is off, so that what builds the package is pinned.
# pip compiles modules one after another on one core, those of tests too; compileall does so on all cores.
define install
	$(call phase,virtual environment in $(VENV))
	@python=''; \
	for name in python3.11 python3.12 python3.13 python3; do \
	  if command -v "$$name" >/dev/null && "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    python="$$name"; break; fi; done; \
	if [ -z "$$python" ]; then echo 'error: Python 3.11 or newer is needed, and none was found on PATH' >&2; exit 1; fi; \
	test -x $(BIN)/python || "$$python" -m venv $(VENV)
	@$(PIP) setuptools
	@$(PIP) --no-build-isolation -e '$(1)'
	@$(BIN)/python tools/plotly_bundle.py
	@$(BIN)/python -m compileall -q -j 0 -x '/tests?/' $(VENV)/lib sweep >/dev/null || true
endef

# What runs studies, without what checks and documents this program: a first study does not wait for that.
$(READY_TO_RUN): pyproject.toml constraints.txt
	$(call install,.)
	@touch $@
	$(call phase,ready)

$(READY): pyproject.toml constraints.txt
	$(call install,.[dev$(comma)docs$(comma)cluster$(comma)postgresql$(comma)bench])
	@touch $(READY_TO_RUN) $@
	$(call phase,ready)

# The other runtimes and frameworks that tests try: a gigabyte that a first study does not wait for.
$(READY_FOR_TESTS): $(READY)
	$(call phase,torch and Keras and LiteRT and OpenVINO and Optuna)
	@$(PIP) --no-build-isolation -e '.[torch,keras,tflite,openvino,optuna]'
	@$(BIN)/python -m compileall -q -j 0 -x '/tests?/' $(VENV)/lib sweep >/dev/null || true
	@touch $@
