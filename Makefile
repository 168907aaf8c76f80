# `make` lists what can be done. Needs GNU make 3.81 or later and Python 3.11 or later, nothing else.

PYTHON ?= python3
ADDRESS ?= 127.0.0.1:8000

BIN := .venv/bin
SITE := .venv/.site
STAMP := .venv/.set-up
LOCK := -m piptools compile --quiet --upgrade --allow-unsafe --strip-extras \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host

# requirements.in keeps MkDocs below 2, of which Material warns at length.
export NO_MKDOCS_2_WARNING := 1

.DEFAULT_GOAL := help
.PHONY: help setup serve build sheet test test-all outputs portable cards families zoo lint lock bench quill findings clean clean-cache

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

# Modules are compiled when they are first imported: to compile all of them takes longer than to install them.
INSTALL := $(BIN)/python -m pip install --no-compile
unexport PYTHONDONTWRITEBYTECODE

# uv, where it is installed, takes less time. It does not read pip's variables.
ifneq ($(shell command -v uv 2>/dev/null),)
INSTALL := uv pip install --python $(BIN)/python --index-strategy unsafe-best-match \
	$(addprefix --extra-index-url ,$(PIP_EXTRA_INDEX_URL)) $(addprefix --find-links ,$(PIP_FIND_LINKS))
endif

setup: $(STAMP) ## Make the virtual environment .venv with all pinned packages (the others do this first)

# What a build needs, which is all that `serve` and `build` wait for.
$(SITE): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or later is needed; \
	$(PYTHON) is " + sys.version.split()[0] + ". Name another one: make PYTHON=python3.12 setup")'
	$(PYTHON) -m venv .venv
	@echo "About 0.9 GB to download and 2.3 GB on disk: a minute or two."
	@echo "On Linux it is some gigabytes more, unless PyTorch's CPU build is asked for: see README.md."
	$(INSTALL) --requirement requirements.txt
	$(INSTALL) --quiet --no-deps --editable .
	@touch $(SITE)

# What the tests and checks need on top.
$(STAMP): $(SITE) requirements-dev.txt
	@echo "About 0.4 GB more to download and 0.9 GB on disk: a minute."
	$(INSTALL) --requirement requirements-dev.txt
	@touch $(STAMP)

serve: $(SITE) ## Serve the site and reload the browser when a file changes
	@echo "The site is soon at http://$(ADDRESS)/ and its pages run while you read (Ctrl+C stops it)."
	$(BIN)/python -m mkdocs serve --livereload --dev-addr $(ADDRESS)

build: $(SITE) ## Build the site into site/, with every warning an error
	$(BIN)/python -m mkdocs build --strict

sheet: $(STAMP) ## Print the study cards of the built site to a PDF file, by Chromium or Chrome
	$(BIN)/python -m handbook sheet

# Each process takes the next tests from the one that has most left, so that none is idle at the end.
TESTS := -m pytest --numprocesses auto --dist worksteal

test: $(STAMP) ## Run the tests, on all cores
	$(BIN)/python -m handbook run
	$(BIN)/python $(TESTS)

test-all: $(STAMP) ## Run the slow tests too
	$(BIN)/python -m handbook run
	$(BIN)/python $(TESTS) -m ""

outputs: $(STAMP) ## Renew what tests/expected/ records of the pages' outputs
	$(BIN)/python -m handbook outputs

cards: $(STAMP) ## Give new study cards their ids, and check all of them
	$(BIN)/python -m handbook cards

families: $(STAMP) ## Take the constructors of the installed transformers, and compare them with what it builds (half an hour)
	$(BIN)/python -m handbook families

zoo: $(STAMP) ## Measure the real optimizers again, and renew the rows that the page on them shows
	$(BIN)/python -m handbook zoo

portable: $(STAMP) ## Run the pages under several instruction sets and compare what they print (about 20 minutes)
	$(BIN)/python -m handbook portable

lint: $(STAMP) ## Check style, types and which module imports which
	$(BIN)/python -m ruff check
	$(BIN)/python -m ruff format --check
	$(BIN)/python -m mypy
	$(BIN)/lint-imports --no-logo

# A machine with PyTorch's CPU build would pin that; without the suffix the pin fits every platform. What macOS alone needs is
# dropped from pins that are made elsewhere, so its line is taken as it stands.
lock: $(STAMP) ## Renew the pins of requirements*.txt from requirements*.in
	@for name in requirements requirements-dev; do \
		CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/python $(LOCK) --output-file $$name.txt $$name.in && \
		sed 's/^\(torch==[0-9.]*\)+cpu/\1/' $$name.txt > $$name.tmp && mv $$name.tmp $$name.txt || exit 1; \
	done
	sed -n '/== "darwin"/s/ *#.*//p' requirements.in >> requirements.txt

bench: $(STAMP) ## Run the benchmarks (OTHERS=--others measures other tools too, and installs them under .cache/)
	@for program in $(filter-out bench/pages.py bench/tests.py bench/checks.py bench/gpu_memory.py,$(wildcard bench/*.py)); do \
		echo "$$program"; $(BIN)/python "$$program" || exit 1; \
	done
	$(BIN)/python bench/pages.py $(OTHERS)
	EVERY_FUNCTION=1 $(BIN)/python -m pytest -s tests/test_never_stale.py

quill: $(SITE) ## Train the demo model again from its text, in half an hour; interrupted, it goes on where it was
	$(BIN)/python -m quill

findings: ## See whether other tools still do what findings/ says, each installed anew
	@for script in findings/*.sh; do echo "$$script"; "$$script" || exit 1; done

clean: ## Remove what was built, except the virtual environment and the outputs of pages
	rm -rf site .hypothesis .mypy_cache .pytest_cache .ruff_cache

clean-cache: ## Forget the outputs of pages, so that the next build runs them all
	rm -rf .cache
