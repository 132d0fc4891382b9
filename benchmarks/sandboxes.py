"""The memory of further sandboxes of one warm process, and the time until a kernel in one answers."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager

from benchmarks.assignment import path_of
from benchmarks.measuring import proportional_memory
from grader.assignment import Assignment, find_assignment
from grader.collection import read_submission
from grader.sandbox.host.execution import Execution, RunOptions
from grader.sandbox.host.notebook import run_notebook
from grader.sandbox.host.sandbox import Zygote
from grader.submission.submission import Cell, Notebook
from tests.support.processes import descendants

__all__ = ["first_answers", "memory_of_sandboxes"]

_SECONDS = 120


def memory_of_sandboxes(notebook: str, counts: Sequence[int], say: Callable[[str], None]) -> dict[int, float]:
    """Return for each of `counts` the MiB of a warm process and that many sandboxes with a notebook's snapshots."""
    assignment, found = find_assignment("hw2"), {}
    (cells,) = read_submission([path_of(notebook)]).notebooks
    with Zygote(assignment.packages) as zygote, ExitStack() as opened:
        with zygote.sandbox(assignment.limits):
            pass  # while it lives, the warm process collects its memory in large pages and holds it twice
        zygote.cpu_seconds()  # answered when that is done
        for count in range(1, max(counts) + 1):
            opened.enter_context(_having_run(zygote, assignment, cells, assignment.names))
            if count in counts:
                found[count] = proportional_memory({zygote.pid} | descendants(zygote.pid))
                say(f"{notebook}, {count} sandboxes: {found[count]:.0f} MiB")
    return found


def first_answers(runs: int) -> float:
    """Return the median seconds from opening a sandbox until a kernel in it has run a cell and has ended."""
    assignment, times = find_assignment("hw2"), []
    one_cell = Notebook("one.ipynb", "", (Cell(0, "code", "1 + 1"),), {})
    with Zygote(assignment.packages) as zygote:
        for _ in range(runs + 1):
            started = time.perf_counter()
            with _having_run(zygote, assignment, one_cell, ()):
                times.append(time.perf_counter() - started)
    return statistics.median(times[1:])  # the first waits for the warm process


@contextmanager
def _having_run(zygote: Zygote, assignment: Assignment, notebook: Notebook, names: Sequence[str]) -> Iterator[None]:
    with zygote.sandbox(assignment.limits) as sandbox, closing(Execution()) as execution:
        deadline = time.monotonic() + _SECONDS
        options = RunOptions(tuple(names), 0, deferred_snapshots=True)
        run_notebook(sandbox, notebook, options, assignment.limits, deadline, execution)
        wrong = [cell for cell in execution.cells.values() if cell.status != "ok"]
        assert not wrong, f"cells of {notebook.name} went wrong: {wrong}"
        yield
