# make grade: set everything up, grade an example submission, print the report and where it lies
# make test:  set everything up, run every check and every test
PYTHON ?= $(shell scripts/find-python)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# A process gets neighbouring tests, so that it makes the fixtures of few modules, and takes over what others have left.
PYTEST := $(BIN)/pytest --numprocesses 3 --dist worksteal

# Compiled tests are kept: to rewrite their assertions takes each process ten seconds.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: grade test quick bench readme format clean

grade: $(READY)
	@mkdir -p reports
	@$(BIN)/grader check examples/hw2.ipynb --html reports/hw2.html --json reports/hw2.json || [ $$? -eq 1 ]
	@echo "The report: reports/hw2.html and reports/hw2.json"

test: $(READY)
	@scripts/system-packages chromium=chromium redis-server=redis-server \
	    /usr/share/postgresql-common/pg_wrapper=postgresql
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(PYTEST)

# What developers run while they work: something of every room in under three minutes.
quick: $(READY)
	$(PYTEST) -m "not slow"

bench: $(READY)
	$(BIN)/python -m benchmarks

# After a change of the rubric or of the report: README.md shows what the example gets.
readme: $(READY)
	$(BIN)/python scripts/refresh-readme

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# One environment for grading, tests and the students' packages. d2l 1.0.3 pins an old stack beside which pip refuses
# to install, so it comes without its dependencies; what it imports is in the extra `course`.
$(READY): pyproject.toml Makefile scripts/find-python
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check torch==2.14.1 torchvision==0.29.1
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[course,service,test]'
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps d2l==1.0.3
	@scripts/system-packages libseccomp.so.2=libseccomp2 /usr/share/datasets/fashion-mnist=dataset-fashion-mnist
	@touch $(READY)

clean:
	rm -rf $(VENV) reports build *.egg-info
