"""Running a whole submission and having its work judged, a second time if the first run cannot be trusted.

If nothing is trained, definitions are recorded as checkpoints and restored at the end of their notebook, which is much
cheaper than a snapshot of each. A later cell may have changed in place what a checkpoint refers to. A wrong verdict on
such a definition is not believed: the submission is run again with real snapshots, and the wrong items are judged anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from grader.assignment import Assignment
from grader.models.recipe import Mode
from grader.results.report import ItemResult, Verdict
from grader.sandbox.host.execution import Execution, RunOptions
from grader.sandbox.host.handed_in import choose_files, pack_handed_in
from grader.sandbox.host.notebook import run_notebook
from grader.sandbox.host.sandbox import ZygoteLine
from grader.sandbox.host.snapshot_work import SnapshotWork
from grader.sandbox.protocol.layers import LayerStatus
from grader.sandbox.protocol.limits import Limits
from grader.sandbox.protocol.outputs import KeptOutputs
from grader.student import Work
from grader.submission.submission import CompanionFile, Notebook

__all__ = ["JudgeWork", "RunResult", "SubmissionRun"]


class JudgeWork(Protocol):
    """A function that judges a submission whose cells have been run."""

    def __call__(self, work: Work, execution: Execution, *, only: Collection[str] | None) -> Sequence[ItemResult]:
        """Return the results of the items with these ids, or of all items if `only` is None."""


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
        hidden: folders of the host that stay covered in the sandbox.
        shown: folders of the sandbox, with the folder of the host that is bound there.
        left_out: names of sandbox layers that are not applied.
        keeps_outputs: whether the outputs of cells are kept.
        progress: called with a few words on each step.
    """

    notebooks: Sequence[Notebook]
    assignment: Assignment
    zygote: ZygoteLine
    options: RunOptions
    limits: Limits
    hidden: Sequence[Path] = ()
    shown: Mapping[Path, Path] = field(default_factory=dict)
    left_out: frozenset[str] = frozenset()
    files: Sequence[CompanionFile] = ()
    keeps_outputs: bool = False
    progress: Callable[[str], None] = lambda _: None

    def judge_with(self, judge: JudgeWork, only: Collection[str] | None = None) -> RunResult:
        """Run the notebooks and judge what they defined, twice if the first run leaves doubts.

        Args:
            judge: judges the work while its sandbox is there.
            only: ids of the items to judge; None for all.

        Raises:
            SandboxFault: our side of the sandbox broke.
        """
        # If trainings run, a second run would cost more than the snapshots do.
        first = self._run_once(judge, only, deferred_snapshots=self.options.mode is Mode.NONE)
        doubtful = self._find_doubtful(first)
        if not doubtful:
            return first
        second = self._run_once(judge, doubtful, deferred_snapshots=False)
        items = {item.id: item for item in (*first.items, *second.items)}
        return replace(first, items=tuple(items.values()))

    def _run_once(self, judge: JudgeWork, only: Collection[str] | None, *, deferred_snapshots: bool) -> RunResult:
        options = replace(self.options, deferred_snapshots=deferred_snapshots)
        started = time.monotonic()
        deadline = started + self.limits.submission_seconds
        files, notices = choose_files(self.notebooks, self.files, self.limits)
        with (
            pack_handed_in(files) as handed_in,
            closing(Execution(outputs=KeptOutputs(self.limits) if self.keeps_outputs else None)) as execution,
            self.zygote.sandbox(self.limits, self.hidden, self.left_out, self.shown) as sandbox,
        ):
            sandbox.handed_in = handed_in
            for notice in notices:
                execution.add_notice(notice)
            for notebook in self.notebooks:
                self.progress(f"running {notebook.name}")
                run_notebook(sandbox, notebook, options, self.limits, deadline, execution)
            seconds = time.monotonic() - started
            self.progress("judging")
            with closing(SnapshotWork(execution, self.assignment.names, self.limits, options.seed)) as work:
                items = judge(work, execution, only=only)
            if any(item.verdict is not Verdict.PASSED for item in items):
                sandbox.require_alive()
        return RunResult(items, execution, sandbox.layers, seconds)

    def _find_doubtful(self, result: RunResult) -> list[str]:
        """Return the ids of the items to judge again with real snapshots; none if every wrong one is certain."""
        names = {item.id: frozenset(item.names) for item in self.assignment.items}
        restored = [snapshot for snapshot in result.execution.snapshots if not snapshot.is_exact]
        uncertain = {name for snapshot in restored for name in snapshot.names}
        wrong = [item.id for item in result.items if item.verdict not in (Verdict.PASSED, Verdict.PENDING)]
        # All wrong items, because the explanation of one item may also be used for the next.
        return wrong if any(names[item] & uncertain for item in wrong) else []
