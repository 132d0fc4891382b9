"""Running notebooks for the tests of the sandbox: cells in, what came of them out."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader.gpu.device import DeviceAccess
from grader.models.recipe import Mode
from grader.sandbox.host.execution import Execution, RunOptions
from grader.sandbox.host.handed_in import choose_files, pack_handed_in
from grader.sandbox.host.notebook import run_notebook
from grader.sandbox.host.sandbox import Sandbox, Zygote
from grader.sandbox.host.snapshot_student import SnapshotStudent
from grader.sandbox.host.snapshot_work import SnapshotWork
from grader.sandbox.protocol.limits import Limits
from grader.sandbox.protocol.outputs import KeptOutputs
from grader.student import Definition, Fault, StudentFault
from grader.submission.submission import CompanionFile, Notebook
from tests.support.notebooks import submission

__all__ = ["FILE", "LIMITS", "Ran", "Run", "fault_of", "ran", "ran_notebooks"]

FILE = "homework.ipynb"
SEED = 7
LIMITS = Limits(
    cell_seconds=20,
    submission_seconds=120,
    memory_bytes=2 * 2**30,
    processes=128,
    written_bytes=64 * 2**20,
    cell_output_bytes=50_000,
    notebook_output_bytes=400_000,
    test_seconds=10,
    test_memory_bytes=512 * 2**20,
)


@dataclass
class Ran:
    """A submission whose cells have been run, in a sandbox that is still there."""

    sandbox: Sandbox
    execution: Execution
    work: SnapshotWork
    names: tuple[str, ...]

    def statuses(self, file: str = FILE) -> list[str]:
        """Return how each code cell ended, in order."""
        return [result.status for place, result in sorted(self.execution.cells.items()) if place[0] == file]

    def messages(self, file: str = FILE) -> list[str]:
        """Return what is said about each code cell, in order."""
        return [result.message for place, result in sorted(self.execution.cells.items()) if place[0] == file]

    def showed(self, cell: int, file: str = FILE) -> list[Mapping[str, Any]]:
        """Return the outputs of a code cell that were kept."""
        assert self.execution.outputs
        return list(self.execution.outputs.cells.get((file, cell), ()))

    def defined(self, name: str) -> list[int]:
        """Return the cells in which a name was defined, leaving out the states at the end."""
        return [each.cell for each in self.work.definitions([name]) if not each.at_end]

    def definition(self, name: str, number: int = 0, *, at_end: bool = False) -> Definition:
        """Return one definition of a name."""
        return [each for each in self.work.definitions([name]) if each.at_end == at_end][number]

    @contextmanager
    def student(self, name: str, number: int = 0, *, at_end: bool = False) -> Iterator[SnapshotStudent]:
        """Open the state of one definition in a fresh process."""
        with self.work.open(self.definition(name, number, at_end=at_end)) as student:
            yield student

    def call(self, name: str, *args: Any, number: int = 0, at_end: bool = False) -> Any:
        """Call a function as one of its definitions left it."""
        with self.student(name, number, at_end=at_end) as student:
            return getattr(student, name)(*args)

    def recorded(self) -> list[tuple[int, str, Any]]:
        """Return the small values that were recorded: cell, name, value."""
        with self.work.open(None) as student:
            return [(each.cell, each.name, each.value) for each in student.recorded()]


Run = Callable[..., Ran]  # a fixture: it takes cells and the options of `ran_notebooks`


@contextmanager
def ran(zygote: Zygote, *cells: str, **options: Any) -> Iterator[Ran]:
    """Run a notebook of these cells; `options` are those of `ran_notebooks`."""
    with ran_notebooks(zygote, submission(*cells).notebooks, **options) as run:
        yield run


@contextmanager
def ran_notebooks(
    zygote: Zygote,
    notebooks: Sequence[Notebook],
    *,
    names: Sequence[str] = ("f",),
    limits: Limits = LIMITS,
    mode: Mode = Mode.NONE,
    data_sets: Mapping[str, Path] | None = None,
    hidden: Sequence[Path] = (),
    left_out: frozenset[str] = frozenset(),
    deferred_snapshots: bool = False,
    files: Mapping[str, bytes] | None = None,
    seen: bool = True,
    device: DeviceAccess | None = None,
    gpu: str = "",
) -> Iterator[Ran]:
    """Run the notebooks of one submission.

    Args:
        zygote: the warm process to fork the sandbox from.
        notebooks: the notebooks, in order.
        names: the names that items ask for.
        limits: the limits of cells and tests.
        mode: how trainings run.
        data_sets: folders with the raw files, by torchvision's names.
        hidden: folders that stay covered in the sandbox.
        left_out: names of layers that are not applied.
        deferred_snapshots: whether definitions are restored at the end of the notebook.
        files: what was handed in beside the notebooks, by path.
        seen: whether the outputs of cells are kept.
        device: the device that the sandbox may use.
        gpu: the UUID that the kernel is told.
    """
    deadline = time.monotonic() + limits.submission_seconds
    inside = {name: f"/datasets/{name}/raw" for name in data_sets or {}}
    shown = {Path(inside[name]): folder for name, folder in (data_sets or {}).items()}
    options = RunOptions(tuple(names), SEED, mode, inside, deferred_snapshots=deferred_snapshots, gpu=gpu)
    companions = [CompanionFile(path, data) for path, data in (files or {}).items()]
    chosen, _ = choose_files(notebooks, companions, limits)
    with (
        pack_handed_in(chosen) as handed_in,
        closing(Execution(outputs=KeptOutputs(limits) if seen else None)) as execution,
        zygote.sandbox(limits, hidden, left_out, shown, device) as sandbox,
    ):
        sandbox.handed_in = handed_in
        for notebook in notebooks:
            run_notebook(sandbox, notebook, options, limits, deadline, execution)
        # Tests look at helpers too, so whatever stands in the cells may be asked for.
        sources = " ".join(cell.source for notebook in notebooks for cell in notebook.cells)
        every = tuple(sorted(set(re.findall(r"[A-Za-z]\w*", sources)) | {*names, "no_such_name"}))
        with closing(SnapshotWork(execution, every, limits, SEED, notebooks)) as work:
            yield Ran(sandbox, execution, work, every)


def fault_of(function: Any, *args: Any, **kwargs: Mapping[str, Any]) -> tuple[Fault, str]:
    """Call what must end in a student's fault, and return it with its message."""
    try:
        answer = function(*args, **kwargs)
    except StudentFault as fault:
        return fault.fault, fault.message
    raise AssertionError(f"no fault but {answer!r}")
