# keywright: `make run` shows it at work, `make test` proves it, `make check` keeps it tidy.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: help install run test check format lock clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(VENV)/.installed  ## install keywright into .venv

run: install  ## run the demo on the embedded default; it ends by itself
	@$(BIN)/keywright demo

test: $(VENV)/.installed-dev  ## install all that the tests need, then run them all
	@tests/install-packages
	@$(BIN)/python -m pytest -n 3 --dist loadfile tests/unit tests/integration tests/acceptance
	@$(BIN)/python -m pytest -n 2 --dist loadfile tests/faults tests/architecture

check: $(VENV)/.installed-dev  ## format, lint, types, import rules, architecture
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/ruff check --quiet
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python -m pytest -q tests/architecture

format: $(VENV)/.installed-dev  ## format and apply the safe fixes of the linter
	@$(BIN)/ruff check --fix-only --quiet
	@$(BIN)/ruff format --quiet

lock:  ## bring the lock files up to date (needs uv)
	uv pip compile $(LOCK) pyproject.toml -o requirements.txt
	uv pip compile $(LOCK) --constraint requirements.txt pyproject.toml --group test --group check --group bench -o requirements-dev.txt

LOCK := --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
        --override overrides.txt

clean:  ## remove what was installed and made here, the demo's data included
	rm -rf $(VENV) .keywright .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "keywright needs Python 3.11 or later; name one with PYTHON=…" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { echo "python3 -m venv failed; on Debian: apt-get install python3-venv" >&2; exit 1; }

PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps

$(VENV)/.installed: requirements.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing keywright into $(VENV) …"
	@$(PIP) --require-hashes -r requirements.txt
	@$(PIP) --editable .
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	@echo "Installing what the tests and checks need …"
	@$(PIP) --require-hashes -r requirements-dev.txt
	@touch $@
