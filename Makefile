# make mix      install, gather the corpus, build mixes/128k.toml (another recipe: make mix MIX=mixes/tiny.toml)
# make sft      install, gather the corpus, build samples from it and choose those of mixes/sft-64k.toml, into data/sft
# make test     install and run the tests in two processes (another number: make test WORKERS=8)
# make lint     install, check style and types
# make server   run Prefect's server and a worker in the foreground
# make deploy   create the Prefect profile, the work pool and the deployments (make undeploy removes them)
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MIX ?= mixes/128k.toml
ROOT ?= data/mixes
PYTHON ?= python3
WORKERS ?= 2
BIN := .venv/bin
export PYTHONNOUSERSITE := 1

.PHONY: mix sft test lint

mix: .venv/installed
	@case "$(MIX)" in mixes/128k*.toml|mixes/slimpajama-shares.toml) $(BIN)/longmix corpus ;; esac
	@case "$(MIX)" in mixes/128k*.toml) $(BIN)/longmix model ;; esac
	@$(BIN)/longmix build "$(MIX)" --root "$(ROOT)"

sft: .venv/installed
	@$(BIN)/longmix corpus
	@$(BIN)/longmix model
	@$(BIN)/longmix demonstration
	@$(BIN)/longmix build mixes/sft-64k.toml --root data/sft

test: .venv/installed-dev
	@$(BIN)/longmix model
	@$(BIN)/longmix model --encoder
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

lint: .venv/installed-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

# Runs again when pyproject.toml or constraints.txt changes.
.venv/installed: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing into .venv (once)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[model]"
	@touch $@

.venv/installed-dev: .venv/installed
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[dev,model]"
	@touch $@

-include flows/Makefile.inc
