# make run     sets everything up and starts the arbitrator: data in ./data, port 5403, stop it with Ctrl-C
# make test    sets everything up and runs all tests; the ones with real Corosync nodes need root
# make check   the fast tests
# make fuzz    bad input, at length: make fuzz SECONDS=600
# make lockstep  random clusters, side by side with the stock server, at length: make lockstep SECONDS=600
# make bench   speed and memory, side by side with the stock server
# make bench-handover  faults on real Corosync nodes, side by side with the stock server; needs root: make bench-handover RUNS=5
# make dist    a wheel and a source archive, in dist/, as twine wants them
# make deb     a Debian package, in dist/: apt install ./dist/thirdvote_*_all.deb
# make lock    writes requirements/*.txt anew
# make clean   takes away what all of these made, but for the data

VENV ?= .venv
BIN := $(VENV)/bin
DATA ?= data
PORT ?= 5403
SECONDS ?= 600
RUNS ?= 5
PYTEST_ARGS ?=
export VENV PYTHON

FAST := tests/style tests/scripts tests/unit tests/properties tests/vectors tests/scenarios tests/transcripts

.PHONY: run test check static fuzz lockstep bench bench-handover deb dist lock clean setup-run setup-dev

run: setup-run
	@echo "in another terminal: THIRDVOTE_DATA='$(DATA)' $(BIN)/thirdvote demo (or status, clusters, watch)"
	@exec $(BIN)/thirdvote serve --data '$(DATA)' --listen '$(PORT)' $(ARGS)

# Two more than there are processors: what takes long in them is waiting for real nodes.
test: setup-dev static
	@scripts/test-programs
	$(BIN)/pytest -n $$(($$(nproc) + 2)) --dist loadfile $(PYTEST_ARGS)

check: setup-dev static
	$(BIN)/pytest -n auto --dist loadfile $(PYTEST_ARGS) $(FAST)

static: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fuzz: setup-dev
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS)

lockstep: setup-dev
	$(BIN)/python -m tests.lockstep --seconds $(SECONDS)

bench: setup-dev
	@scripts/test-programs
	$(BIN)/python -m bench

bench-handover: setup-dev
	@scripts/test-programs
	$(BIN)/python -m bench.handover --runs $(RUNS)

dist:
	@scripts/dist

deb:
	@scripts/deb

lock: setup-dev
	scripts/lock

setup-run:
	@scripts/setup run

setup-dev:
	@scripts/setup dev

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
