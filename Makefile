# `make` prints the targets. Each does its own set-up, from a fresh clone on.
#   make test PYTHON=python3.12     the interpreter of a new .venv
#   make test ARGS="-k cutoff -x"   more options for pytest
#   make setup TORCH=torch          another build of torch
PYTHON ?= python3
TORCH ?= torch==2.13.0
VENV := .venv
BIN := $(VENV)/bin
SETUP := $(VENV)/.installed
ARGS ?=

export MPLBACKEND = Agg
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help demo setup fix check test slow docs bench bench-tio2 bench-mlearn bench-water bench-choices bench-md bench-committee bench-trajectories bench-trajectory-epochs bench-dynamics bench-study bench-rollouts bench-operators bench-operators-speed bench-operator-layers notebooks pyg clean

help: ## print this help
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(SETUP) ## train a small potential and ask it, on the CPU
	$(BIN)/python examples/demo.py

setup: $(SETUP) ## make .venv with the package and its tools (again when pyproject.toml changes)

$(SETUP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q "$(TORCH)"
	$(BIN)/pip install -q -e ".[dev]"
	touch $@

fix: $(SETUP) ## format, and repair what ruff can
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

check: $(SETUP) ## ruff, mypy and the import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

test: $(SETUP) ## the fast tests and the doctests, files side by side
	$(BIN)/python -m pytest -m "not slow" -n auto --maxprocesses 4 --dist loadfile $(ARGS)

slow: $(SETUP) ## the slow tests
	$(BIN)/python -m pytest -m slow $(ARGS)

docs: $(SETUP) ## the documentation, to docs/_build/html; warnings are errors
	$(BIN)/python -m sphinx -W --keep-going -b html -d docs/_build/doctrees docs docs/_build/html

bench: $(SETUP) ## measure the potentials
	$(BIN)/python benchmarks/potentials.py $(ARGS)

bench-tio2: $(SETUP) ## errors against time of each training method, on 7,815 structures of TiO2
	$(BIN)/python benchmarks/tio2.py $(ARGS)

bench-water: $(SETUP) ## each training method on the water of examples/data
	$(BIN)/python benchmarks/water.py $(ARGS)

bench-mlearn: $(SETUP) ## test errors on the mlearn sets beside published potentials
	$(BIN)/python benchmarks/mlearn.py $(ARGS)

bench-choices: $(SETUP) ## cutoffs, orders, networks, forces and members on water
	$(BIN)/python benchmarks/water_choices.py $(ARGS)

bench-md: $(SETUP) ## molecular dynamics: µs per atom and step, neighbour searches, drift of the energy
	$(BIN)/python benchmarks/md.py $(ARGS)

bench-committee: $(SETUP) ## error bars of a committee on TiO2: coverage, errors foreseen
	$(BIN)/python benchmarks/committee.py $(ARGS)

bench-trajectories: $(SETUP) ## errors of trajectory surrogates after equal processor time, and speed-up over SciPy
	$(BIN)/python benchmarks/trajectories.py $(ARGS)

bench-trajectory-epochs: $(SETUP) ## time of an epoch of each surrogate over its forward and backward passes
	$(BIN)/python benchmarks/trajectory_epochs.py $(ARGS)

bench-dynamics: $(SETUP) ## parameters of dynamics from public recordings: ARGS="--data FOLDER"
	$(BIN)/python benchmarks/dynamics.py $(ARGS)

bench-study: $(SETUP) ## time of four small tasks of a study on two slots, over one after the other
	$(BIN)/python benchmarks/study_slots.py $(ARGS)

bench-operators: $(SETUP) ## neural operators beside baselines: Burgers, Gray-Scott, random operators
	$(BIN)/python benchmarks/operators.py $(ARGS)

bench-operators-speed: $(SETUP) ## time of a training step of neural operators over a plain loop
	$(BIN)/python benchmarks/operators_speed.py $(ARGS)

bench-operator-layers: $(SETUP) ## time of a step of each network over its matrix products and transforms alone
	$(BIN)/python benchmarks/operator_layers.py $(ARGS)

bench-rollouts: $(SETUP) ## roll-outs of vehicles per second: machine code, torch, SciPy
	$(BIN)/python benchmarks/rollouts.py $(ARGS)

notebooks: $(SETUP) ## execute the notebooks and write them back: ARGS="03 07" for some
	$(BIN)/python notebooks/refresh.py $(ARGS)

pyg: $(SETUP) ## build the optional torch-scatter and torch-cluster from source into .venv
	$(BIN)/pip install -q ninja setuptools wheel
	@echo "compiling both, several minutes"
	PATH="$(CURDIR)/$(BIN):$$PATH"; export PATH; \
	pip wheel -q --no-build-isolation --no-deps -w build/wheels torch-scatter & scatter=$$!; \
	pip wheel -q --no-build-isolation --no-deps -w build/wheels torch-cluster && wait $$scatter
	$(BIN)/pip install -q build/wheels/torch_scatter-*.whl build/wheels/torch_cluster-*.whl

clean: ## remove what was made, .venv excepted
	rm -rf build dist docs/_build docs/api .mypy_cache .pytest_cache .ruff_cache .import_linter_cache demo-output
	find src tests docs -name __pycache__ -type d -prune -exec rm -rf {} +
