# Two commands: `make lab` opens the course, `make test` runs everything that CI runs.

PYTHON ?= python3
BIN    := .venv/bin
START  := notebooks/00_start_here.ipynb
# So many test files run side by side.
JOBS   ?= 2
# One thread suits the small models, and threads that wait must not spin.
export OMP_NUM_THREADS ?= 1
export OMP_WAIT_POLICY ?= passive

.PHONY: lab test coverage notebooks site student grade format clean

# Without a screen (a server, a container, CI) the address is printed and no browser is opened.
lab: .venv/course
	@options="--LabApp.default_url=/lab/tree/$(START)"; \
	if [ -n "$$CI$$SSH_CONNECTION" ] || { [ -z "$$DISPLAY$$WAYLAND_DISPLAY" ] && [ "$$(uname)" != Darwin ]; }; then \
	    options="$$options --no-browser"; \
	fi; \
	if [ "$$(id -u)" = 0 ]; then options="$$options --allow-root"; fi; \
	exec $(BIN)/jupyter lab $$options

test: .venv/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder tests
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --nbval notebooks
	$(BIN)/python tools/tested.py

# Which lines of the package no test runs. It takes half as long again as the tests do.
coverage: .venv/test
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --cov --cov-report=term tests

# Run every notebook again and store its outputs.
notebooks: .venv/test
	$(BIN)/python tools/notebooks.py

# Write what a class gets, without solutions, to build/student and build/student.zip.
student: .venv/test
	$(BIN)/python tools/student.py

# Grade what a class handed in: make grade SUBMISSIONS=folder. The results go to build/grades.
grade: .venv/test
	@[ -n "$(SUBMISSIONS)" ] || { echo "say where the submissions are: make grade SUBMISSIONS=folder"; exit 1; }
	$(BIN)/python tools/grade.py "$(SUBMISSIONS)"

# Write the course as a site that needs no network: build/site/index.html.
site: .venv/test
	$(BIN)/python tools/book.py

format: .venv/test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv build .pytest_cache .ruff_cache .coverage

# A stamp file for each state of .venv: what is there already is not installed again.
.venv/torch:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "diffrec-lite needs Python 3.11 or newer. If you have one: make PYTHON=/path/to/python3.11 lab"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python tools/install_torch.py
	@touch $@

.venv/course: pyproject.toml | .venv/torch
	$(BIN)/python -m pip install -q -e '.[course]'
	@touch $@

.venv/test: pyproject.toml | .venv/torch
	$(BIN)/python -m pip install -q -e '.[course,grading,site,test]'
	@touch $@ .venv/course
