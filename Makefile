# make lab    JupyterLab on the first notebook         (ARGS="--no-browser" and the like are passed on)
# make train  train and evaluate on the embedded people (ARGS="--minutes 2 --name try")
# make test   every test, the notebooks among them      (ARGS="-m 'not slow'" while one works; ARGS="-k warping")
# make lint   what ruff finds wrong with code, docstrings and formatting; make format mends what it can
# make page   the pose studio as one HTML file, build/page/index.html (needs npm; ARGS="runs/NAME/checkpoint.pt")
# make bench  measure warps, training step, pictures, sliders, the studio and growth (ARGS="--parts step --presets sdgan")
# make notebooks       run every notebook in place and strip what belongs to this machine
# make test-gpu        the notebooks on a CUDA GPU
# make test-mutations  put faults into the library, one by one, and see the course's own checks find them
# Each makes .venv first; it is remade only when pyproject.toml or constraints.txt changes.
# PYTHON=python3.12 chooses the interpreter, PIP_ARGS passes options to pip, JOBS the number of test processes.

PYTHON ?= python3
JOBS ?= 2
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
NBVAL := --nbval-current-env --nbval-cell-timeout 900 --nbval-sanitize-with notebooks/sanitize.cfg

# The notebooks' kernel "python3" is this environment's own, whatever is installed for the user.
export JUPYTER_PREFER_ENV_PATH := 1
# Compiled modules are kept: else each of the many kernels of `make test` compiles PyTorch and the rest anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: lab train test lint format page bench notebooks test-gpu test-mutations
.DEFAULT_GOAL := lab

lab: $(STAMP)
	$(PY) -m jupyterlab notebooks/00_start_here.ipynb --ServerApp.root_dir="$(CURDIR)" \
	  $(if $(filter 0,$(shell id -u)),--allow-root) $(ARGS)

train: $(STAMP)
	$(PY) -m sdgan_lib train $(ARGS)

test: $(STAMP)
	OMP_NUM_THREADS=1 $(PY) -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder --nbval $(NBVAL) \
	  notebooks tests $(ARGS)

lint: $(STAMP)
	$(PY) -m ruff check
	$(PY) -m ruff format --check

format: $(STAMP)
	$(PY) -m ruff check --fix-only
	$(PY) -m ruff format

page: $(STAMP)
	$(PY) -m sdgan_lib page $(ARGS)

bench: $(STAMP)
	$(PY) -m benchmarks $(ARGS)

notebooks: $(STAMP)
	$(PY) notebooks/execute.py $(ARGS)

test-gpu: $(STAMP)
	@$(PY) -c 'import sys, torch; torch.cuda.is_available() or sys.exit("make test-gpu: PyTorch sees no CUDA GPU on \
	this machine, so nothing was tested.\nRemedy: run it where nvidia-smi shows a GPU; make test needs none.")'
	SDGAN_DEVICE=cuda $(PY) -m pytest tests/test_papermill.py $(ARGS)
	$(PY) -m pytest --nbval-lax $(NBVAL) notebooks $(ARGS)

test-mutations: $(STAMP)
	OMP_NUM_THREADS=1 $(PY) -m pytest -m mutation tests/test_mutations.py $(ARGS)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || { \
	  echo "sdgan needs Python 3.11, 3.12 or 3.13; '$(PYTHON)' is not one: `$(PYTHON) --version 2>&1`"; \
	  echo "Remedy: install one and name it, e.g.  make lab PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "'$(PYTHON)' cannot make virtual environments: its modules venv and ensurepip are missing."; \
	  echo "Remedy: install them (Debian and Ubuntu: apt install python3-venv) or name another PYTHON=..."; exit 1; }
	@echo "[1/3] making $(VENV) with `$(PYTHON) --version`"
	@$(PYTHON) -m venv $(VENV)
	@echo "[2/3] installing PyTorch (the large part: minutes, and several GB on Linux)"
	@$(PY) -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt $(PIP_ARGS) torch torchvision
	@echo "[3/3] installing the rest"
	@$(PY) -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt $(PIP_ARGS) -e '.[notebooks,page,render,test]'
	@touch $@
	@echo "installed; the next call skips this"
