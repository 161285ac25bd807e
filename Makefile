# make demo    set everything up and grade the sample class
# make test    set everything up and run the tests (the slow ones: make test-slow)
# make lint    style and types
# make bench   the figures of docs/benchmarks.md (some minutes; installs nbgrader and otter beside)

VENV   := .venv
BIN    := $(VENV)/bin
PYTHON ?= python3
UV     := $(or $(shell command -v uv 2>/dev/null),$(BIN)/uv)

.PHONY: setup demo test test-slow lint bench release clean

setup: $(VENV)/.ready
	@test -d examples/class || $(BIN)/python examples/make.py

# the project's own environment: uv is put into it where there is none
$(VENV)/.ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "This needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(UV) || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(UV) sync --quiet --python $(BIN)/python --extra instructor
	@touch $@
	@echo "Ready. Next: . $(BIN)/activate; grade --help"

demo: setup
	@$(BIN)/python examples/make.py
	@$(BIN)/grade all examples/class --out results/demo

test: setup
	$(BIN)/python -m pytest -m "not slow" -n auto --maxprocesses 8 --dist loadfile

test-slow: setup
	$(BIN)/python -m pytest -m slow

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup
	$(BIN)/python benchmarks/bench.py --write docs/benchmarks.md

release: setup
	$(BIN)/grade release

clean:
	rm -rf $(VENV) .venv-bench build dist results *.egg-info
