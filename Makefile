# Needs Python 3.11 or newer and make (3.81, macOS's, will do). Each target first sets up what it
# needs, once: the pinned tools in .venv and the third-party modules in lib/. After that no
# target but `image` uses the network.
#
#   make test PYTEST="-k relay -x"     arguments for pytest
#   make run PYTHON=python3.12         the Python that .venv is made with
#   make image IMAGE="--tag v0.1.0"    as a release

PYTHON ?= python3
PYTEST ?=
RUN ?=
IMAGE ?=

BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
READY := .venv/.ready
STUBS := .venv/typings/.ready
LIB := lib/umqtt/simple.py
PEERS := build/peers/.ready

# A virtual environment does not survive being moved, nor its Python being removed: then it is
# made anew.
$(shell [ "`cat .venv/.made-in 2>/dev/null`" = "$(CURDIR)" ] && $(BIN)/python -c '' 2>/dev/null \
	|| rm -f .venv/.made-in)

.DEFAULT_GOAL := help
.PHONY: help setup run test lint format types soak size bench image clean

help: ## What can be made here
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1@\2/p' Makefile | awk -F@ '{printf "%-14s %s\n", $$1, $$2}'

setup: $(READY) $(STUBS) $(LIB) ## Only the set-up that every other target does first
	@:

run: setup ## The platform stand-in and a simulated thermostat on it (Ctrl-C ends it)
	@exec $(BIN)/csipio run $(RUN)

# Four at a time: most tests wait for a broker, a deadline or a process.
test: setup ## All tests; PYTEST="..." passes arguments to pytest
	$(BIN)/python -m pytest -n 4 --dist worksteal $(PYTEST)

lint: $(READY) ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(READY) ## Let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: setup ## Type check of the firmware against the ESP32 port's stubs
	$(BIN)/mypy

soak: setup ## An hour of everything at once; SOAK="--minutes 5" for less
	@exec $(BIN)/python -m tests.system.soak $(SOAK)

size: setup ## What each room of the firmware costs in flash and in RAM
	@exec $(BIN)/csipio size

bench: setup $(PEERS) ## Measure the firmware against its budgets, and beside what people use
	@exec $(BIN)/csipio bench

image: $(READY) $(LIB) ## The board's own image, firmware frozen in; needs Docker and the network
	@exec $(BIN)/python -m tools.image $(IMAGE)

clean: ## Remove all that was set up or built
	rm -rf .venv build .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find lib -mindepth 1 ! -name README.md -delete
	find firmware tools tests -name __pycache__ -prune -exec rm -rf {} +

.venv/.made-in:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed; \"$(PYTHON)\" is `$(PYTHON) --version 2>&1`." >&2; \
		echo "Install one and name it, for example: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
		echo "\"$(PYTHON)\" cannot make virtual environments (modules venv and ensurepip)." >&2; \
		echo "On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Making .venv; this takes a minute, once."
	@$(PYTHON) -m venv --clear .venv
	@echo "$(CURDIR)" > $@

$(READY): .venv/.made-in requirements.txt requirements-board.txt
	@echo "Installing the pinned tools into .venv"
	@$(PIP) --require-hashes -r requirements-board.txt
	@$(PIP) -r requirements.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

# Apart from what CPython imports: some of these have the names of its own packages.
$(STUBS): .venv/.made-in requirements-stubs.txt
	@rm -rf .venv/typings
	@$(PIP) --target .venv/typings -r requirements-stubs.txt
	@touch $@

$(LIB): tools/vendor.py $(READY)
	@$(BIN)/python -m tools.vendor
	@touch $@

$(PEERS): tools/vendor.py $(READY)
	@$(BIN)/python -m tools.vendor peers
	@touch $@
