# One command a purpose; `make help` lists them. What costs minutes is kept in ~/.cache/otellogdriver-tools.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
RUN := $(VENV)/bin/python -m
PYTEST := $(RUN) pytest -n 3 --dist loadfile --no-loadscope-reorder --durations=15 --durations-min=5
STUBS := otellogdriver.codec.native otellogdriver.lines.native
CHECKED := otellogdriver plugin tests $(wildcard bench dashboards compose)

# In CI the native codec must be there; elsewhere the lack of a compiler is reported, and lived with.
ifeq ($(CI),true)
export OTELLOGDRIVER_NATIVE ?= require
endif

.DELETE_ON_ERROR:
.PHONY: help test parts lint drift format unit e2e engines bench anomalies soak plugin plugin-push release sdist demo arm64 stack unstack tools lock upgrade audit clean

help: ## list these commands
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 13

test: $(VENV)/ready ## the whole check, as CI runs it
	$(MAKE) --no-print-directory --jobs 3 --output-sync lint drift parts
	$(PYTEST)
	ENGINE=20.10 $(PYTEST) -m each_engine tests/e2e

# Where no engine or tool can be had, the tests that need it are skipped, but not in CI.
parts: $(VENV)/ready
	$(RUN) tests.tools || test '$(CI)' != true
	$(RUN) plugin.build || test '$(CI)' != true

lint: $(VENV)/ready ## style and types
	$(RUN) ruff check . || { echo 'mend what can be mended with: make format'; exit 1; }
	$(RUN) ruff format --check . || { echo 'mend it with: make format'; exit 1; }
	$(RUN) mypy $(CHECKED)
	test '$(OTELLOGDRIVER_NATIVE)' = skip || \
		$(RUN) mypy.stubtest --concise --ignore-missing-stub --ignore-disjoint-bases $(STUBS)

drift: $(VENV)/ready ## rendered files agree with what they are rendered from
	$(RUN) otellogdriver.settings.tables --check
	$(RUN) otellogdriver.telemetry.metrics --check
	$(RUN) dashboards --check

format: $(VENV)/ready ## apply the style
	$(RUN) ruff check --fix --quiet . || true
	$(RUN) ruff format .

unit: $(VENV)/ready ## tests without an engine
	$(PYTEST) tests --ignore tests/e2e --ignore tests/engine

e2e: tools plugin ## tests with a real engine and a real collector
	$(PYTEST) tests/e2e tests/engine

# One after the other, whatever fails; build/engines has what each run said.
engines: tools plugin ## all tests with a real engine, on 20.10, 26, 28 and 29; one data root through all of them; arm64
	rm -rf build/engines
	failed=; for engine in 20.10 26 28 29; do \
		ENGINE=$$engine $(PYTEST) --junitxml=build/engines/$$engine.xml tests/e2e tests/engine || failed="$$failed $$engine"; \
	done; \
	$(PYTEST) -m engines tests/e2e/test_engines.py || failed="$$failed chain"; \
	$(RUN) tests.arm64 || failed="$$failed arm64"; \
	$(RUN) tests.engine.runs_on --render; \
	test -z "$$failed" || { echo "failed:$$failed"; exit 1; }

arm64: $(VENV)/ready ## the driver on an emulated arm64: compiled without a warning, unit tests, whole runs, the plugin
	$(RUN) tests.arm64

bench: tools plugin ## one table of ratios against baselines
	$(RUN) bench

anomalies: $(VENV)/ready ## each system call of the driver fails in turn, in each phase
	$(RUN) tests.anomalies

soak: tools plugin ## fuzzing, anomalies, kills of the driver, the chain with Kafka, MINUTES (10) of random faults
	for native in codec lines; do $(RUN) tests.fuzz.run $$native --seconds 60 || exit 1; done
	$(RUN) bench --guard
	$(RUN) tests.anomalies
	$(RUN) pytest tests/faults tests/soak tests/house -m soak
	$(RUN) tests.soak --minutes $(or $(MINUTES),10)

plugin: python ## build/plugin, ready for: docker plugin create otellogdriver build/plugin
	$(PYTHON) -m plugin.build

plugin-push: python ## to a registry, as otellogdriver:VERSION-ARCHITECTURE: make plugin-push REGISTRY=registry.example/team
	@test -n '$(REGISTRY)' || { echo 'say where to: make plugin-push REGISTRY=registry.example/team'; exit 2; }
	VERSION='$(VERSION)' $(PYTHON) -m plugin.push '$(REGISTRY)' $(if $(RELEASE),--release '$(RELEASE)')

release: python ## build/release: the plugin as an archive, its bill of materials, wheels of dist/, checksums
	$(PYTHON) -m plugin.release

sdist: python ## dist/otellogdriver-VERSION.tar.gz, the sources as pip takes them
	rm -rf build/sdist && $(PYTHON) -m venv build/sdist
	build/sdist/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-build.lock
	build/sdist/bin/python -c "from setuptools import build_meta; print(build_meta.build_sdist('dist'))"

demo: $(VENV)/ready plugin ## a container's lines arrive in a receiver; removes everything again
	$(RUN) plugin.demo

stack: $(VENV)/ready ## collector, VictoriaLogs, Prometheus, Grafana and demo containers, with the plugin; unstack ends it
	$(RUN) compose.stack up

unstack: $(VENV)/ready ## the end of it
	$(RUN) compose.stack down

tools: $(VENV)/ready ## programs that tests talk to, built when missing
	$(RUN) tests.tools

# All three locks hold for Python 3.11 to 3.13; the smaller ones agree with the larger one.
LOCK := $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' $(UPGRADE)
lock: $(VENV)/ready ## write the lock files anew after a change of pyproject.toml
	$(LOCK) --output-file requirements.lock pyproject.toml
	$(LOCK) --output-file requirements-dev.lock --constraint requirements.lock --extra dev pyproject.toml
	$(VENV)/bin/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['build-system']['requires'], sep='\n')" \
	| $(LOCK) --output-file requirements-build.lock --constraint requirements-dev.lock -

upgrade: ## the same, with the newest versions
	$(MAKE) lock UPGRADE=--upgrade

NATIVE := $(wildcard otellogdriver/*/*.pyx otellogdriver/*/*.pxd $(patsubst %.pxd,%.py,$(wildcard otellogdriver/lines/*.pxd)))
$(VENV)/ready: requirements-dev.lock pyproject.toml setup.py $(NATIVE) | python
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo '$(PYTHON) has no venv: install it (Debian: apt-get install python3-venv)'; exit 1; }
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(RUN) pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(RUN) pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

AUDITED := requirements.lock requirements-dev.lock requirements-build.lock
audit: $(VENV)/ready ## known vulnerabilities of what is locked, by the database of PyPI
	$(VENV)/bin/uv tool run --from pip-audit==2.10.1 pip-audit --strict --disable-pip --require-hashes $(AUDITED:%=-r %)

.PHONY: python
python:
	@test -n '$(PYTHON)' || { echo 'Python 3.11 or later is missing: put python3 on PATH, or make PYTHON=...'; exit 1; }

clean: ## delete what was built in the checkout, but not .venv
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -f otellogdriver/*/*.c otellogdriver/*/*.so
