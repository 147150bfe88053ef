# `make demo` runs the main job, `make test` passes the tests; each does its own set-up in .venv.
# Needs Python 3.11+ and make.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready

.PHONY: demo test lint unit runs cluster gpu generate requirements testbed setup clean

demo: $(READY)
	$(BIN)/trainjobs run manifests/examples/mnist/trainjob.yaml --fresh

test: lint unit
	@echo "Runs on this machine, and a cluster's, side by side; each tells what it found at its end."
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target runs cluster

runs: $(READY)
	$(BIN)/python -m pytest tests/processes tests/adapters tests/ray
	TRAINJOBS_GPU_TESTS=cpu $(BIN)/python -m pytest tests/gpu -k "not ray"

cluster: $(READY)
	$(BIN)/python -m pytest tests/cluster

unit: $(READY)
	$(BIN)/python -m pytest tests/unit --numprocesses=auto

gpu: $(READY)  # what only GPUs can show: CUDA, NCCL, mixed precision; on a machine that has some
	$(BIN)/python -m pytest tests/gpu

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

OUT := .
CHART := charts/trainjobs

generate: $(READY)  # CRDs, pages and pictures from the code, the plain installation from the chart; tests see when they are old
	@mkdir -p $(OUT)/docs $(OUT)/manifests/crds $(OUT)/$(CHART)/files/crds
	$(BIN)/python -m trainjobs.api.crd.reference > $(OUT)/docs/reference.md
	$(BIN)/python -m trainjobs.cli.reference > $(OUT)/docs/commands.md
	for kind in trainjobs trainsweeps; do \
	  $(BIN)/python -m trainjobs.api.crd.definition $$kind > $(OUT)/manifests/crds/$$kind.trainjobs.dev.yaml || exit 1; done
	cp $(OUT)/manifests/crds/* $(OUT)/$(CHART)/files/crds/
	{ cat manifests/namespace.yaml; \
	$(BIN)/python tests/cluster helm template trainjobs $(CHART) --namespace trainjobs-system --skip-tests; \
	} > $(OUT)/manifests/install.yaml
	$(BIN)/python tests/support/criterion_plots.py $(OUT)/docs

HASHED := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --constraint constraints.txt

requirements: $(READY)  # what the images install: the pinned packages with their hashes, which the package index tells
	$(HASHED) --extra operator pyproject.toml --output-file operator/requirements.txt
	$(HASHED) --extra train --extra cluster --extra examples pyproject.toml --output-file trainjobs/requirements.txt
	sed -n 's/^requires = \["\(.*\)"\]/\1/p' pyproject.toml | $(HASHED) - --output-file operator/build-requirements.txt

testbed: $(READY)  # a Kubernetes cluster on this machine and a shell in it; needs root, and Go for the first time
	$(BIN)/python tests/cluster shell

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name one with PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt uv
	VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --constraint constraints.txt --compile-bytecode --editable '.[train,sweep,operator,examples,dev]'
	@touch $@

clean:
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
