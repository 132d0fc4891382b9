# make grade: set everything up, grade an example submission, print the report and its path
# make test:  set everything up, run every check and every test
#
# Set-up downloads PyTorch with CUDA; `make TORCH=cpu ...` takes the build for CPUs. PYTHON=... names an interpreter.
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# A process gets neighbouring tests, so that it makes the fixtures of few modules, and takes over what others have left.
PYTEST := $(BIN)/pytest --numprocesses 3 --dist worksteal

# Compiled tests are kept: to rewrite their assertions takes each process ten seconds.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: grade test quick prose bench readme picture format lock clean

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

# Spelling, and the words of scripts/prose-words.txt; part of `make test` (tests/test_prose.py).
prose: $(READY)
	$(BIN)/codespell README.md CONTRIBUTING.md SECURITY.md CHANGELOG.md docs grader rubrics reference

bench: $(READY)
	$(BIN)/python -m benchmarks

# After a change of the rubric or of the report: what docs/report.md shows, and the picture in README.md.
readme: $(READY) picture
	$(BIN)/python scripts/refresh-report

picture: grade
	$(BIN)/python scripts/take-picture reports/hw2.html docs/report.png

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The versions that everybody gets, with their hashes: after a change of dependencies in pyproject.toml.
lock:
	scripts/lock

$(READY): pyproject.toml $(wildcard requirements/*.txt) scripts/find-python scripts/set-up
	@PYTHON="$(PYTHON)" TORCH="$(TORCH)" scripts/set-up $(VENV)
	@touch $(READY)

clean:
	rm -rf $(VENV) reports build *.egg-info
