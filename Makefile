# Two commands matter: `make demo` runs the main job on a fresh machine, `make test` passes the tests there.
# Each sets up what it needs by itself and is quick when that is done.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
HIDDEN ?=
PUBLISHED ?=
STATE  ?=
TRAIN  ?=

.PHONY: help lock demo board rebuild test attacks lint bench screenshots doctor clean
.DEFAULT_GOAL := help

help:            ## this list
	@grep -hE '^[a-z-]+: .*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

# All versions come from the lock, by hash for what evaluates; nothing is built from source but this package and what has
# no wheel (SOURCE: Hydra's parser, a part of mlcroissant), by locked backends. APB_NEWEST=1 takes the newest versions instead: the workflow `newest` sets it, and nothing else does.
PIP  := $(BIN)/python -m pip install --quiet --disable-pip-version-check
BASE := $(if $(APB_NEWEST),-e '.[build]',--require-hashes -r requirements.txt)
SOURCE := antlr4-python3-runtime,jsonpath-rw
DEV  := $(if $(APB_NEWEST),,-c constraints.txt)

$(BIN)/python:
	@echo "==> Python environment in $(VENV)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name one with make PYTHON=..."; exit 3; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.base: pyproject.toml requirements.txt | $(BIN)/python
	@echo "==> what evaluates"
	@$(PIP) $(BASE)
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.base constraints.txt
	@echo "==> development tools"
	@$(PIP) $(DEV) --only-binary :all: --no-binary $(SOURCE) --no-build-isolation -e '.[dev]'
	@touch $@

# requirements.txt is the part of constraints.txt that a plain install takes, with hashes. One version of a package on every
# Python, so that machines of one round agree.
LOCK := $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --fork-strategy fewest \
        --no-emit-package antibody-polyreactivity-benchmark \
        $(if $(filter all,$(UPGRADE)),--upgrade,$(addprefix --upgrade-package ,$(UPGRADE)))
lock: export UV_CUSTOM_COMPILE_COMMAND = make lock
lock: | $(BIN)/python ## constraints.txt and requirements.txt from pyproject.toml   [UPGRADE=all, or names: the newest]
	@$(PIP) -c constraints.txt --only-binary :all: uv
	@$(LOCK) --all-extras --annotation-style line -o constraints.txt
	@$(LOCK) --extra build -c constraints.txt --no-annotate --generate-hashes --only-binary :all: --emit-build-options -o requirements.txt

demo: $(VENV)/.base  ## build the reference images, evaluate them, publish the board   [HIDDEN=dir] [TRAIN=file]
	@$(BIN)/python -m scripts.demo --hidden "$(HIDDEN)" --train "$(TRAIN)"

board: $(VENV)/.dev  ## the real board: reference images on HIDDEN=dir, into leaderboard/results/ and docs/results.md   [PUBLISHED=dir] [TRAIN=file]
	@test -n "$(HIDDEN)" || { echo "Name the hidden data: make board HIDDEN=dir"; exit 2; }
	@$(BIN)/python -m scripts.board --hidden "$(HIDDEN)" --published "$(PUBLISHED)" --train "$(TRAIN)"

rebuild: $(VENV)/.dev ## every number of the board again; what differs, and what cannot be rebuilt   [HIDDEN=dir] [PUBLISHED=dir] [TRAIN=name=file] [STATE=dir]
	@$(BIN)/python -m scripts.rebuild --hidden "$(HIDDEN)" --published "$(PUBLISHED)" --train "$(TRAIN)" --state "$(STATE)"

test: $(VENV)/.dev   ## every test, against a real engine, registry and browser
	@$(BIN)/python -m scripts.machine engine registry browser cluster
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -n auto $(PYTEST_ARGS)

attacks: $(VENV)/.dev ## every hostile image, as a table: expected code, observed code, the host around it
	@$(BIN)/python -m scripts.machine engine
	@$(BIN)/python -m tests.attacks

lint: $(VENV)/.dev   ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: $(VENV)/.dev  ## what the performance claims rest on, as ratios measured side by side
	@$(BIN)/python -m scripts.machine browser
	@$(BIN)/python -m benchmarks

screenshots: $(VENV)/.dev ## docs/screenshots/, of the committed board
	@$(BIN)/python -m scripts.machine browser
	@$(BIN)/python -m scripts.screenshots

doctor: $(VENV)/.base ## is this machine fit to evaluate strangers' images?
	@$(BIN)/apb doctor

clean:           ## remove the environment, caches and everything built here
	rm -rf $(VENV) .apb leaderboard/site reports build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
