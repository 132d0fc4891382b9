"""Running one notebook in a sandbox, and what is done where a cell breaks it.

At first nothing is forked before the end: of the moments at which something was defined only the names are kept. Where
that does not come to its end, all is run again with a snapshot of each such moment. From then on a cell that kills the
kernel, hangs past its interrupt, or takes snapshots down with it is blamed: everything but the snapshots is cleared
away, and the cells before are replayed in a new kernel without it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from grader.results.report import CellResult
from grader.sandbox.host.execution import Execution, RunOptions
from grader.sandbox.host.kernel_run import MOST_SNAPSHOTS, KernelRun
from grader.sandbox.host.sandbox import Sandbox
from grader.sandbox.protocol.limits import Limits
from grader.submission.submission import Cell, Notebook

__all__ = ["run_notebook"]

_MAX_SOURCE = 4_000_000  # characters of code that a notebook may have
_SECONDS_WITHOUT_SNAPSHOTS = 20.0  # more would be lost with a kernel that dies


def run_notebook(
    sandbox: Sandbox, notebook: Notebook, watch: RunOptions, limits: Limits, deadline: float, execution: Execution
) -> None:
    """Run a notebook's code cells and add what came of it to `execution`.

    `deadline` (monotonic seconds) bounds the whole submission; a run that has to be made again does not count.

    Raises SandboxFault where our side of the sandbox broke.
    """
    started = time.monotonic()
    cells = [cell for cell in notebook.cells if cell.kind == "code" and cell.source.strip()]
    small = sum(len(cell.source) for cell in cells) <= _MAX_SOURCE
    if not small:
        execution.hit(f"{notebook.name}: more than {_MAX_SOURCE:,} characters of code; it was not run")
    else:
        run = _Run(sandbox, notebook.name, cells, limits)
        if not (watch.moments and run.through(watch, deadline, execution)):
            deadline += time.monotonic() - started  # what was tried takes nothing from the submission's time
            run.with_replacements(replace(watch, moments=False), deadline, execution)
    for cell in cells:
        place = (notebook.name, cell.index)
        execution.cells.setdefault(place, CellResult(notebook.name, cell.index, "not run", "the run had ended"))


@dataclass(frozen=True)
class _Run:
    """A notebook's code cells, to be run in one life of a kernel or in several."""

    sandbox: Sandbox
    file: str
    cells: Sequence[Cell]
    limits: Limits

    def through(self, watch: RunOptions, deadline: float, execution: Execution) -> bool:
        """Run all cells with one snapshot, at the end; False, with nothing added, where there is none that answers."""
        tried = execution.copied()
        deadline = min(deadline, time.monotonic() + _SECONDS_WITHOUT_SNAPSHOTS)
        guilty = self._attempt(set(), watch, deadline, tried)
        own = [snapshot for snapshot in tried.snapshots if snapshot.file == self.file]
        if guilty is None and time.monotonic() < deadline and own and len(tried.snapshots) < MOST_SNAPSHOTS:
            execution.become(tried)
            return True
        for snapshot in own:
            snapshot.packets.close()
        self._clear_all_but(execution)
        return False

    def with_replacements(self, watch: RunOptions, deadline: float, execution: Execution) -> None:
        """Run all cells with a snapshot of each moment, those which no kernel survives left out."""
        blamed: set[int] = set()
        while self.cells:
            guilty = self._attempt(blamed, watch, deadline, execution)
            if guilty is None or time.monotonic() > deadline:
                break
            blamed.add(guilty)
            if len(blamed) > self.limits.replacements:
                execution.hit(f"{self.file}: the kernel was replaced {self.limits.replacements} times, and no more")
                break

    def _attempt(self, blamed: set[int], watch: RunOptions, deadline: float, execution: Execution) -> int | None:
        """Run the cells that are not blamed, leave nothing but snapshots alive, and return the next one to blame."""
        attempt = KernelRun(self.sandbox, self.file, self.cells, blamed, watch, self.limits, deadline, execution)
        guilty = attempt.run()
        self._clear_all_but(execution)
        execution.drop_lost_snapshots()
        return guilty

    def _clear_all_but(self, execution: Execution) -> None:
        self.sandbox.clear([snapshot.pid for snapshot in execution.snapshots])
