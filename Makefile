# `make run WATCH="DIR ..."` and `make test` need Python 3.11+ and make, nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STATE ?= $(CURDIR)/state
STAMP := $(VENV)/.installed

.PHONY: run test check check-all format bench clean

$(STAMP): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("mediad needs Python 3.11 or newer: make PYTHON=python3.11 ..." if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $(STAMP)

run: $(STAMP)  ## the daemon in the foreground on WATCH="DIR ..."
	$(BIN)/mediad run --state-dir "$(STATE)" $(WATCH)

test: $(STAMP)  ## the quick suite
	$(BIN)/python -m pytest -m "not long"

check: $(STAMP)  ## format, lint, types, imports, generated files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m mediad.catalog.schema --check

check-all: $(STAMP)  ## what is longer: the real service, the browser, kills
	$(BIN)/python -m pytest -m long --timeout 600

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP)  ## every benchmark, a JSON line each
	$(BIN)/python -m bench

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
