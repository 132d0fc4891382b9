"""Running one notebook in a sandbox, and what happens if a cell breaks the kernel.

With deferred snapshots, a notebook is run first without any fork before its end: definitions are only recorded as
checkpoints. If this run does not reach its end, the notebook is run again with a snapshot of each definition. In that
run a cell that kills the kernel, hangs past its interrupt or destroys snapshots is blamed: every process except the
snapshots is killed, and a new kernel replays the cells before it and goes on without it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from grader.results.notice import CellStop, Notice, NoticeKind
from grader.results.report import CellResult
from grader.sandbox.host.execution import Execution, RunOptions
from grader.sandbox.host.kernel_run import MOST_SNAPSHOTS, KernelRun
from grader.sandbox.host.sandbox import Sandbox
from grader.sandbox.protocol.limits import Limits
from grader.submission.python_version import describe_newer_python, find_newer_python
from grader.submission.submission import Cell, Notebook

__all__ = ["run_notebook"]

_MAX_SOURCE = 4_000_000  # characters of code in one notebook
_MAX_SYNTAX_CHECKS = 20  # of a notebook; each takes about 20 ms
_SECONDS_WITHOUT_SNAPSHOTS = 20.0  # a kernel that dies later would lose too much work


def run_notebook(
    sandbox: Sandbox, notebook: Notebook, options: RunOptions, limits: Limits, deadline: float, execution: Execution
) -> None:
    """Run a notebook's code cells and add the results to `execution`.

    Args:
        sandbox: the sandbox to run it in.
        notebook: the notebook.
        options: what the kernel records.
        limits: the assignment's limits.
        deadline: when the submission's time is over (monotonic seconds). A first run that has to be repeated does not
            count towards this time.
        execution: the results of the submission so far.

    Raises:
        SandboxFault: our side of the sandbox broke.
    """
    started = time.monotonic()
    cells = [cell for cell in notebook.cells if cell.kind == "code" and cell.source.strip()]
    if started >= deadline:
        execution.add_limit(f"the submission ran past its {limits.submission_seconds:g} s")
    elif sum(len(cell.source) for cell in cells) > _MAX_SOURCE:
        execution.add_limit(f"{notebook.name}: more than {_MAX_SOURCE:,} characters of code; it was not run")
    else:
        run = _NotebookRun(sandbox, notebook.name, cells, limits)
        if not (options.deferred_snapshots and run.run_with_deferred_snapshots(options, deadline, execution)):
            deadline += time.monotonic() - started
            run.run_with_snapshots(replace(options, deferred_snapshots=False), deadline, execution)
    for cell in cells:
        place = (notebook.name, cell.index)
        execution.cells.setdefault(place, CellResult(notebook.name, cell.index, "not run", "the run had ended"))
    _name_newer_python(notebook.name, cells, execution)


def _name_newer_python(file: str, cells: Sequence[Cell], execution: Execution) -> None:
    """Say of cells that our Python cannot read, but a newer one can, which Python they were written for."""
    ends = {cell.index: execution.cells[file, cell.index] for cell in cells}
    unread = [cell for cell in cells if any(map(_is_unread, ends[cell.index].stops))]
    for cell in unread[:_MAX_SYNTAX_CHECKS]:
        if version := find_newer_python(cell.source):
            text, end = describe_newer_python(version), ends[cell.index]
            stops = tuple(replace(stop, error=text) if _is_unread(stop) else stop for stop in end.stops)
            line = next(stop.line for stop in end.stops if _is_unread(stop))
            place = (file, cell.index)
            execution.cells[place] = replace(end, message=f"stopped at line {line}: {text}", stops=stops)
            execution.add_notice(Notice(text, NoticeKind.VERSION, f"Python {version}", *place))


def _is_unread(stop: CellStop) -> bool:
    return stop.error.startswith("SyntaxError")


@dataclass(frozen=True)
class _NotebookRun:
    """The code cells of one notebook, to be run in one kernel or in several."""

    sandbox: Sandbox
    file: str
    cells: Sequence[Cell]
    limits: Limits

    def run_with_deferred_snapshots(self, options: RunOptions, deadline: float, execution: Execution) -> bool:
        """Run all cells in one kernel, with one snapshot at the end.

        Return False, with nothing added to `execution`, if the run does not reach its end or no snapshot answers.
        """
        attempted = execution.copy()
        deadline = min(deadline, time.monotonic() + _SECONDS_WITHOUT_SNAPSHOTS)
        guilty = self._run_kernel(set(), options, deadline, attempted)
        own = [snapshot for snapshot in attempted.snapshots if snapshot.file == self.file]
        if guilty is None and time.monotonic() < deadline and own and len(attempted.snapshots) < MOST_SNAPSHOTS:
            execution.adopt(attempted)
            return True
        for snapshot in own:
            snapshot.packets.close()
        self._clear_all_but(execution)
        return False

    def run_with_snapshots(self, options: RunOptions, deadline: float, execution: Execution) -> None:
        """Run the cells with a snapshot of each definition, leaving out the cells that no kernel survives."""
        blamed: set[int] = set()
        while self.cells:
            guilty = self._run_kernel(blamed, options, deadline, execution)
            if guilty is None or time.monotonic() > deadline:
                break
            blamed.add(guilty)
            if len(blamed) > self.limits.replacements:
                execution.add_limit(
                    f"{self.file}: the kernel was replaced {self.limits.replacements} times, and no more"
                )
                break

    def _run_kernel(self, blamed: set[int], options: RunOptions, deadline: float, execution: Execution) -> int | None:
        """Run the cells that are not blamed and end all processes but the snapshots. Return the next cell to blame."""
        kernel_run = KernelRun(self.sandbox, self.file, self.cells, blamed, options, self.limits, deadline, execution)
        guilty = kernel_run.run()
        self._clear_all_but(execution)
        execution.drop_lost_snapshots()
        return guilty

    def _clear_all_but(self, execution: Execution) -> None:
        self.sandbox.clear([snapshot.pid for snapshot in execution.snapshots])
