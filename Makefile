# Tapewatch. `make help` says what there is.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Installs exactly the lock files, from wheels: pip resolves and builds nothing, so later releases change nothing.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-user --no-deps --no-compile --require-hashes --only-binary :all:
# pip compiles Python files one after the other; this uses all cores, and leaves out the packages'
# own tests. What tests and checks need, Python compiles as it is used. One of those packages has
# files that are no Python; an installation beside it goes on.
COMPILE := $(BIN)/python -m compileall -qq -j 0 -x '/tests?/' $(VENV)/lib || true
WHOLE := $(BIN)/python -m pip check --disable-pip-version-check >$(VENV)/check.txt || { cat $(VENV)/check.txt; \
  echo "$(VENV) does not hold what the locks name: rm -r $(VENV), then try again."; exit 1; }
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
        --no-emit-index-url --no-emit-find-links
PYTHONS := 3.11 3.12 3.13 3.14
# Tests run in three processes, because many wait for others. One that hangs shows where, and fails.
AT_ONCE := --numprocesses 3 --dist loadscope --no-loadscope-reorder \
           -o faulthandler_timeout=600 -o faulthandler_exit_on_timeout=true
# Where Linux offers it, the service stops when make is killed.
TIED := $(shell command -v setpriv >/dev/null 2>&1 && echo setpriv --pdeathsig TERM --)

# Keep compiled Python files: otherwise each of some hundred test processes would compile them again.
unexport PYTHONDONTWRITEBYTECODE
# Ignore where other projects of the user install packages, and which versions these allow.
unexport PIP_TARGET PIP_PREFIX PIP_CONSTRAINT
# Never use a proxy for addresses on this machine.
export no_proxy := $(or $(no_proxy),$(NO_PROXY)),127.0.0.1,localhost

.DEFAULT_GOAL := help
.PHONY: help demo feed-demo up key test slow faults soak attack containers fresh doctor bench bench-scale bench-quality bench-api bench-analytics bench-alerts bench-feed bench-series bench-web lint format lock

help:  ## list the targets
	@echo "Tapewatch: make TARGET"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "PORT (5000) and FLOWER_PORT (5555) move the addresses; REDIS_URL and MONGO_URL bring servers of your own."

demo: $(VENV)/.installed  ## import real bars, find their anomalies, and serve them until Ctrl-C (ONCE=1: stop after the table)
	@$(TIED) $(BIN)/python -m runner demo $(if $(filter-out 0,$(ONCE)),--once)

feed-demo: $(VENV)/.installed  ## replay a synthetic day into the feed, show its alerts as they come, and end (SPEED=48: candles a second)
	@$(TIED) $(BIN)/python -m runner feed-demo $(if $(SPEED),--speed $(SPEED))

up: $(VENV)/.installed  ## serve your own data until Ctrl-C
	@$(TIED) $(BIN)/python -m runner up

key: $(VENV)/.installed  ## create the first API key before `make up` (NAME=ops); needed to serve any address but loopback
	@$(TIED) $(BIN)/python -m runner key $(or $(NAME),ops)

test: $(VENV)/.installed-dev  ## run the tests, which start their own real servers (ARGS="-k word": only some)
	@exec $(TIED) $(BIN)/python -m pytest -m "not faults and not slow" $(AT_ONCE) $(ARGS)

slow: $(VENV)/.installed-dev  ## run the tests that `make test` leaves out because they take long; a quarter of an hour
	@exec $(TIED) $(BIN)/python -m pytest -m "slow and not faults" $(AT_ONCE) $(ARGS)

faults: $(VENV)/.installed-dev  ## kill and freeze processes, flush Redis, fill disks, and check that no work is lost
	@$(TIED) $(BIN)/python -m pytest tests/faults $(ARGS)

soak: $(VENV)/.installed-dev  ## cause random faults under steady load, then check the same (MINUTES=10 SEED=1)
	@MINUTES=$(or $(MINUTES),10) SEED=$(or $(SEED),1) $(TIED) $(BIN)/python -m pytest tests/faults/soak.py $(ARGS)

containers: $(VENV)/.installed-dev  ## build the image, run docker-compose.yml, cause faults, and check the same (IMAGE=name: skip the build)
	@$(TIED) $(BIN)/python -m tests.containers

fresh: $(VENV)/.installed-dev  ## install the committed version in new clones: from an index with newer releases, and from none
	@$(TIED) $(BIN)/python -m tests.fresh

doctor: $(VENV)/.installed  ## check whether this machine can run the service, and say what to do if not
	@$(BIN)/flask doctor

