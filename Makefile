# Everything a person or a CI machine does with this project. `make` or `make help` lists it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
IMAGE ?= ambidex
TAG ?= local
BASE_CPU ?= $(BASE)
BASE_GPU ?= $(BASE)
PARALLEL := --numprocesses auto --maxprocesses 4

# dvc runs `ambidex` and `python` by name: they must be the ones of the environment.
export PATH := $(abspath $(BIN)):$(PATH)
export DVC_NO_ANALYTICS := 1

.DEFAULT_GOAL := help
.PHONY: help setup repro test test-all images image-cpu image-gpu test-images lint format bench bench-scale mutations docs compile submit remote doctor constraints clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## install everything into .venv (again only when pyproject.toml or constraints.txt changed)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; ok = (3, 11) <= v < (3, 14); \
	  sys.exit(None if ok else f"make: Python 3.11 to 3.13 is needed, {sys.executable} is {v[0]}.{v[1]}; run make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

repro: $(STAMP) ## run the pipeline (only what changed), print the table and the path of the report
	ambidex warm dvc repro
	@ambidex compare --show

# several workers on few cores: more threads in each of them, and in what they start, only fight
test test-all mutations: export OMP_NUM_THREADS := 1

# a file's tests share what its fixtures make: one worker takes them all
test: $(STAMP) ## run the fast tests
	python -m pytest $(PARALLEL) --dist loadscope

test-all: $(STAMP) ## run all tests, the slow ones too
	python -m pytest $(PARALLEL) -m 'not images'

images: image-cpu image-gpu ## build both images with docker, podman or buildah, see docs/containers.md

image-cpu: ## build the cpu image alone: make image-cpu [IMAGE=name] [TAG=local] [BASE=image] [PIP_CONF=file]
	IMAGE=$(IMAGE):$(TAG) BASE=$(BASE_CPU) docker/build.sh cpu

image-gpu: ## build the gpu image alone, the same way
	IMAGE=$(IMAGE):$(TAG)-gpu BASE=$(BASE_GPU) docker/build.sh gpu

test-images: $(STAMP) ## build the cpu image here and run stages and pipelines in it (minutes; root on Debian, or BASE)
	docker/test.sh

lint: $(STAMP) ## check style and types
	ruff check .
	ruff format --check .
	mypy

format: $(STAMP) ## put the code into the agreed format
	ruff check --fix .
	ruff format .

bench: $(STAMP) ## measure speed against the limits and print a table of ratios
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench]'
	python -m benchmarks

bench-scale: $(STAMP) ## measure what grows with the number of classes and of models; minutes
	python -m benchmarks --only scale

mutations: $(STAMP) ## seed deliberate faults and demand that a test fails for each: make mutations [METHOD=name]
	PYTHONPATH=tests python -m mutations.run $(METHOD)

docs: $(STAMP) ## write the generated pages again
	ambidex params > docs/parameters.md
	ambidex methods --page > docs/methods.md
	PYTHONPATH=tests python -m helpers.house

compile: $(STAMP) ## write what is made from the code: the stages in dvc.yaml, the pipelines in pipelines/compiled/
	@python -m pipelines.dvc_yaml
	@python -m pipelines.compile

submit: $(STAMP) ## run a compiled pipeline on Kubeflow and wait: make submit PIPELINE=balanced_learning [ARGS='--cache off']
	@python -m pipelines.client run $(or $(PIPELINE),balanced_learning) --wait $(ARGS)

remote: $(STAMP) ## keep data and models on S3: make remote URL=s3://bucket/prefix [ENDPOINT=http://...] [REGION=...]
	@python -m components.data_versioning.config '$(URL)' --endpoint '$(ENDPOINT)' --region '$(REGION)'

doctor: $(STAMP) ## check this machine and, where there is one, the remote on S3
	@python -m components.data_versioning.doctor

constraints: ## resolve all versions afresh into constraints.txt (seconds; asks the package registry)
	$(PYTHON) -m venv $(VENV)/resolve
	$(VENV)/resolve/bin/python -m pip install --quiet --disable-pip-version-check uv
	sed -n '/^#/p' constraints.txt > constraints.txt.new
	$(VENV)/resolve/bin/uv pip compile --quiet --universal --fork-strategy fewest --python-version 3.11 --no-header \
	  --no-annotate --extra dev --extra bench --extra mlflow pyproject.toml \
	  | grep -vE '^(nvidia-|cuda-|triton|setuptools=|pip=)' >> constraints.txt.new
	mv constraints.txt.new constraints.txt
	rm -rf $(VENV)/resolve

clean: ## remove outputs and caches; .venv and the dvc cache stay; saved models only with SAVED=delete
	@found=$$(find runs/reports -mindepth 2 -maxdepth 2 -name model 2>/dev/null); \
	if [ -n "$$found" ] && [ '$(SAVED)' != delete ]; then \
	  echo "make clean: saved models (evaluate --save) stand in runs/: $$(echo $$found | cut -c 1-200); move them away, or make clean SAVED=delete" >&2; exit 1; fi
	rm -rf runs build dist src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
