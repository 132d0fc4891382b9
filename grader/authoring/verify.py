"""Shows that a rubric is right before a class is graded with it: grades submissions whose points are known.

The model solution and every correct alternative must get every point, an empty notebook none: they go the whole way,
through the sandbox. Each misconception must lose points in exactly the items that it says it breaks: there are hundreds
of them, they are our own code, and so they are judged in our own processes, at the seam where the sandbox would stand.
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

__all__ = ["Known", "find_known_submissions", "find_mutants", "verify"]


@dataclass(frozen=True)
class Known:
    """A notebook that must get every point or none; see `Checked` for its attributes."""

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
        assignment: the rubric, with its reference, alternatives/ and misconceptions/ beside it.
        zygote: the warm process to fork sandboxes from.
        jobs: how many are graded at once.
        progress: told in a few words what is being done.

    Raises:
        AssignmentError: the rubric contradicts itself, or has no reference.
        SystemFault: we or the machine broke.
    """
    rubric = load_rubric(assignment)
    known = list(find_known_submissions(rubric))
    mutants = list(find_mutants(rubric))
    checked: list[VerifiedSubmission] = []
    # New processes: a fork would have the threads of neither the sandboxes nor torch.
    spawn = multiprocessing.get_context("spawn")
    alone = ProcessPoolExecutor(jobs, spawn, initializer=torch.set_num_threads, initargs=(1,))
    with ThreadPoolExecutor(jobs) as threads, alone as processes:
        waiting = [threads.submit(_graded, each, assignment, zygote) for each in known]
        waiting += [processes.submit(_judged, assignment.folder, assignment.revision, each.id) for each in mutants]
        try:
            for number, future in enumerate(waiting, start=1):
                checked.append(future.result())
                progress(f"{number} of {len(waiting)}: {checked[-1].name}")
        except BaseException:
            threads.shutdown(cancel_futures=True)
            processes.shutdown(cancel_futures=True)
            raise
    return Verification(assignment.name, assignment.revision, _points(assignment), tuple(checked), _tests(rubric))


def _points(assignment: Assignment) -> float:
    """Return the points that tests alone decide: trainings are verified by `grader calibrate`."""
    return sum(item.points for item in assignment.tested)


def _tests(rubric: Rubric) -> tuple[RubricTest, ...]:
    trained = {item.id for item in rubric.assignment.trained}
    return tuple(
        RubricTest(test.item, name)
        for module in rubric.tests.values()
        for name, test in vars(module).items()
        if name.startswith("test") and getattr(test, "item", None) not in {None, *trained}
    )


def find_known_submissions(rubric: Rubric) -> Iterator[Known]:
    """Give the model solution, an empty notebook, and the alternatives."""
    solution, folder = rubric.solution, rubric.assignment.folder
    everything = tuple(item.id for item in rubric.assignment.tested)
    yield Known("solution", "the model solution", (), (), _submission(solution))
    yield Known("empty", "an empty notebook", (), everything, _submission(Solution(())))
    for path in sorted((folder / "alternatives").glob("*.py")):
        cells = list(read_cells(path, rubric.own_packages))
        replaces = tuple(cell.name for cell in cells if cell.name)
        changed = solution.with_definitions(cells)
        yield Known("alternative", path.stem.replace("_", " "), replaces, (), _submission(changed))


def find_mutants(rubric: Rubric) -> Iterator[Misconception]:
    """Give the misconceptions.

    Raises:
        AssignmentError: one replaces what the model solution does not define.
    """
    defined = {cell.name for cell in rubric.solution.cells}
    for each in rubric.misconceptions:
        if each.replaces not in defined:
            raise AssignmentError(f"misconception {each.id} replaces {each.replaces}, which the reference lacks")
        yield each


def _submission(solution: Solution) -> Submission:
    cells: list[dict[str, Any]] = [
        {"cell_type": "code", "source": cell.source, "metadata": {}, "outputs": [], "execution_count": None}
        for cell in solution.cells
    ]
    notebook = {"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": cells}
    return Submission((read_notebook("notebook.ipynb", json.dumps(notebook).encode()),))


def _graded(known: Known, assignment: Assignment, zygote: Zygote) -> VerifiedSubmission:
    report = grade(known.submission, assignment, zygote)
    return _checked(known.kind, known.name, known.replaces, known.must_lose, report.items, assignment)


def _judged(folder: Path, revision: str, identifier: str) -> VerifiedSubmission:
    """Judge a mutant; runs in a process of its own, which loads the rubric once."""
    rubric = _rubric_in(folder)
    assignment = rubric.assignment
    if assignment.revision != revision:
        raise AssignmentError(f"{folder} has changed while it was being verified: verify it again")
    mutant = next(each for each in rubric.misconceptions if each.id == identifier)
    work = LocalWork(rubric.solution.with_definitions(write_mutant(mutant, rubric.own_packages)))
    # All else is the model solution's, whose points are known.
    changed = rubric.solution.users_of(mutant.replaces)
    affected = [item.id for item in assignment.tested if (set(item.names) or {""}) & changed]
    items = judge(assignment, work, identifier, only=affected)
    must_lose = tuple(item.id for item in assignment.items if item.id in mutant.breaks)
    return _checked("mutant", identifier.replace("_", " "), (mutant.replaces,), must_lose, items, assignment)


@lru_cache(maxsize=1)
def _rubric_in(folder: Path) -> Rubric:
    return load_rubric(load_assignment(folder))


def _checked(
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
        points=_points(assignment) - sum(item.max_points - item.points for item in lost),
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
