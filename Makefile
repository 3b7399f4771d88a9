# rather: every target works on a machine with Python 3.11+, git and make alone.
PYTHON ?= python3
OUT ?= runs/demo
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

.PHONY: demo test fuzz test-slow lint format docs site clean help

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "rather needs Python 3.11 or newer; say make PYTHON=python3.12"; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.train: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) --editable '.[train]'
	@touch $@

$(VENV)/.test: $(VENV)/.train
	$(PIP) --editable '.[test]'
	@touch $@

$(VENV)/.docs: $(VENV)/.train
	$(PIP) --editable '.[docs]'
	@touch $@

$(VENV)/.lint: $(VENV)/.test
	$(PIP) --editable '.[lint]'
	@touch $@

demo: $(VENV)/.train ## teach a real model a new identity and show that it did (OUT=dir, default runs/demo)
	@$(BIN)/rather demo --out "$(OUT)"

test: $(VENV)/.test ## all tests but the slow ones
	$(BIN)/python -m pytest -m 'not slow' --numprocesses auto --maxprocesses 4

fuzz: $(VENV)/.test ## the property tests with ten times the examples, new ones every time
	$(BIN)/python -m pytest -m 'hypothesis and not slow' --hypothesis-profile fuzz --numprocesses auto --maxprocesses 4

test-slow: $(VENV)/.test ## the tests that need minutes
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/.lint ## style, types, and that imports point down
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

format: $(VENV)/.lint ## rewrite the code in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.train ## write the pages that are generated from the code
	$(BIN)/python -m rather.docs

site: $(VENV)/.docs ## build the docs site into site/; open site/index.html
	$(BIN)/zensical build --strict --clean

clean: ## remove what make made; runs/ and the model cache stay
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis .cache build dist site