attack: $(VENV)/.installed-dev  ## attack a service on this machine for two minutes and see how others are served (URL, KEY, REDIS_URL)
	@$(TIED) $(BIN)/python -m tests.attack

bench: $(VENV)/.installed  ## measure the speed of detection; some ten minutes on a quiet machine (QUICK=1: a rough look, one minute)
	@$(TIED) $(BIN)/python -m benchmarks $(if $(filter-out 0,$(QUICK)),--quick)

bench-scale: $(VENV)/.installed  ## measure 1, 2 and 4 workers, and the cost of each part of the service
	@$(TIED) $(BIN)/python -m benchmarks.scale

bench-quality: $(VENV)/.installed  ## measure what is found: known event days and planted faults, compared with two baselines
	@$(TIED) $(BIN)/python -m benchmarks.quality

bench-api: $(VENV)/.installed  ## measure how quickly the API answers; some three minutes on a quiet machine (QUICK=1: a rough look)
	@$(TIED) $(BIN)/python -m benchmarks.api $(if $(filter-out 0,$(QUICK)),--quick)

bench-series: $(VENV)/.installed  ## measure models of single series under load (QUICK=1: a rough look; QUALITY=1: what they find; NAB=FOLDER: in NAB too)
	@$(TIED) $(BIN)/python -m benchmarks.series $(if $(filter-out 0,$(QUICK)),--quick) \
	  $(if $(filter-out 0,$(QUALITY)),--quality) $(if $(NAB),--nab $(NAB))
bench-analytics: $(VENV)/.installed-dev  ## measure metrics, compared with pandas a ticker at a time, and reading them (QUICK=1: a rough look)
	@$(TIED) $(BIN)/python -m benchmarks.analytics $(if $(filter-out 0,$(QUICK)),--quick)

bench-alerts: $(VENV)/.installed-dev  ## measure how soon alerts are raised, and how quickly they are read (QUICK=1: a rough look)
	@$(TIED) $(BIN)/python -m benchmarks.alerts $(if $(filter-out 0,$(QUICK)),--quick)

bench-feed: $(VENV)/.installed  ## measure how fast, and how late, messages of the feed are stored (QUICK=1: a rough look)
	@$(TIED) $(BIN)/python -m benchmarks.feed $(if $(filter-out 0,$(QUICK)),--quick)

bench-web: $(VENV)/.installed-dev  ## measure the dashboard in a browser; some two minutes on a quiet machine (QUICK=1: a rough look)
	@$(TIED) $(BIN)/python -m benchmarks.web $(if $(filter-out 0,$(QUICK)),--quick)

lint: $(VENV)/.installed-dev  ## check style, types and the import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --num-workers 2
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev  ## format the code with ruff
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(VENV)/.installed-dev  ## update the lock files from requirements*.in
	$(LOCK) --upgrade --output-file requirements.txt requirements.in
	$(LOCK) --upgrade --output-file requirements-traces.txt requirements-traces.in
	$(LOCK) --upgrade --output-file requirements-mcp.txt requirements-mcp.in
	$(LOCK) --upgrade --output-file requirements-autoencoder.txt requirements-autoencoder.in
	$(LOCK) --upgrade --output-file requirements-dev.txt requirements-dev.in
	@for lock in requirements.txt requirements-traces.txt requirements-mcp.txt requirements-autoencoder.txt \
	    requirements-dev.txt; do for version in $(PYTHONS); do \
	  echo "Trying $$lock with Python $$version."; \
	  $(BIN)/uv pip install --quiet --dry-run --no-deps --require-hashes --no-build --python-version $$version \
	    --target $(VENV)/tried -r $$lock || exit 1; \
	done; done

$(VENV)/.made:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not there: install Python 3.11 or later"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Tapewatch needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) -V). Name another: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "$(PYTHON) cannot make virtual environments. On Debian: sudo apt-get install python3-venv"; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) -V)."
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.packages: requirements.txt | $(VENV)/.made
	@echo "Installing the pinned packages into $(VENV) (a minute or two, once)."
	@$(INSTALL) -r requirements.txt
	@$(COMPILE)
	@$(WHOLE)
	@touch $@

$(VENV)/.installed: $(VENV)/.packages
	@echo "Compiling the numeric kernels, once."
	@$(BIN)/python -m tasks.kernels
	@touch $@

$(VENV)/.packages-dev: requirements-dev.txt $(VENV)/.packages
	@echo "Installing what tests and checks need."
	@$(INSTALL) -r requirements-dev.txt
	@$(WHOLE)
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.packages-dev $(VENV)/.installed
	@touch $@
