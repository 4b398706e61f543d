# `make` lists the targets. Everything runs in .venv; Debian packages are installed where root or `sudo -n` may.
SHELL := /bin/sh
PYTHON ?= python3.11
BIN := .venv/bin
RUN_PACKAGES := flite libopus0
TEST_PACKAGES := flite libopus0 espeak-ng sox sip-tester baresip-core sipsak kamailio chromium redis-server
INPUTS ?= 1000000
DATAGRAMS ?= 100000
SEED ?= 1
MINUTES ?= 0
ENGINE_FILES := requirements.txt constraints.txt
TOOL_FILES := requirements.txt requirements-dev.txt constraints.txt
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help run setup setup-test test test-fast test-unit lint format check interop browser fuzz bench clean packages-run voice

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: .venv/.run voice ## start everything: desk, widget, phone line
	@exec $(BIN)/python manage.py run

setup: .venv/.dev voice ## virtual environment with tools, database, commit hook; safe to repeat
	@$(BIN)/python manage.py migrate --verbosity 0
	@if [ -d .git ]; then .ci/install-hook; fi

setup-test: .venv/.dev .venv/.espeak ## programs that the tests call: sipp, baresip, Chromium, …
	@.ci/packages --need $(TEST_PACKAGES)

test: setup-test ## all tests, interop and browser included
	@.ci/test

test-fast: .venv/.dev ## without interop and browser
	@$(BIN)/python -m pytest -q

test-unit: .venv/.dev ## the part that takes seconds
	@$(BIN)/python -m pytest -q tests/unit tests/architecture

lint: .venv/.dev ## format, faults, types, layers, sizes, migrations, deployment settings
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python .ci/check_sizes.py
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py check --deploy --fail-level WARNING

format: .venv/.dev ## put the code into shape
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

check: lint test ## what CI runs

interop: setup-test ## calls with sipp, baresip, Kamailio and sipsak alone
	@$(BIN)/python -m pytest -q -m interop tests/interop

browser: setup-test ## calls with Chromium alone
	@$(BIN)/python -m pytest -q -m browser tests/browser

fuzz: setup-test ## hostile input in bulk: INPUTS=1000000 DATAGRAMS=100000 SEED=1 MINUTES=0 (0: no limit of time)
	@$(BIN)/python -m tests.fuzz.soak --inputs $(INPUTS) --seed $(SEED) --minutes $(MINUTES)
	@$(BIN)/python -m tests.fuzz.live --datagrams $(DATAGRAMS) --seed $(SEED)

bench: .venv/.dev ## the figures of the README
	@for program in benchmarks/*.py; do $(BIN)/python $$program || exit 1; done

clean: ## removes what is generated, but never the data folder
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage* staticfiles
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

packages-run:
	@.ci/packages --wish $(RUN_PACKAGES)

voice: .venv/bin/python packages-run
	@$(BIN)/python -c 'import ctypes; ctypes.CDLL("libflite.so.1")' 2>/dev/null || { \
		echo "flite is not here: espeak-ng speaks instead, installed by pip (GPL-3.0+, in a process of its own)"; \
		$(MAKE) -s .venv/.espeak || echo "that failed: agents will not speak until one is installed"; }

.venv/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed: $(PYTHON) was not found."; exit 1; }
	@echo "making the virtual environment"
	@$(PYTHON) -m venv .venv || { echo "Debian: apt-get install python3-venv"; exit 1; }

.venv/.run: .venv/bin/python $(ENGINE_FILES)
	@echo "installing what the product needs (first time: a minute or two)"
	@$(PIP_INSTALL) -r requirements.txt
	@touch $@

.venv/.dev: .venv/bin/python $(TOOL_FILES)
	@echo "installing what the product and its checks need (first time: a few minutes)"
	@$(PIP_INSTALL) -r requirements-dev.txt
	@touch $@ .venv/.run

.venv/.espeak: .venv/bin/python requirements-espeak.txt constraints.txt
	@$(PIP_INSTALL) -r requirements-espeak.txt
	@touch $@
