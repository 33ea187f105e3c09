# The one door. `make drill` and `make test` do their own set-up on a machine that has Python 3.11+ and make.
.DELETE_ON_ERROR:
SHELL := /bin/sh
PYTHON ?= python3
UNITS ?= 582
REPORT ?= report
SEEDS ?= 10000
INPUTS ?= 100000
TIMES ?= 3
BIN := .venv/bin
PYTEST := $(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder
CHECK = $(MAKE) --no-print-directory check

.PHONY: setup drill engine policy test thorough tools fast check sim mutants chaos hostile format lock clean help
help:
	@echo 'make drill [UNITS=40] [REPORT=DIR]  lose a data centre in the practice estate and recover from it'
	@echo 'make test                           the checks and tests; installs what they need'
	@echo 'make thorough                       the same, with every place at which a real fault can strike'
	@echo 'make fast                           checks, unit and case tests; make check: only the checks'
	@echo 'make sim [SEEDS=10000]              plays that many histories of faults in a simulated world'
	@echo 'make mutants                        plants bugs in a copy of the code; each must be found'
	@echo 'make chaos [TIMES=3]                real faults on real processes; prints what was lost'
	@echo 'make hostile [INPUTS=100000]        input made to hurt, for every reader, shell and answer'
	@echo 'make engine                         gets the Pulumi engine; the last line says where it is'
	@echo 'make policy                         what the policy pack in infra/policy needs, in a virtualenv of its own'
	@echo 'make setup                          what pulih needs to run, in .venv; make lock: newer pinned versions'

setup: .venv/.installed

.venv/.installed: requirements.txt requirements.in pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'pulih needs Python 3.11 or newer; name one with make PYTHON=python3.12' >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { echo 'no virtualenv: on Debian, apt-get install python3-venv' >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.installed-dev: requirements-dev.txt .venv/.installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

.venv/.installed-engine: requirements-engine.txt .venv/.installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-engine.txt
	@touch $@

drill: setup
	@$(BIN)/pulih drill --units $(UNITS) --report-dir $(REPORT)

engine: .venv/.installed-engine
	@$(BIN)/python -m infra.engine

policy: .venv/policy/.installed
	@:

.venv/policy/.installed: infra/policy/requirements.txt .venv/.installed
	@$(PYTHON) -m venv .venv/policy
	@.venv/policy/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r infra/policy/requirements.txt
	@touch $@

check: .venv/.installed-dev
	@$(BIN)/ruff format --check --quiet . || { echo 'make format mends it' >&2; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/lint-imports --no-logo 2>&1 | tail -n 15 | grep -E 'BROKEN|kept, 0 broken' | tee /dev/stderr | grep -q ' 0 broken'
	@$(BIN)/pyright --warnings

format: .venv/.installed-dev
	@$(BIN)/ruff check --quiet --fix . ; $(BIN)/ruff format --quiet .

fast: check
	@$(PYTEST) tests/unit tests/cases

hostile: .venv/.installed-dev
	@$(BIN)/python -m tests.hostile --inputs $(INPUTS)

test thorough: tools
	@$(CHECK) >.venv/check.txt 2>&1 & checks=$$!; \
		$(PYTEST) $(if $(filter thorough,$@),-m '') tests; tests=$$?; \
		wait $$checks; checks=$$?; cat .venv/check.txt; exit $$((tests ? tests : checks))

tools: .venv/.installed-dev
	@sh tests/packages.sh
	@$(MAKE) --no-print-directory engine >/dev/null || echo 'without the engine: its tests are skipped, and fail in CI' >&2
	@$(MAKE) --no-print-directory policy || echo 'without the policy pack: its tests are skipped, and fail in CI' >&2

docs/cli.md: .venv/.installed-dev recovery/cli/*.py
	@$(BIN)/python -m typer recovery.cli.main utils docs --name pulih --title 'pulih: every command' --output $@

sim: .venv/.installed-dev
	@$(BIN)/python -m tests.sim --seeds $(SEEDS)

mutants: .venv/.installed-dev
	@$(BIN)/python -m tests.mutants

chaos: .venv/.installed-dev
	@sh tests/packages.sh
	@$(MAKE) --no-print-directory engine >/dev/null || echo 'without the engine: its faults are not met' >&2
	@$(BIN)/python -m tests.chaos --times $(TIMES)

lock:
	@versions=--upgrade; for file in requirements-dev requirements-engine requirements; do \
		uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
			$$versions --custom-compile-command 'make lock' $$file.in --output-file $$file.txt || exit; \
		versions='--constraint requirements-dev.txt'; \
	done
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --upgrade \
		--constraint requirements.txt --custom-compile-command 'make lock' infra/policy/requirements.in \
		--output-file infra/policy/requirements.txt

clean:
	@rm -rf .venv report
