# `make demo` and `make test` do everything on a fresh machine, the virtual environment included.
# TORCH: extra pip arguments that choose a torch build, for example TORCH="--index-url https://.../whl/cpu".
PYTHON ?= python3
TORCH ?=
VENV := .venv
BIN := $(VENV)/bin
PHOTOS ?=
RUN := demo

.PHONY: help install demo servers test deploy-test lint types imports bench

help:            ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 12

$(BIN)/.installed: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || $(PYTHON) -m virtualenv $(VENV) || { \
	  echo "no virtual environment can be made: install python3-venv (apt install python3-venv)"; exit 1; }
	$(BIN)/python -m pip install -q --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install -q $(TORCH) torch torchvision
	$(BIN)/python -m pip install -q -e '.[render]' --group dev
	@touch $@

install: $(BIN)/.installed  ## make .venv and install everything into it

demo: install    ## index PHOTOS (or rendered photos), search three times, draw the hits; all in demo/
	PHOTOS='$(PHOTOS)' QUERIES='$(QUERIES)' $(BIN)/python scripts/demo.py $(RUN)

servers: install ## real servers for the tests; what cannot be had here is named, and its tests are skipped
	@for server in milvus.py minio rclone; do PATH="$(CURDIR)/$(BIN):$$PATH" scripts/servers/$$server install \
	  || echo "$$server cannot be installed here; tests that need it are skipped"; done

test: lint types imports servers  ## lint, types, import rules, all tests but those of deployments on Ray
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -m 'not deployment' --numprocesses 2 --dist loadfile \
	  --no-loadscope-reorder
	$(BIN)/python -m pytest -q -m deployment tests/integration

deploy-test: servers  ## whole deployments, on Ray too, and jobs whose parts are killed; ten minutes
	$(BIN)/python -m pytest -q -m deployment

lint: install    ## ruff
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: install   ## pyright strict
	$(BIN)/pyright

imports: install ## who may import whom
	$(BIN)/lint-imports

bench: install   ## speed of search and of the renderer; exits non-zero past a threshold
	$(BIN)/python load_tests/search_latency.py
	$(BIN)/python load_tests/render_speed.py
	@echo "photos needed: $(BIN)/python load_tests/index_throughput.py PHOTOS"
