"""Verify a rubric before a class is graded with it, by grading submissions whose points are known.

The model solution and every correct alternative must get all points, an empty notebook none. These are graded in the
sandbox, like any submission. Each misconception must lose points in exactly the items that it says it breaks. There are
hundreds of misconceptions and they are our own code, so they are judged in our own processes, without a sandbox.
"""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from grader.assignment import Assignment, load_assignment
from grader.errors import AssignmentError
from grader.grading.grade import grade
from grader.judging.judge import judge
from grader.judging.loading import Rubric, load_rubric
from grader.judging.local import LocalWork
from grader.judging.misconceptions import write_mutant
from grader.judging.solution import Solution, read_cells
from grader.results.report import ItemResult, Verdict
from grader.results.verification import RubricTest, Verification, VerifiedSubmission
from grader.sandbox.host.sandbox import Zygote
from grader.submission.submission import Submission, read_notebook
from grader.testing.misconceptions import Misconception

__all__ = ["KnownSubmission", "find_known_submissions", "find_mutants", "verify"]


@dataclass(frozen=True)
class KnownSubmission:
    """A notebook that must get all points or none; see `VerifiedSubmission` for the attributes."""

    kind: str
    name: str
    replaces: tuple[str, ...]
    must_lose: tuple[str, ...]
    submission: Submission


def verify(
    assignment: Assignment, zygote: Zygote, *, jobs: int = 2, progress: Callable[[str], None] = lambda _: None
) -> Verification:
    """Grade every known submission of an assignment.

    Args:
        assignment: an assignment with a reference and, beside the rubric, alternatives/ and misconceptions/.
        zygote: the warm process to fork sandboxes from.
        jobs: how many submissions are graded at once.
        progress: called with a few words about the current step.

    Raises:
        AssignmentError: the rubric contradicts itself, or has no reference.
        SystemFault: the grader or the machine failed.
    """
    rubric = load_rubric(assignment)
    known = list(find_known_submissions(rubric))
    mutants = list(find_mutants(rubric))
    checked: list[VerifiedSubmission] = []
    # Spawned, because a fork would lack the threads of the sandboxes and of torch.
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, spawn, initializer=torch.set_num_threads, initargs=(1,))
    with ThreadPoolExecutor(jobs) as threads, pool as processes:
        waiting = [threads.submit(_grade, submission, assignment, zygote) for submission in known]
        waiting += [processes.submit(_judge_mutant, assignment.folder, assignment.revision, m.id) for m in mutants]
        try:
            for number, future in enumerate(waiting, start=1):
                checked.append(future.result())
                progress(f"{number} of {len(waiting)}: {checked[-1].name}")
        except BaseException:
            threads.shutdown(cancel_futures=True)
            processes.shutdown(cancel_futures=True)
            raise
    return Verification(
        assignment.name, assignment.revision, _sum_points(assignment), tuple(checked), _list_tests(rubric)
    )


def _sum_points(assignment: Assignment) -> float:
    """Return the points that tests decide. Items earned by training are verified by `grader calibrate`."""
    return sum(item.points for item in assignment.tested)


def _list_tests(rubric: Rubric) -> tuple[RubricTest, ...]:
    trained = {item.id for item in rubric.assignment.trained}
    return tuple(
        RubricTest(test.item, name)
        for module in rubric.tests.values()
        for name, test in vars(module).items()
        if name.startswith("test") and getattr(test, "item", None) not in {None, *trained}
    )


def find_known_submissions(rubric: Rubric) -> Iterator[KnownSubmission]:
    """Yield the model solution, an empty notebook and the alternatives."""
    solution, folder = rubric.solution, rubric.assignment.folder
    everything = tuple(item.id for item in rubric.assignment.tested)
    yield KnownSubmission("solution", "the model solution", (), (), _make_submission(solution))
    yield KnownSubmission("empty", "an empty notebook", (), everything, _make_submission(Solution(())))
    for path in sorted((folder / "alternatives").glob("*.py")):
        cells = list(read_cells(path, rubric.own_packages))
        replaces = tuple(cell.name for cell in cells if cell.name)
        changed = solution.with_definitions(cells)
        yield KnownSubmission("alternative", path.stem.replace("_", " "), replaces, (), _make_submission(changed))


def find_mutants(rubric: Rubric) -> Iterator[Misconception]:
    """Yield the misconceptions.

    Raises:
        AssignmentError: one replaces a name that the model solution does not define.
    """
    defined = {cell.name for cell in rubric.solution.cells}
    for misconception in rubric.misconceptions:
        if misconception.replaces not in defined:
            raise AssignmentError(
                f"misconception {misconception.id} replaces {misconception.replaces}, which the reference lacks"
            )
        yield misconception


def _make_submission(solution: Solution) -> Submission:
    cells: list[dict[str, Any]] = [
        {"cell_type": "code", "source": cell.source, "metadata": {}, "outputs": [], "execution_count": None}
        for cell in solution.cells
    ]
    notebook = {"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": cells}
    return Submission((read_notebook("notebook.ipynb", json.dumps(notebook).encode()),))


def _grade(known: KnownSubmission, assignment: Assignment, zygote: Zygote) -> VerifiedSubmission:
    report = grade(known.submission, assignment, zygote)
    return _verify_items(known.kind, known.name, known.replaces, known.must_lose, report.items, assignment)


def _judge_mutant(folder: Path, revision: str, identifier: str) -> VerifiedSubmission:
    """Judge a mutant, in a process that loads the rubric once."""
    rubric = _load_rubric(folder)
    assignment = rubric.assignment
    if assignment.revision != revision:
        raise AssignmentError(f"{folder} has changed while it was being verified: verify it again")
    mutant = next(mutant for mutant in rubric.misconceptions if mutant.id == identifier)
    work = LocalWork(rubric.solution.with_definitions(write_mutant(mutant, rubric.own_packages)))
    # The other items use the model solution only, whose points are known.
    changed = rubric.solution.users_of(mutant.replaces)
    affected = [item.id for item in assignment.tested if (set(item.names) or {""}) & changed]
    items = judge(assignment, work, identifier, only=affected)
    must_lose = tuple(item.id for item in assignment.items if item.id in mutant.breaks)
    return _verify_items("mutant", identifier.replace("_", " "), (mutant.replaces,), must_lose, items, assignment)


@lru_cache(maxsize=1)
def _load_rubric(folder: Path) -> Rubric:
    return load_rubric(load_assignment(folder))


def _verify_items(
    kind: str,
    name: str,
    replaces: tuple[str, ...],
    must_lose: tuple[str, ...],
    items: Sequence[ItemResult],
    assignment: Assignment,
) -> VerifiedSubmission:
    tested = {item.id for item in assignment.tested}
    lost = [item for item in items if item.points < item.max_points and item.id in tested]
    unexpected = [item for item in lost if item.id not in must_lose]
    return VerifiedSubmission(
        kind=kind,
        name=name,
        replaces=replaces,
        must_lose=must_lose,
        points=_sum_points(assignment) - sum(item.max_points - item.points for item in lost),
        loses=tuple(item.id for item in lost),
        failed=tuple(
            RubricTest(item.id, test)
            for item in lost
            for test, verdict in item.tests.items()
            if verdict is not Verdict.PASSED
        ),
        named=tuple(sorted({item.misconception for item in lost if item.misconception})),
        why=f"{unexpected[0].id}: {unexpected[0].message}" if unexpected else "",
    )
