# The commands of a newcomer: `make quick`, `make reproduce` and `make test`, in any order, from a fresh clone.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# An environment that was copied or moved with its project still runs the code of the old folder: it is made anew.
FOLDER := $(shell cat $(STAMP) 2>/dev/null)
MOVED := $(if $(FOLDER),$(if $(filter-out $(CURDIR),$(FOLDER)),$(shell test -h $(VENV) || echo moved)))
PLOTS_PAGE := .dvc/plots/page.html

# DVC starts stages as `python -m lexivert.stages NAME`: the environment's python must come first.
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
.PHONY: moved help install quick reproduce diff restore test pytest fuzz lint style types docs docs-check format lock clean distclean

help: ## say what can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

install: $(STAMP) $(PLOTS_PAGE) ## create .venv with the locked versions

$(STAMP): requirements.lock pyproject.toml $(MOVED)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: Python 3.11 or later is needed; name one with: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(if $(MOVED),--clear) $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@printf %s '$(CURDIR)' > $@

# What `dvc plots show` and `dvc plots diff` fill, with Vega inside.
$(PLOTS_PAGE): $(STAMP) scripts/write_plots_page.py
	$(BIN)/python scripts/write_plots_page.py

# A small model of its own, in minutes: what params.quick.yaml states replaces values of params.yaml.
QUICK := build/quick
quick: $(PLOTS_PAGE) $(QUICK)/models/controller ## make a small model in build/quick, and rebuild a sentence from its vector
	$(BIN)/lexivert roundtrip --model $(QUICK) --trace \
	  "The silent owl sat by the river, and nobody knew how long it had been there."

$(QUICK)/models/controller: $(STAMP) params.yaml params.quick.yaml
	$(BIN)/python -m lexivert.stages fetch corpus vocab lexical_maps features language_model token_head index \
	  selector controller --root $(QUICK) --overrides params.quick.yaml
	@touch $@

# Metrics are in git, so that `dvc metrics diff REVISION` compares revisions without a cache. But that way a fresh clone
# has them before it has measured anything, and plain `dvc repro` skips each stage that writes nothing else as soon as
# the models come out byte by byte as those of dvc.lock. Where nothing has run yet, they are therefore removed first:
# every stage runs, and every figure is this machine's own.
reproduce: $(STAMP) $(PLOTS_PAGE) ## run every stage that is not up to date, and show the results
	@git rev-parse --git-dir >/dev/null 2>&1 || $(BIN)/dvc config --local core.no_scm true
	@test -d .dvc/cache || rm -rf metrics/*.json metrics/plots
	$(BIN)/dvc repro
	@$(BIN)/python scripts/show_results.py

diff: $(STAMP) ## show how the headline figures differ from a revision's (REV=...; the last commit's if none is named)
	@$(BIN)/dvc metrics diff $(REV) --targets metrics/headline.json

restore: $(STAMP) ## go back to the last commit's params, metrics, data and models, however an experiment ended
	@$(BIN)/python scripts/restore.py

# Types are checked beside the tests: recursive, since no other target is parallel.
test: style $(PLOTS_PAGE) ## style, types, layers, all tests
	@$(MAKE) --no-print-directory --jobs=2 types pytest || { $(MAKE) --no-print-directory types; exit 1; }

# Asserts that tell their values take each worker seconds to prepare in a fresh clone: only what has failed is run so.
pytest: $(STAMP) $(PLOTS_PAGE)
	$(BIN)/python -m pytest --assert=plain || \
	  { test $$? -eq 1 && echo "tests failed; the same again, with values:" && $(BIN)/python -m pytest --last-failed; \
	    echo "error: tests failed" >&2; exit 1; }

fuzz: $(STAMP) ## try 10,000 seeded inputs on API, command line and params; FUZZ_SEED=N for others
	FUZZ_INPUTS=10000 $(BIN)/python -m pytest tests/fuzz

lint: style types ## style, types and layers

style: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(STAMP) ## write the tables of README.md and docs/ anew, out of metrics/
	$(BIN)/python scripts/write_tables.py

docs-check: $(STAMP) ## fail if a table of README.md or docs/ differs from metrics/
	$(BIN)/python scripts/write_tables.py --check

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
	find src tests benchmarks experiments scripts -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## also remove .venv and DVC's cache
	rm -rf $(VENV) $(PLOTS_PAGE) .dvc/cache .dvc/tmp
