# make mix      set up, gather the corpus, build mixes/128k.toml (another: make mix MIX=mixes/tiny.toml)
# make test     set up and pass the tests, in two processes (another number: make test WORKERS=4)
# make server   Prefect's server and a worker, in the foreground
# make deploy   the profile, the pool and the deployments
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MIX ?= mixes/128k.toml
ROOT ?= data/mixes
PYTHON ?= python3
WORKERS ?= 2
BIN := .venv/bin
export PYTHONNOUSERSITE := 1

.PHONY: mix test lint

mix: .venv/installed
	@case "$(MIX)" in mixes/128k*.toml|mixes/slimpajama-shares.toml) $(BIN)/longmix corpus ;; esac
	@case "$(MIX)" in mixes/128k*.toml) $(BIN)/longmix model ;; esac
	@$(BIN)/longmix build "$(MIX)" --root "$(ROOT)"

test: .venv/installed-dev
	@$(BIN)/longmix model
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup

lint: .venv/installed-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

# Made again when the project's own files change; the constraints are what the tests passed with.
.venv/installed: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing into .venv (once)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[model]"
	@touch $@

.venv/installed-dev: .venv/installed
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[dev,model]"
	@touch $@

-include flows/Makefile.inc
