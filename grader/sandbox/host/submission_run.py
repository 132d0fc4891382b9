"""Running a whole submission and having its work judged, a second time if the first run cannot be trusted.

If nothing is trained, definitions are recorded as checkpoints and restored at the end of their notebook, which is much
cheaper than a snapshot of each. A later cell may have changed in place what a checkpoint refers to. A wrong verdict on
such a definition is not believed: the submission is run again with real snapshots, and the wrong items are judged anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from grader.assignment import Assignment
from grader.errors import RubricFault
from grader.gpu.device import DeviceAccess
from grader.models.recipe import Mode
from grader.place import describe_cell
from grader.results.notice import Notice
from grader.results.report import ItemResult, Verdict
from grader.sandbox.host.execution import Execution, RunOptions
from grader.sandbox.host.fresh_work import FreshWork
from grader.sandbox.host.handed_in import choose_files, pack_handed_in
from grader.sandbox.host.notebook import run_notebook
from grader.sandbox.host.required_layers import require_layers
from grader.sandbox.host.sandbox import Sandbox, ZygoteLine
from grader.sandbox.host.slot import Slot
from grader.sandbox.host.snapshot_work import SnapshotWork
from grader.sandbox.protocol.layers import LayerStatus
from grader.sandbox.protocol.limits import Limits
from grader.sandbox.protocol.outputs import KeptOutputs
from grader.student import Work
from grader.submission.submission import CompanionFile, Notebook

__all__ = ["JudgeWork", "RunResult", "SubmissionRun"]

_UNSTEADY = (
    "some functions respond differently when the same calls are made again, so each item was judged after a run of the "
    "notebook of its own"
)


class JudgeWork(Protocol):
    """A function that judges a submission whose cells have been run."""

    def __call__(
        self,
        work: Work,
        execution: Execution,
        *,
        only: Collection[str] | None,
        are_judged_again: Callable[[Collection[str]], bool],
    ) -> Sequence[ItemResult]:
        """Return the results of some items.

        Args:
            work: what the student did.
            execution: how the cells ran.
            only: ids of the items to judge; None for all.
            are_judged_again: takes the ids of the items that are lost, and tells whether they will be judged again.
                Then why they are lost need not be found.
        """


@dataclass(frozen=True)
class RunResult:
    """The items of a submission as they were judged, and the run of its cells.

    `seconds` is how long the cells took, including the start of the sandbox. If there was a second run, `execution`,
    `layers` and `seconds` are still those of the first.
    """

    items: Sequence[ItemResult]
    execution: Execution
    layers: tuple[LayerStatus, ...]
    seconds: float


@dataclass(frozen=True)
class SubmissionRun:
    """The notebooks of a submission, with everything that is needed to run them.

    Args:
        notebooks: the notebooks, in order.
        files: what was handed in beside them.
        assignment: the rubric, which names what items ask for.
        zygote: the warm process to fork sandboxes from.
        options: what the kernels record; `deferred_snapshots` is decided here.
        limits: the limits of the cells and of the tests.
        slot: the time for everything together.
        hidden: folders of the host that stay covered in the sandbox.
        shown: folders of the sandbox, with the folder of the host that is bound there.
        device: what the sandbox needs to use a GPU; None for none.
        left_out: names of sandbox layers that are not applied.
        accept_layers: called with the layers of a sandbox before it runs anything; it raises if they do not suffice.
        keeps_outputs: whether the outputs of cells are kept.
        progress: called with a few words on each step.
    """

    notebooks: Sequence[Notebook]
    assignment: Assignment
    zygote: ZygoteLine
    options: RunOptions
    limits: Limits
    slot: Slot
    hidden: Sequence[Path] = ()
    shown: Mapping[Path, Path] = field(default_factory=dict)
    device: DeviceAccess | None = None
    left_out: frozenset[str] = frozenset()
    accept_layers: Callable[[Sequence[LayerStatus]], None] = require_layers
    files: Sequence[CompanionFile] = ()
    keeps_outputs: bool = False
    progress: Callable[[str], None] = lambda _: None

    def judge_with(self, judge: JudgeWork, only: Collection[str] | None = None) -> RunResult:
        """Run the notebooks and judge what they defined, twice if the first run leaves doubts.

        Args:
            judge: judges the work while its sandbox is there.
            only: ids of the items to judge; None for all.

        Raises:
            InputError: `accept_layers` refused the sandbox.
            RubricFault: a test of the rubric broke.
            SandboxFault: our side of the sandbox broke.
        """
        # If trainings run, a second run would cost more than the snapshots do.
        deferred_snapshots = self.options.mode is Mode.NONE
        try:
            first = self._run_once(judge, only, deferred_snapshots=deferred_snapshots)
        except RubricFault:
            if not deferred_snapshots:
                raise
            # Whatever the test broke over, it may not be what the student defined.
            return self._run_once(judge, only, deferred_snapshots=False)
        lost = [item.id for item in first.items if item.verdict not in (Verdict.PASSED, Verdict.PENDING)]
        doubtful = lost if self._are_doubtful(first.execution, lost) else []
        if not doubtful:
            return first
        again: Sequence[ItemResult] = [item for item in first.items if item.id in doubtful]
        enough = self.slot.left > first.seconds  # else the cells alone would take longer
        if enough:
            again = self._run_once(judge, doubtful, deferred_snapshots=False).items
        if not enough or self.slot.is_over:
            text = f"the submission ran past its {self.slot.seconds:g} s in all"
            first.execution.add_limit(text)
            again = [item if item.verdict is Verdict.PASSED else _leave_undecided(item, text) for item in again]
        items = {item.id: item for item in (*first.items, *again)}
        return replace(first, items=tuple(items.values()))

    def _run_once(self, judge: JudgeWork, only: Collection[str] | None, *, deferred_snapshots: bool) -> RunResult:
        options = replace(self.options, deferred_snapshots=deferred_snapshots)
        started = time.monotonic()
        with self._run_cells(options) as (sandbox, execution, work):
            seconds = time.monotonic() - started
            self.progress("judging")
            items = judge(work, execution, only=only, are_judged_again=partial(self._are_doubtful, execution))
            is_steady = work.is_steady()
            if any(item.verdict is not Verdict.PASSED for item in items):
                sandbox.require_alive()
            layers = sandbox.layers
        if not is_steady:
            items = self._judge_each_anew(judge, items, execution, work, options)
        return RunResult(items, execution, layers, seconds)

    @contextmanager
    def _run_cells(self, options: RunOptions) -> Iterator[tuple[Sandbox, Execution, SnapshotWork]]:
        device = self.device if options.gpu else None
        limits = replace(self.limits, submission_seconds=min(self.limits.submission_seconds, max(0, self.slot.left)))
        deadline = time.monotonic() + limits.submission_seconds
        files, notices = choose_files(self.notebooks, self.files, self.limits)
        outputs = KeptOutputs(self.limits) if self.keeps_outputs else None
        with (
            pack_handed_in(files) as handed_in,
            closing(Execution(outputs=outputs, on_cell=self._note_cell)) as execution,
            self.zygote.sandbox(self.limits, self.hidden, self.left_out, self.shown, device) as sandbox,
        ):
            self.accept_layers(sandbox.layers)
            sandbox.handed_in = handed_in
            for notice in notices:
                execution.add_notice(notice)
            for notebook in self.notebooks:
                self.progress(f"running {notebook.name}")
                run_notebook(sandbox, notebook, options, limits, deadline, execution)
            with closing(self._make_work(execution, options)) as work:
                yield sandbox, execution, work

    def _note_cell(self, file: str, cell: int) -> None:
        (cells, *_) = [len(notebook.cells) for notebook in self.notebooks if notebook.name == file]
        self.progress(f"running {file}, {describe_cell(cell, cells)}")

    def _judge_each_anew(
        self,
        judge: JudgeWork,
        items: Sequence[ItemResult],
        execution: Execution,
        work: SnapshotWork,
        options: RunOptions,
    ) -> Sequence[ItemResult]:
        """Judge the items that earned points again, each test after a run of the cells of its own."""
        trained = {item.id for item in self.assignment.trained}
        earned = [item.id for item in items if item.points and item.id not in trained]
        if not earned:
            return items
        execution.add_notice(Notice(_UNSTEADY))

        # No item that is judged here needs a training. Without trainings, all states are opened in the kernel itself.
        deferred_snapshots = options.deferred_snapshots or options.mode is not Mode.NONE
        options = replace(options, mode=Mode.NONE, deferred_snapshots=deferred_snapshots, gpu="")

        @contextmanager
        def run() -> Iterator[SnapshotWork]:
            with self._run_cells(options) as (_, _, again):
                yield again

        deadline = time.monotonic() + min(self.limits.submission_seconds, self.slot.left)
        fresh = FreshWork(work, run, deadline)
        again = judge(fresh, execution, only=earned, are_judged_again=lambda _: False)
        # A share of the points is for what is right on some inputs, and not in some calls.
        certain = [item if item.verdict is Verdict.PASSED else replace(item, points=0.0) for item in again]
        results = {item.id: item for item in (*items, *certain)}
        return tuple(results.values())

    def _make_work(self, execution: Execution, options: RunOptions) -> SnapshotWork:
        names = self.assignment.names
        return SnapshotWork(execution, names, self.limits, options.seed, self.notebooks, self.slot)

    def _are_doubtful(self, execution: Execution, lost: Collection[str]) -> bool:
        """Tell whether the lost items have to be judged again with real snapshots, because one of them may be right.

        Then it is all of them, because the explanation of one item may also be used for the next.
        """
        restored = [snapshot for snapshot in execution.snapshots if not snapshot.is_exact]
        uncertain = {name for snapshot in restored for name in snapshot.names}
        return any(uncertain & {*item.names} for item in self.assignment.items if item.id in lost)


def _leave_undecided(item: ItemResult, why: str) -> ItemResult:
    """Return an item that would have been judged again, and for which there was no time."""
    message = f"{why}, before this could be judged again as it stood: a person decides"
    return replace(item, points=0, verdict=Verdict.PENDING, message=message, evidence={}, misconception=None)
