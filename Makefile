# Everything runs in .venv, made on first use; Python 3.11+ is all that must be there.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-stack lint types docs bench clean

demo: .venv/ready
	$(BIN)/awry demo

# Each of the two processes has one thread for sums: more would wait for one another.
test: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(MAKE) -j2 types docs
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

# The files of deploy/ with Debian's prometheus and prometheus-alertmanager, time running faster.
test-stack: .venv/ready
	$(BIN)/python -m pytest tests/test_deploy.py tests/test_stack.py

lint: .venv/ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/mypy

types: .venv/ready
	$(BIN)/mypy

docs: .venv/ready
	$(BIN)/sphinx-build -qW -b html docs docs/_build/html

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "awry needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf .venv docs/_build awry-demo
