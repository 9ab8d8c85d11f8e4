# Every target sets up what it needs first (scripts/setup.sh); on a ready machine that costs a few milliseconds.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup tools dev demo docs test fuzz lint format molecule bench traps faults rolls boot kubernetes hardware sanity infra-repo audit-deps clean

VENV := .venv/bin
# Arguments for pytest or the demo: make test ARGS='-k mig', make demo ARGS='--nodes 2'
ARGS ?=
ALL ?=
WORKERS ?= 2
export PATH := $(CURDIR)/.venv/bin:$(PATH):/usr/sbin:/sbin

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:
	@scripts/setup.sh

# Slurm and the like, for the tests that run them for real.
tools:
	@scripts/test-tools.sh

dev: setup ## a virtual environment in .venv with the package and its tools, ready to work in
	@echo "ready: source .venv/bin/activate"

demo: setup ## the voice pipeline on simulated GPUs: three cards half empty, then two, one free
	@$(VENV)/python -m demo $(ARGS)

# The long tests too: make test ALL=1
test: setup tools ## the tests, on simulated nodes behind real OpenSSH; ALL=1: the long ones too
	@$(VENV)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(if $(ALL),--all) $(ARGS)

docs: setup ## the site, with the reference made from the code: build/site/index.html
	@$(VENV)/python -m docs._site

# How long: make fuzz MINUTES=60
MINUTES ?= 10
fuzz: setup ## other inputs each time, for MINUTES: layout files, requests, replies of hostile nodes
	@$(VENV)/python tests/fuzz/rounds.py $(MINUTES) $(ARGS)

lint: setup ## ruff, mypy --strict, ansible-lint (production)
	@$(VENV)/ruff check
	@$(VENV)/ruff format --check
	@$(VENV)/mypy
	@$(VENV)/ansible-lint --offline -q

format: setup ## put the code in order
	@$(VENV)/ruff check --fix
	@$(VENV)/ruff format

molecule: setup ## the roles on simulated nodes and schedulers: all scenarios that can run here, or ARGS='default slurm'
	@scripts/molecule.sh $(ARGS)

bench: setup ## figures side by side into docs/performance.md (15 minutes; ARGS='--quick': 2, on the screen)
	@$(VENV)/python benchmarks/performance.py $(ARGS)

traps: setup ## scenarios in which other tools destroy or lie: what migprov does, counted, and what is ideal
	@$(VENV)/python benchmarks/traps.py

faults: setup ## the node program killed, failed and hung at every write it makes, on three products (minutes)
	@$(VENV)/python benchmarks/faults.py $(ARGS)

rolls: setup tools ## rolls of ten nodes: every fault at every position, the controller killed at every moment (hours)
	@$(VENV)/python benchmarks/rolls.py $(ARGS)

hardware: setup ## the tests on this machine's real GPUs, whose MIG mode is off and stays off (docs/hardware.md)
	@MIGPROV_HARDWARE=1 $(VENV)/python -m pytest tests/hardware -s $(ARGS)

boot: setup ## the restore at boot under a real systemd (root; the first time makes a root file system, 90 s)
	@scripts/boot-root.sh >/dev/null
	@$(VENV)/python -m pytest --all tests/boot $(ARGS)

kubernetes: setup ## the tests against a real Kubernetes API server (the first time builds one, 6 minutes and more)
	@scripts/kubernetes.sh >/dev/null
	@$(VENV)/python -m pytest --all tests/kubernetes $(ARGS)

sanity: setup ## ansible-test sanity; wheel and sdist on each Python here, and with the oldest dependencies (PyPI, minutes)
	@scripts/sanity.sh
	@$(VENV)/python tests/repo/pythons.py $(ARGS)

infra-repo: setup ## the template of docs/infra-repo with the wheel alone: every step of its CI workflow (a minute)
	@$(VENV)/python -m pytest tests/repo/infra_repo.py $(ARGS)

audit-deps: setup ## known vulnerabilities in the dependencies, by pip-audit (PyPI)
	@scripts/audit-deps.sh

clean: ## remove .venv and everything that was built or cached in the checkout
	@rm -rf .venv .dev .ansible .demo dist build .setup.lock .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
