# `make demo` and `make test` need Python 3.11 or later with venv, and make. Everything else comes from
# `.ci/constraints.txt`, by hash, from whatever index pip is configured with. The file is complete, so nothing is to be
# resolved (pip before 23.3 would try newer releases for `pydantic[email]`, and fail); `pip check` finds what is missing.

PYTHON ?= python3
# Three, on two cores, too: much of what the fault tests take is waiting for processes and their clocks.
WORKERS ?= 3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PLUGINS := $(patsubst %/pyproject.toml,%,$(wildcard plugins/*/pyproject.toml))
PROJECTS := pyproject.toml $(addsuffix /pyproject.toml,$(PLUGINS))
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help install demo test quick faults planted evidence bench browser screenshots coverage format lint types imports docs package

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

install: $(STAMP) ## Create .venv with everything in it

$(STAMP): .ci/constraints.txt $(PROJECTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "scim-bridge needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) -V 2>/dev/null || echo missing)." \
	    "Name another: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@echo "Installing into $(VENV) (once) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --no-deps --require-hashes --requirement .ci/constraints.txt
	@$(PIP) install --no-deps --no-build-isolation --editable . $(addprefix --editable ,$(PLUGINS))
	@$(PIP) check
	@touch $@

demo: $(STAMP) ## Show an IdP provisioning HubSpot, with failures in the middle
	$(BIN)/scim-bridge demo

# Planted defects show that the instruments can fail: `make planted`, and a row of `make evidence`.
test: $(STAMP) ## Run all tests (ARGS="--ignore tests/faults": in a quarter of the time)
	$(BIN)/python -m pytest tests/faults tests plugins --numprocesses $(WORKERS) --dist worksteal \
	  --durations 15 --durations-min 1 --ignore tests/packaging --ignore tests/browser \
	  --ignore tests/faults/test_planted_defects.py $(ARGS)

quick: $(STAMP) ## Run the quick tests (PYTHON=python3.13 VENV=.venv-3.13: on another Python)
	$(BIN)/python -m pytest tests/unit tests/contract/store tests/http --numprocesses $(WORKERS) --dist worksteal $(ARGS)

faults: $(STAMP) ## Run the fault instruments alone: histories, kill -9, power cuts, disks, replicas, planted defects
	$(BIN)/python -m pytest tests/faults --numprocesses $(WORKERS) --dist worksteal $(ARGS)

planted: $(STAMP) ## Plant every known defect, or DEFECT=P5, and show which instrument finds it
	$(BIN)/python -m tests.faults.catalogue $(DEFECT)

evidence: $(STAMP) ## Run the fault instruments at full size (two hours; or ARGS="-k kill") and write docs/evidence.md
	SCIM_BRIDGE_EVIDENCE=docs/evidence.md SCIM_BRIDGE_HISTORIES=10000 SCIM_BRIDGE_KILLS=2000 \
	  SCIM_BRIDGE_SERVER_KILLS=50 SCIM_BRIDGE_IMAGES=5000 SCIM_BRIDGE_DISK_POINTS=3000 \
	  SCIM_BRIDGE_REPLICA_HISTORIES=300 SCIM_BRIDGE_RECREATIONS_EVERY=3 \
	  $(BIN)/python -m pytest tests/faults --verbose --numprocesses $(WORKERS) --dist worksteal $(ARGS)

bench: $(STAMP) ## Measure the bridge beside scim2-server, BASE=8256e3b and the floor (half an hour); write docs/benchmarks.md
	$(BIN)/python -m tests.benchmarks --document docs/benchmarks.md $(if $(BASE),--base $(BASE)) $(ARGS)

browser: $(STAMP) ## Drive the console in Debian's Chromium (.ci/chromium installs it)
	$(BIN)/python -m pytest tests/browser $(ARGS)

screenshots: $(STAMP) ## The same, and write the pictures of the documentation
	SCIM_BRIDGE_PICTURES=1 $(BIN)/python -m pytest tests/browser $(ARGS)

coverage: $(STAMP) ## Run the tests and show what they leave out
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest --numprocesses $(WORKERS) --ignore tests/packaging --ignore tests/faults \
	  --ignore tests/browser $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

format: $(STAMP) ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(STAMP) ## Check format and style
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(STAMP) ## Check types
	$(BIN)/mypy

imports: $(STAMP) ## Check that imports go downward only
	$(BIN)/lint-imports

docs: $(STAMP) ## Build the documentation's site in build/site (.ci/site installs what it takes)
	@.ci/site
	PYTHONPATH=.site/python $(BIN)/python -m sphinx -qWE --keep-going -c docs -d build/site-cache . build/site

package: $(STAMP) ## Build the packages and prove them in a fresh environment
	$(BIN)/python -m pytest tests/packaging
