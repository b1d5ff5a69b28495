# demo and test set up what they need; run either first, in any order, and again.
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
PYTEST := $(BIN)/python -m pytest --numprocesses 2 --dist worksteal


help:
	@echo "make demo     environment, generated data, the whole chain, its scores and pictures"
	@echo "make test     environment, lint, types, tests"
	@echo "make slow     the tests that take minutes"
	@echo "make mutants  breaks the array modules one place at a time: do their tests fail?"
	@echo "make bench    what docs/benchmarks.md shows, measured here; an hour"
	@echo "make lint     ruff and mypy alone"
	@echo "make clean    remove what runs made; keeps the environment"

demo: install
	@cmp -s params.yaml presets/shapes.yaml || { echo "params.yaml is not the demo's:" \
	  "'python cli.py run' runs it, 'python cli.py use shapes' makes it the demo's"; exit 1; }
	$(BIN)/python cli.py run

test: lint
	$(PYTEST) -m "not slow"

slow: install
	$(PYTEST) -m slow

mutants: install
	$(BIN)/python -m tests.mutation

bench: install
	$(BIN)/python -m benchmarks

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

install: $(BIN)/.installed

$(BIN)/.installed: requirements.lock
	@$(MAKE) --no-print-directory system
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@touch $@

# Said before a build starts, not in the middle of one.
system:
	@command -v $(PYTHON) >/dev/null || \
	  { echo "missing: $(PYTHON). Debian: apt install python3; macOS: brew install python"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is older than 3.11. Install a newer one: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "missing: venv of $(PYTHON). Debian: apt install python3-venv"; exit 1; }
	@command -v git >/dev/null || { echo "missing: git. Debian: apt install git"; exit 1; }
	@command -v c++ >/dev/null || command -v g++ >/dev/null || \
	  { echo "missing: a C++ compiler (the dense CRF is built). Debian: apt install g++; macOS: xcode-select --install"; exit 1; }
	@$(PYTHON) -c 'import os, sysconfig, sys; sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' || \
	  { echo "missing: the headers of $(PYTHON). Debian: apt install python3-dev"; exit 1; }

clean:
	rm -rf .resume .cells .mutants data/ablation data/tables data/raw/shapes data/raw/shapes_boxed data/prepared data/labels data/models \
	  data/maps data/tag_scores.csv data/saliency data/fused data/logits data/predictions \
	  data/refined data/scores data/report data/log data/benchmarks
