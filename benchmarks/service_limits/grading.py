"""The cost of grading: real submissions without trainings, and the example with quick trainings."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.service_limits.processor import cpu_seconds
from grader.grading.session import GradingSession
from grader.models.recipe import Mode
from grader.results.report import Report
from grader.submission.submission import Submission, read_notebook
from tests.support.running_service import descendants

__all__ = ["ASSIGNMENT", "EXAMPLE", "Figures", "definitions", "graded_once", "notebooks", "trainings"]

ASSIGNMENT = "hw2"
EXAMPLE = Path(__file__).parents[2] / "examples" / "hw2.ipynb"
Figures = dict[str, float | list[float]]

_REAL = Path("/work/shared/acceptance/real")
_RUNS = 4  # of each notebook


def notebooks() -> list[Path]:
    """Return real submissions of one notebook each, or the example if there are none."""
    return sorted(_REAL.glob("*.ipynb")) or [EXAMPLE]


def graded_once() -> Report:
    """Return the report of one of them."""
    with GradingSession() as grading:
        return grading.grade(_submission(notebooks()[0]), ASSIGNMENT)


def definitions() -> Figures:
    """Grade real submissions without trainings: measure CPU, wall time and stored bytes."""
    cpu, wall, sizes = [], [], []
    with GradingSession(trainings_at_once=1) as grading:
        grading.warm_up([ASSIGNMENT])
        for path in notebooks():
            submission = _submission(path)
            grading.grade(submission, ASSIGNMENT)  # the first one imports the rubric
            runs = [_timed(lambda one=submission: grading.grade(one, ASSIGNMENT)) for _ in range(_RUNS)]  # type: ignore[misc]
            wall.append(statistics.median(seconds for seconds, _, _ in runs))
            cpu.append(statistics.median(used for _, used, _ in runs))
            sizes.append(len(runs[0][2].to_json().encode()))
    return {
        "definitions_cpu_seconds": cpu,
        "definitions_wall_seconds": wall,
        "report_bytes": statistics.mean(sizes),
        "notebook_bytes": statistics.mean(path.stat().st_size for path in notebooks()),
    }


def trainings() -> Figures:
    """Grade the example with quick trainings, first with new models, then with cached ones."""
    submission = _submission(EXAMPLE)
    with (
        tempfile.TemporaryDirectory() as folder,
        _changed_environment(GRADER_CACHE=folder),
        GradingSession(trainings_at_once=1) as grading,
    ):
        grading.warm_up([ASSIGNMENT])
        new, known = (_timed(lambda: grading.grade(submission, ASSIGNMENT, Mode.QUICK)) for _ in range(2))
    return {
        "quick_known_wall_seconds": known[0],
        "quick_known_cpu_seconds": known[1],
        "quick_new_models_wall_seconds": new[0] - known[0],
        "quick_new_models_cpu_seconds": new[1] - known[1],
    }


def _submission(path: Path) -> Submission:
    return Submission((read_notebook(path.name, path.read_bytes()),))


def _timed(grade: Callable[[], Report]) -> tuple[float, float, Report]:
    """Return the wall and CPU seconds of one submission, including warm and sandboxed processes, and its report."""
    started, before = time.perf_counter(), _cpu_seconds_of_all()
    report = grade()
    return time.perf_counter() - started, _cpu_seconds_of_all() - before, report


def _cpu_seconds_of_all() -> float:
    """Return the CPU seconds of this process and its descendants."""
    return cpu_seconds([os.getpid(), *descendants(os.getpid())])


@contextmanager
def _changed_environment(**variables: str) -> Iterator[None]:
    """Set environment variables for a block."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
