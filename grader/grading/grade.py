"""Grading one submission: the whole product as a function."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

from grader.assignment import Assignment, list_assignment_folders
from grader.cache_folder import cache_folder
from grader.errors import MemoryFault
from grader.gpu.access import find_access
from grader.gpu.device import GPU
from grader.grading.out_of_sight import has_to_be_covered, require_out_of_sight
from grader.grading.unreadable import report_unreadable
from grader.installation_key import InstallationKey, load_installation_key
from grader.judging.absence import AbsenceReasons
from grader.judging.judge import judge
from grader.judging.judge import load as load_tests
from grader.memory_limit import MemoryExceeded, limit_memory
from grader.models.recipe import Mode
from grader.results.report import File, ItemResult, Report
from grader.sandbox.host.execution import Execution, RunOptions
from grader.sandbox.host.required_layers import require_layers
from grader.sandbox.host.sandbox import ZygoteLine
from grader.sandbox.host.slot import Slot
from grader.sandbox.host.submission_run import RunResult, SubmissionRun
from grader.sandbox.protocol.layers import LayerStatus
from grader.sandbox.protocol.limits import Limits
from grader.student import Work
from grader.submission.executed_notebook import ExecutedNotebook, make_executed_notebook
from grader.submission.submission import Submission
from grader.submission.written.answers import add_written_answers
from grader.submission.written.fingerprints import load_fingerprints
from grader.submission.written.headings import HeadingReader
from grader.training.datasets import find_data_set, make_shown_folder
from grader.training.idx import DATA_SETS
from grader.training.trainer import Trainer

__all__ = ["adapt_limits", "grade", "load"]

# Debian's packages of data sets. Training data is kept out of the sandbox.
_DATA_SETS = Path("/usr/share/datasets")
_OURSELVES = Path(__file__).resolve().parents[1]  # in site-packages, which students can read, if it is installed there
_SHOWN = Path("/datasets")
_TRAININGS = 4  # in a notebook


def load(assignment: Assignment) -> None:
    """Load ahead of time what `grade` would load for the first submission.

    Raises:
        AssignmentError: the rubric is wrong, or the fingerprints of the assignment's book cannot be read.
    """
    load_tests(assignment)
    if assignment.by_person:
        HeadingReader.of(assignment)
    if assignment.written.book:
        load_fingerprints(assignment.written.book)


def grade(
    submission: Submission,
    assignment: Assignment,
    zygote: ZygoteLine,
    *,
    key: InstallationKey | None = None,
    mode: Mode = Mode.NONE,
    trainer: Trainer | None = None,
    gpu: GPU | None = None,
    only: Collection[str] | None = None,
    left_out: frozenset[str] = frozenset(),
    accept_layers: Callable[[Sequence[LayerStatus]], None] = require_layers,
    progress: Callable[[str], None] = lambda _: None,
    executed: Callable[[Sequence[ExecutedNotebook]], None] | None = None,
) -> Report:
    """Grade a submission: run its cells in a sandbox, judge what they defined, and report.

    If no notebook could be read, no sandbox is started and nothing is decided; the report says why.

    Args:
        submission: the student's notebooks, and the files beside them.
        assignment: the rubric, with its limits.
        zygote: the warm process to fork the sandbox from.
        key: all that is random is derived from it; None for the key of this installation.
        mode: how trainings run.
        trainer: trains the models; None if the mode is none or the data set is missing.
        gpu: the GPU that nothing else uses meanwhile. The cells may use it in mode full if the assignment says so; None
            for no GPU.
        only: ids of the items to judge; None for all.
        left_out: names of sandbox layers that are not applied, to show that a layer is needed.
        accept_layers: called with the layers of each sandbox before it runs anything; it raises if they do not suffice.
        progress: called with a few words on each step.
        executed: called with the notebooks and their outputs; None if they are not needed.

    Raises:
        AssignmentError: the rubric contradicts itself.
        InputError: the key of this installation cannot be read, or lies where students could read it. Or a layer does
            not hold without which strangers' work is not graded.
        MemoryFault: this process would have needed more memory for the submission than it may take.
        RubricFault: a test of the rubric broke over this submission.
        SystemFault: the grader or the machine broke; the submission may be graded again.
    """
    if not submission.notebooks:
        return report_unreadable(submission, assignment, only)
    started = time.monotonic()
    installation = key or load_installation_key()
    require_out_of_sight(installation)

    def derive(purpose: str) -> str:
        return installation.derive(purpose, submission.identity, assignment.revision)

    shown = _find_shown(trainer)
    lent = gpu if mode is Mode.FULL and assignment.gpu.notebooks else None
    limits = adapt_limits(mode, assignment.limits, len(submission.notebooks))
    slot = Slot(limits.slot_seconds)
    run = SubmissionRun(
        submission.notebooks,
        assignment,
        zygote,
        RunOptions(
            names=_find_names(assignment, only),
            # Students can read this seed from their generators. It tells nothing about the seed of the tests.
            seed=int(derive("kernel")[:8], 16),
            mode=mode,
            data_sets={folder.parent.name: str(folder) for folder in shown},
            variables=assignment.variables,
            gpu=lent.uuid if lent else "",
        ),
        limits,
        slot,
        hidden=_find_hidden(assignment, trainer),
        shown=shown,
        device=find_access(lent) if lent else None,
        left_out=left_out,
        accept_layers=accept_layers,
        files=submission.files,
        keeps_outputs=executed is not None,
        progress=progress,
    )

    def judge_work(
        work: Work,
        execution: Execution,
        *,
        only: Collection[str] | None,
        are_judged_again: Callable[[Collection[str]], bool],
    ) -> Sequence[ItemResult]:
        trained = trainer.seconds if trainer else 0.0
        results = judge(
            assignment,
            work,
            derive("judging"),
            only,
            mode=mode,
            trainer=trainer,
            progress=progress,
            absences=_explain_absences(submission, execution),
            notebooks=submission.notebooks,
            are_judged_again=are_judged_again,
        )
        slot.give_back(trainer.seconds - trained if trainer else 0.0)
        return results

    with _limit_memory(assignment.limits):
        result = run.judge_with(judge_work, only)
        total_seconds = time.monotonic() - started
        items = add_written_answers(list(result.items), submission, assignment, only)
        if executed:
            executed(_make_executed(submission, result.execution))
        report = _make_report(submission, assignment, installation, items, result, total_seconds)
        return replace(report, device=lent.name) if lent else report


@contextmanager
def _limit_memory(limits: Limits) -> Iterator[None]:
    """Limit the memory that this process takes for one submission in the body.

    Raises:
        MemoryFault: it would have needed more.
    """
    try:
        with limit_memory(limits.judging_memory_bytes):
            yield
    except MemoryExceeded as error:
        raise MemoryFault(
            f"the process that judges {error} for this submission (judging_memory_bytes of rubric.toml); no other "
            "submission is affected"
        ) from error


def _find_names(assignment: Assignment, only: Collection[str] | None) -> tuple[str, ...]:
    """Return the names that the judged items ask for. No others are recorded, because each definition costs time."""
    judged = (item for item in assignment.items if only is None or item.id in only)
    return tuple(sorted({name for item in judged for name in item.names}))


def _explain_absences(submission: Submission, execution: Execution) -> AbsenceReasons:
    notices = [notice for notebook in submission.notebooks for notice in notebook.notices]
    results = tuple(execution.cells.values())
    return AbsenceReasons(submission.notebooks, results, (*submission.notices, *notices, *execution.notices))


def _make_executed(submission: Submission, execution: Execution) -> list[ExecutedNotebook]:
    outputs = execution.outputs.cells if execution.outputs else {}
    return [make_executed_notebook(notebook, execution.cells, outputs) for notebook in submission.notebooks]


def _make_report(
    submission: Submission,
    assignment: Assignment,
    key: InstallationKey,
    items: Sequence[ItemResult],
    result: RunResult,
    total_seconds: float,
) -> Report:
    execution = result.execution
    order = [notebook.name for notebook in submission.notebooks]
    cells = sorted(execution.cells, key=lambda place: (order.index(place[0]), place[1]))
    notices = [notice for notebook in submission.notebooks for notice in notebook.notices]
    return Report(
        assignment=assignment.name,
        title=assignment.title,
        revision=assignment.revision,
        key=key.id,
        files=tuple(File(book.name, book.sha256, len(book.cells)) for book in submission.notebooks),
        items=tuple(items),
        cells=tuple(execution.cells[place] for place in cells),
        layers=result.layers,
        limits_hit=tuple(execution.limits_hit),
        notices=(*submission.notices, *notices, *execution.notices),
        companions=tuple(File(file.path, file.sha256) for file in submission.files),
        timing={
            "cells_seconds": round(result.seconds, 4),
            "total_seconds": round(total_seconds, 4),
            "cells": [
                {"file": file, "cell": cell, "seconds": round(execution.seconds.get((file, cell), 0.0), 4)}
                for file, cell in cells
            ],
        },
    )


def adapt_limits(mode: Mode, limits: Limits, notebooks: int) -> Limits:
    """Return the limits of the cells. In full mode, trainings run as written and have a budget of their own.

    Args:
        mode: how trainings run.
        limits: the assignment's limits.
        notebooks: the number of notebooks in the submission.
    """
    if mode is not Mode.FULL:
        return limits
    cell = limits.training_cell_seconds
    more = _TRAININGS * notebooks * cell
    return replace(
        limits,
        cell_seconds=cell,
        submission_seconds=limits.submission_seconds + more,
        slot_seconds=limits.slot_seconds + more,
    )


def _find_shown(trainer: Trainer | None) -> Mapping[Path, Path]:
    """Return the folders of data sets in the sandbox, each with its folder on the host."""
    if trainer is None:
        return {}
    others = (find_data_set(name) for name in DATA_SETS if name != trainer.data_set.name)
    offered = [trainer.data_set, *(data_set for data_set in others if data_set is not None)]
    return {_SHOWN / data_set.name / "raw": _get_shown_folder(data_set) for data_set in offered}


_get_shown_folder = cache(make_shown_folder)  # it reads every byte of a data set


def _find_hidden(assignment: Assignment, trainer: Trainer | None) -> list[Path]:
    """Return the folders that stay covered, even if they lie inside a folder that the sandbox can read."""
    given = trainer.folder if trainer else None
    folders = [
        assignment.folder,
        *list_assignment_folders(),
        _OURSELVES,
        _DATA_SETS,
        cache_folder(),
        *([given] if given else []),
        *([assignment.reference] if assignment.reference else []),
    ]
    return [folder for folder in folders if has_to_be_covered(folder)]
