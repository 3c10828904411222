# One verb a line; `make help` lists them. Every verb works from a fresh clone: it makes .venv and
# installs the hash-locked versions first. Needed: Python 3.11 to 3.13 with venv, and make.
SHELL  := /bin/bash
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK = 1
# Where it is set every process compiles all its libraries anew: 4 s of a collector's 7.
unexport PYTHONDONTWRITEBYTECODE

# What `make oracle` collects; oracle/training/shipped.py reads it.
COLLECTIONS := $(patsubst %,data/%.csv.gz,$(foreach i,1 2 3 4 5 6,pretraining-$(i)) \
               $(foreach i,1 2 3,searches-$(i)) calibrate calibrate-random \
               calibrate-searches test broad choose)

.DEFAULT_GOAL := help
.PHONY: help serve test lint format bench fuzz fault soak scale docs site demo e2e libraries oracle quality lock build clean

help:  ## list the verbs
	@sed -n 's/^\([a-z0-9]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

serve: $(VENV)/serve  ## serve the API and the live page on http://127.0.0.1:8000
	$(BIN)/oracle serve $(ARGS)

test: $(VENV)/dev  ## run the tests that CI runs
	$(BIN)/python -m pytest -n logical --dist loadgroup $(ARGS)

lint: $(VENV)/dev  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/dev  ## rewrite the code in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/dev  ## print the speed figures; BENCH="latency service" for some of them
	@for name in $(BENCH); do echo "== $$name"; $(BIN)/python -m bench.speed.$$name $(ARGS) || exit 1; done

# The rest of bench/ makes pages of docs/ by hours of runs.
BENCH ?= collect forecast growth hook latency metrics peers ray service short_runs train

fuzz: $(VENV)/dev  ## the long form of the fuzzing tests
	$(BIN)/python -m tests.fuzz $(ARGS)

fault: $(VENV)/dev  ## the long form of the fault tests
	$(BIN)/python -m tests.fault $(ARGS)

soak: $(VENV)/dev  ## the long form of the load tests
	$(BIN)/python -m tests.soak $(ARGS)

scale: $(VENV)/dev  ## the checks of size and of many machines; ARGS=--long for large ones
	$(BIN)/python -m tests.scale $(ARGS)

libraries: $(VENV)/libraries  ## train_map and measure on the real SOM libraries
	$(BIN)/python -m pytest tests/libraries tests/e2e/docs/test_kohonen.py $(ARGS)

e2e: $(VENV)/dev  ## the live page in a real browser, the README's blocks, a real server
	$(BIN)/python -m pytest tests/e2e $(ARGS)

demo: $(VENV)/demo  ## a real search over MiniSom, live on http://127.0.0.1:8000
	$(BIN)/python examples/demo.py $(ARGS)

oracle: $(VENV)/dev $(COLLECTIONS)  ## from a bare machine to the shipped oracles: collect, train, calibrate, publish
	time $(BIN)/oracle train --preset shipped --resume $(ARGS)
	time $(BIN)/python -m bench.quality

quality: $(VENV)/dev  ## write docs/quality.md anew from the shipped oracle
	$(BIN)/python -m bench.quality $(ARGS)

sequences: $(VENV)/dev  ## the long form of the workbench: write the results of docs/sequences.md anew
	$(BIN)/python -m bench.sequences $(ARGS)

site: $(VENV)/dev  ## docs/ as a site with search and a reference, in build/site/VERSION
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

docs: $(VENV)/dev  ## write the generated parts of docs/ anew
	$(BIN)/python -m docs.generate

build: $(VENV)/dev  ## wheel and sdist into dist/, checked as the index would
	rm -rf dist
	$(BIN)/uv build --no-build-isolation --python $(BIN)/python --out-dir dist
	$(BIN)/twine check --strict dist/*

lock: $(VENV)/build  ## resolve the newest versions that pyproject.toml allows
	$(BIN)/uv pip compile $(LOCK) --group build -o locks/build.txt
	$(BIN)/uv pip compile $(LOCK) pyproject.toml --extra serve -c locks/build.txt -o locks/serve.txt
	$(BIN)/uv pip compile $(LOCK) pyproject.toml --extra dev -c locks/build.txt -o locks/dev.txt
	$(BIN)/uv pip compile $(LOCK) pyproject.toml --extra serve --group demo -c locks/dev.txt -o locks/demo.txt

LOCK := --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header \
        --no-emit-index-url --no-emit-find-links

clean:  ## remove what the verbs made, data and models excepted
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

# --- what the shipped oracles are made from; each goes on where it was interrupted ---------------

data/pretraining-%.csv.gz: | $(VENV)/dev
	time $(BIN)/oracle collect run --preset pretraining --runs 30000 --seed 10$* --out $@

data/searches-%.csv.gz: | $(VENV)/dev
	time $(BIN)/oracle collect run --preset searches --runs 30000 --seed 20$* --out $@

data/calibrate-random.csv.gz: | $(VENV)/dev
	time $(BIN)/oracle collect run --preset pretraining --runs 1500 --seed 7 --out $@

data/calibrate-searches.csv.gz: | $(VENV)/dev
	time $(BIN)/oracle collect run --preset searches --runs 1500 --seed 9 --out $@

data/calibrate.csv.gz data/test.csv.gz data/broad.csv.gz: data/%.csv.gz: | $(VENV)/dev
	time $(BIN)/oracle collect run --preset $* --seed 0 --out $@

data/choose.csv.gz: | $(VENV)/dev
	time $(BIN)/oracle collect run --preset choose --runs 6750 --seed 0 --out $@

# --- the environment: one stamp a lock file -------------------------------------------------------

$(VENV)/build: locks/build.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "make: Python 3.11 to 3.13 is needed, but '$(PYTHON)' is $$($(PYTHON) -V 2>&1)." \
	         "Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --require-hashes -r $<
	touch $@

$(VENV)/serve: locks/serve.txt pyproject.toml | $(VENV)/build
	$(call install,--require-hashes -r $<)
	$(call install,--no-deps --editable .)
	touch $@

$(VENV)/demo: locks/demo.txt pyproject.toml | $(VENV)/build
	$(call install,--require-hashes -r $<)
	$(call install,--no-deps --editable .)
	touch $@ $(VENV)/serve

$(VENV)/dev: locks/dev.txt pyproject.toml | $(VENV)/build
	$(call install,--require-hashes -r $<)
	$(call install,--no-deps --editable .)
	touch $@ $(VENV)/demo $(VENV)/serve

# Not locked: they are no part of the project, and each is taken as its users get it.
$(VENV)/libraries: tests/libraries/requirements.txt .ci/somoclu.sh | $(VENV)/dev
	$(call install,-r $<)
	.ci/somoclu.sh $(BIN)/python
	touch $@

# uv is some six times faster than pip but reads no pip.conf: where only pip knows the index, pip does it.
install = $(BIN)/uv pip install --quiet --python $(BIN)/python --no-build-isolation $(1) \
          || $(BIN)/python -m pip install --quiet --no-build-isolation $(1)
