# What people run. Everything lives in .venv; nothing is installed outside this folder.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Bytecode is kept even where the environment says otherwise: each process that a test starts would compile all modules.
unexport PYTHONDONTWRITEBYTECODE
PYTEST := $(BIN)/python -m pytest

.PHONY: help demo test check soak mutants bench bench-peers test-newest-websockets peers docs site dist release-requirements clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 26

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "v2x-gateway needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.demo: $(VENV)/.made pyproject.toml constraints.txt
	$(PIP) install -c constraints.txt -e '.[broker]'
	@touch $@

$(VENV)/.dev: $(VENV)/.made pyproject.toml constraints.txt
	$(PIP) install -c constraints.txt -e '.[dev,broker,can,cluster,modbus,postgres]'
	@touch $@

demo: $(VENV)/.demo ## one discharge, from MQTT to the battery and back, in one process
	$(BIN)/v2x demo $(ARGS)

test: $(VENV)/.dev ## the tests; what needs Mosquitto, Java, Node or PostgreSQL skips with the reason if absent
	$(PYTEST) -m 'not soak and not benchmark' -n 4 $(ARGS)

check: $(VENV)/.dev ## ruff, mypy --strict, import-linter, import circles, the documentation site
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.import_circles
	$(MAKE) site

soak: $(VENV)/.dev ## all tests with all their examples, the long runs (fuzzing, kill rounds), mutants
	V2X_SOAK=1 $(PYTEST) -m 'not benchmark' --timeout=0 -p no:xdist $(ARGS)
	$(MAKE) mutants ARGS=

mutants: $(VENV)/.dev ## mutation tests of what decides a power; ARGS='share limits' for some files
	$(BIN)/python -m tests.mutants $(ARGS)

bench: $(VENV)/.dev ## pytest-benchmark; the comparisons with peers are `v2x bench NAME`
	$(PYTEST) -m benchmark tests/bench $(ARGS)

bench-peers: $(VENV)/.dev ## install the foreign implementations that `v2x bench` measures beside
	$(BIN)/python -m tests.install_peers --bench

# The newest release precedes the pinned one on the path, for the tests that open a WebSocket.
test-newest-websockets: $(VENV)/.dev ## tests of WebSockets once more on the newest websockets (the embedded broker pins an older one)
	rm -rf .newest-websockets
	$(PIP) install --no-deps --target .newest-websockets "$$(sed -n 's/^ *"\(websockets[^"]*\)",$$/\1/p' pyproject.toml)"
	PYTHONPATH=$(CURDIR)/.newest-websockets $(PYTEST) -m 'not soak and not benchmark' $(ARGS) $$(grep -rlE --include='test_*.py' \
		'websocket|ocpp_sockets|serving\(' tests/protocols/ocpp tests/gateway/csms tests/gateway/web)

peers: $(VENV)/.dev ## install the foreign implementations that the tests use, into .peers
	$(BIN)/python -m tests.install_peers

docs: $(VENV)/.dev ## draw the documents that come from the code
	V2X_DRAW=1 $(PYTEST) tests/docs $(ARGS)

$(VENV)/.site: $(VENV)/.made constraints.txt
	$(PIP) install -c constraints.txt zensical
	@touch $@

site: $(VENV)/.site ## the documentation site in site/; a broken link or an absent page is an error
	$(BIN)/python -m tests.site_pages
	$(BIN)/zensical build --strict --clean

$(VENV)/.dist: $(VENV)/.made constraints.txt
	$(PIP) install -c constraints.txt hatchling
	@touch $@

dist: $(VENV)/.dist ## sdist and wheel in dist/
	rm -rf dist
	$(BIN)/python -m hatchling build

release-requirements: $(VENV)/.made constraints.txt pyproject.toml ## pin what a release installs, with the hash of every file
	$(PYTHON) -m venv .venv-pins
	.venv-pins/bin/python -m pip --disable-pip-version-check --quiet install uv
	.venv-pins/bin/uv pip compile pyproject.toml -c constraints.txt --extra all --universal --python-version 3.11 --quiet \
		--generate-hashes --no-emit-index-url --no-annotate --no-header -o release-requirements.txt

clean: ## remove every environment and cache
	rm -rf .venv .newest-websockets .venv-pins .peers .mutants .mypy_cache .ruff_cache .pytest_cache .hypothesis .cache dist build site
