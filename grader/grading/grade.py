"""Grading one submission: the whole product as a function."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from grader.assignment import RUBRICS, Assignment
from grader.judging.judge import judge, load
from grader.models.recipe import Mode
from grader.results.report import File, ItemResult, Report, Verdict
from grader.sandbox.host.execution import Execution, RunOptions
from grader.sandbox.host.notebook import run_notebook
from grader.sandbox.host.sandbox import ZygoteLine
from grader.sandbox.host.snapshot_work import SnapshotWork
from grader.sandbox.protocol.layers import LayerStatus
from grader.sandbox.protocol.limits import Limits
from grader.sandbox.protocol.outputs import KeptOutputs
from grader.submission.discussion import add_discussions
from grader.submission.executed_notebook import ExecutedNotebook, make_executed_notebook
from grader.submission.submission import Submission
from grader.training.datasets import find_data_set, make_shown_folder
from grader.training.idx import DATA_SETS
from grader.training.trainer import Trainer

__all__ = ["adapt_limits", "grade", "load"]

# Debian's packages of data sets: training data is kept out of the sandbox.
_DATA_SETS = Path("/usr/share/datasets")
_SHOWN = Path("/datasets")
_TRAININGS = 4  # in a notebook


def grade(
    submission: Submission,
    assignment: Assignment,
    zygote: ZygoteLine,
    *,
    mode: Mode = Mode.NONE,
    trainer: Trainer | None = None,
    only: Collection[str] | None = None,
    left_out: frozenset[str] = frozenset(),
    progress: Callable[[str], None] = lambda _: None,
    executed: Callable[[Sequence[ExecutedNotebook]], None] | None = None,
) -> Report:
    """Run a submission's cells in a sandbox, judge what they defined, train what is to be trained, and report.

    Args:
        submission: what the student handed in.
        assignment: the rubric, with its limits.
        zygote: the warm process to fork the sandbox from.
        mode: what is done with trainings.
        trainer: what trains, and on what; None where the mode is none or the data set is missing.
        only: ids of the items that are judged; None for all.
        left_out: names of sandbox layers that are not applied; for showing that a layer is needed.
        progress: told in a few words what is being done.
        executed: handed the notebooks as they ran; None where nobody wants them.

    Raises:
        AssignmentError: the rubric contradicts itself.
        SystemFault: we or the machine broke; the submission may be graded again.
    """
    started = time.monotonic()
    seed, limits = _seed(submission, assignment), adapt_limits(mode, assignment.limits, len(submission.notebooks))
    shown = _shown(trainer)
    folders = {folder.parent.name: str(folder) for folder in shown}
    # Where trainings run, a second run for what moments cannot tell would cost more than snapshots do.
    watch = RunOptions(
        _asked_for(assignment, only), seed, mode, folders, assignment.variables, moments=mode is Mode.NONE
    )

    def run(watch: RunOptions, only: Collection[str] | None) -> _Run:
        inside = zygote.sandbox(limits, _hidden(assignment), left_out, shown)
        begun = time.monotonic()
        with closing(Execution(outputs=KeptOutputs(limits) if executed else None)) as execution, inside as sandbox:
            for notebook in submission.notebooks:
                progress(f"running {notebook.name}")
                run_notebook(sandbox, notebook, watch, limits, begun + limits.submission_seconds, execution)
            ran = time.monotonic()
            progress("judging")
            with closing(SnapshotWork(execution, assignment.names, limits, seed)) as work:
                items = judge(
                    assignment, work, submission.identity, only, mode=mode, trainer=trainer, progress=progress
                )
            if any(item.verdict is not Verdict.PASSED for item in items):
                sandbox.require_alive()
        return _Run(items, execution, sandbox.layers, ran - begun)

    first = run(watch, only)
    items = {item.id: item for item in first.items}
    if doubted := first.doubted(assignment):
        items |= {item.id: item for item in run(replace(watch, moments=False), doubted).items}
    seconds = {"cells_seconds": round(first.seconds, 4), "total_seconds": round(time.monotonic() - started, 4)}
    found = add_discussions(list(items.values()), submission, assignment, only)
    if executed and (kept := first.execution.outputs):
        ran = first.execution.cells
        executed([make_executed_notebook(each, ran, kept.cells) for each in submission.notebooks])
    return _report(submission, assignment, found, first.execution, first.layers, seconds)


@dataclass(frozen=True)
class _Run:
    """What running and judging a submission came to; `seconds` are those of its cells."""

    items: Sequence[ItemResult]
    execution: Execution
    layers: tuple[LayerStatus, ...]
    seconds: float

    def doubted(self, assignment: Assignment) -> list[str]:
        """Return the items to judge once more with real snapshots: none where each stood surely as it was judged."""
        names = {each.id: frozenset(each.names) for each in assignment.items}
        unsure: frozenset[str] = frozenset().union(*(s.names for s in self.execution.snapshots if not s.same))
        wrong = [item.id for item in self.items if item.verdict not in (Verdict.PASSED, Verdict.PENDING)]
        # All of them, because what explains one item is told for the next as well.
        return wrong if any(names[each] & unsure for each in wrong) else []


def _report(
    submission: Submission,
    assignment: Assignment,
    items: Sequence[ItemResult],
    execution: Execution,
    layers: tuple[LayerStatus, ...],
    seconds: Mapping[str, float],
) -> Report:
    order = [notebook.name for notebook in submission.notebooks]
    places = sorted(execution.cells, key=lambda place: (order.index(place[0]), place[1]))
    return Report(
        assignment=assignment.name,
        title=assignment.title,
        revision=assignment.revision,
        files=tuple(File(notebook.name, notebook.sha256) for notebook in submission.notebooks),
        items=tuple(items),
        cells=tuple(execution.cells[place] for place in places),
        layers=layers,
        limits_hit=tuple(execution.limits_hit),
        notices=(*(str(notice) for each in submission.notebooks for notice in each.notices), *execution.notices),
        timing={
            **seconds,
            "cells": [
                {"file": file, "cell": cell, "seconds": round(execution.seconds.get((file, cell), 0.0), 4)}
                for file, cell in places
            ],
        },
    )


def _asked_for(assignment: Assignment, only: Collection[str] | None) -> tuple[str, ...]:
    """Return the names whose definitions matter: each moment at which one of them is made costs a fork."""
    judged = (item for item in assignment.items if only is None or item.id in only)
    return tuple(sorted({name for item in judged for name in item.names}))


def adapt_limits(mode: Mode, limits: Limits, notebooks: int) -> Limits:
    """Return the limits of the cells: where trainings run as written, they have a budget of their own.

    Args:
        mode: what is done with trainings.
        limits: the assignment's.
        notebooks: how many a submission has.
    """
    if mode is not Mode.FULL:
        return limits
    cell = limits.training_cell_seconds
    whole = limits.submission_seconds + _TRAININGS * notebooks * cell
    return replace(limits, cell_seconds=cell, submission_seconds=whole)


def _shown(trainer: Trainer | None) -> dict[Path, Path]:
    """Return the folders of the sandbox in which data sets are, and where they are on the host."""
    if trainer is None:
        return {}
    others = (find_data_set(name) for name in DATA_SETS if name != trainer.data_set.name)
    offered = [trainer.data_set, *(each for each in others if each is not None)]
    return {_SHOWN / each.name / "raw": _folder_of(each) for each in offered}


_folder_of = cache(make_shown_folder)  # which looks at each byte that is there


def _hidden(assignment: Assignment) -> list[Path]:
    """Return the folders that stay covered even where one lies inside what the sandbox can read."""
    return [assignment.folder, RUBRICS, _DATA_SETS, *([assignment.reference] if assignment.reference else [])]


def _seed(submission: Submission, assignment: Assignment) -> int:
    digest = hashlib.sha256(f"{submission.identity} {assignment.revision}".encode()).digest()
    return int.from_bytes(digest[:4], "big")
