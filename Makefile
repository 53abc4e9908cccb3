# Two commands matter: `make demo` runs the main job on a fresh machine, `make test` passes the tests there.
# Each sets up what it needs by itself and is quick when that is done.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
HIDDEN ?=
TRAIN  ?=

.PHONY: help demo test attacks lint bench screenshots doctor clean
.DEFAULT_GOAL := help

help:            ## this list
	@grep -hE '^[a-z-]+: .*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(VENV)/.base: pyproject.toml constraints.txt
	@echo "==> Python environment in $(VENV)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name one with make PYTHON=..."; exit 3; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.base
	@echo "==> development tools"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(VENV)/.base  ## build the reference images, evaluate them, publish the board   [HIDDEN=dir] [TRAIN=file]
	@$(BIN)/python -m scripts.demo --hidden "$(HIDDEN)" --train "$(TRAIN)"

test: $(VENV)/.dev   ## every test, against a real engine, registry and browser
	@$(BIN)/python -m scripts.machine engine registry browser cluster
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

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

screenshots: $(VENV)/.dev ## docs/screenshots/, from a made-up store
	@$(BIN)/python -m scripts.machine browser
	@$(BIN)/python -m scripts.screenshots

doctor: $(VENV)/.base ## is this machine fit to evaluate strangers' images?
	@$(BIN)/apb doctor

clean:           ## remove the environment, caches and everything built here
	rm -rf $(VENV) .apb leaderboard/site reports build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
