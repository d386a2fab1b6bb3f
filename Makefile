# The two commands of a newcomer: `make test` and `make reproduce`, in either order, from a fresh clone.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# DVC starts stages as `python pipeline/<stage>.py`: the environment's python must come first.
export PATH := $(CURDIR)/$(BIN):$(PATH)
# The embedded default needs no network beyond pip, and nothing here reports home.
# For a model or dataset from the hub: `make reproduce HF_HUB_OFFLINE=0`.
export HF_HUB_OFFLINE ?= 1
export HF_HUB_DISABLE_TELEMETRY := 1
export DVC_NO_ANALYTICS := 1
export ITERATIVE_DO_NOT_TRACK := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1
unexport PYTHONPATH VIRTUAL_ENV

.DELETE_ON_ERROR:
.PHONY: help install reproduce test lint format lock clean distclean

help: ## say what can be made
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

install: $(STAMP) ## create .venv with the locked versions

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: Python 3.11 or later is needed; name one with: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@

reproduce: $(STAMP) ## run every stage that is not up to date, and show the results
	@git rev-parse --git-dir >/dev/null 2>&1 || $(BIN)/dvc config --local core.no_scm true
	$(BIN)/dvc repro
	@$(BIN)/python scripts/show_results.py

test: lint ## lint, then run all tests
	$(BIN)/python -m pytest

lint: $(STAMP) ## style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP) ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# torch stays at its version: the newest may have no CPU build, and a CUDA build brings gigabytes.
lock: ## solve pyproject.toml anew, but for torch, and write requirements.lock
	rm -rf build/lock
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet "$$(grep '^torch==' requirements.lock)" '.[pipeline,hub,dev]'
	build/lock/bin/python scripts/write_lock.py requirements.lock
	rm -rf build/lock

clean: ## remove data/, models/ and what tools wrote, but not .venv or DVC's cache
	rm -rf data models .checkpoints dvc_plots build .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find src tests pipeline benchmarks scripts -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## also remove .venv and DVC's cache
	rm -rf $(VENV) .dvc/cache .dvc/tmp
