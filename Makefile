# `make run` and `make test` do all of their own set-up; nothing else has to be typed before.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test check unit integration e2e bench soak clean

run: .make/run
	$(BIN)/onlooker demo

.make/venv: pyproject.toml
	@mkdir -p .make
	@echo "Setting up: Python packages (a minute or two, once)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Onlooker needs Python 3.11 or newer: make run PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --progress-bar on --quiet -e .
	@touch $@

.make/run: .make/venv
	@touch $@

clean:
	rm -rf $(VENV) .make
