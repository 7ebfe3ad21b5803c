# Two commands: `make lab` opens the course, `make test` runs everything that CI runs.

PYTHON ?= python3
BIN    := .venv/bin
# One thread suits the small models, and threads that wait must not spin.
export OMP_NUM_THREADS ?= 1
export OMP_WAIT_POLICY ?= passive

.PHONY: lab test notebooks release format clean

lab: .venv/course
	@if [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ] || [ "$$(uname)" = Darwin ]; then \
	    $(BIN)/jupyter lab notebooks/00_start_here.ipynb; \
	else \
	    $(BIN)/jupyter lab --no-browser notebooks/00_start_here.ipynb; \
	fi

test: .venv/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest tests notebooks --nbval --cov=diffrec_lite --cov-report=term

notebooks: .venv/test
	$(BIN)/python tools/notebooks.py

release: .venv/test
	$(BIN)/python tools/release.py

format: .venv/test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv build .pytest_cache .ruff_cache

.venv/torch:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "diffrec-lite needs Python 3.11 or newer; run make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python tools/install_torch.py
	@touch $@

.venv/course: pyproject.toml | .venv/torch
	$(BIN)/python -m pip install -q -e '.[course,grading]'
	@touch $@

.venv/test: pyproject.toml | .venv/torch
	$(BIN)/python -m pip install -q -e '.[course,grading,test]'
	@touch $@ .venv/course
