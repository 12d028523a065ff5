# Everything runs in .venv, which is made on first use with nothing but Python 3.10+ and this file.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: docs demo test test-all test-huge lint bench clean
.DELETE_ON_ERROR:

demo: $(VENV)/installed
	$(BIN)/umbel demo --out demo

# one thread: tensors are small, and where other work shares the cores two threads wait for each other
test: $(VENV)/installed-test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -m "not slow"

test-all: $(VENV)/installed-test
	$(BIN)/python -m pytest -q -m "not huge"

test-huge: $(VENV)/installed-test
	$(BIN)/python -m pytest -q -m huge

lint: $(VENV)/installed-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

docs: $(VENV)/installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.10 or newer is needed: make PYTHON=python3.12") if sys.version_info < (3, 10) else None'
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(VENV)/bin/python pyproject.toml plugins/umbel-challenge/pyproject.toml
	$(BIN)/python -m pip install --quiet --editable . --editable plugins/umbel-challenge
	touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

$(VENV)/installed-bench: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	touch $@

$(VENV)/installed-lint: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --editable '.[lint]'
	touch $@

bench: $(VENV)/installed-bench
	OMP_NUM_THREADS=2 $(BIN)/python benchmarks/run_all.py

$(VENV)/installed-docs: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	touch $@

clean:
	rm -rf $(VENV) build demo runs *.egg-info
