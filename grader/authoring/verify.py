"""Verify a rubric before a class is graded with it, by grading submissions whose points are known.

The model solution and every correct alternative must get all points, an empty notebook none. These are graded in the
sandbox, like any submission. Each misconception must lose points in exactly the items that it says it breaks, and its
report must not name another one, unless it is declared that the two cannot be told apart. There are
hundreds of misconceptions and they are our own code, so they are judged in our own processes, without a sandbox. There,
too, each test meets answers that its author did not expect, and must not break over any of them.
"""

from __future__ import annotations

import json
import multiprocessing
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from grader.assignment import Assignment, load_assignment
from grader.authoring.breakages import find_breakages
from grader.authoring.fixed_key import FIXED_KEY
from grader.errors import AssignmentError
from grader.grading.grade import grade
from grader.judging.judge import judge
from grader.judging.loading import Rubric, load_rubric
from grader.judging.local import LocalWork
from grader.judging.misconceptions import write_mutant
from grader.judging.solution import Solution, read_cells
from grader.results.report import ItemResult, Verdict
from grader.results.verification import Breakage, Naming, RubricTest, Verification, VerifiedSubmission
from grader.sandbox.host.required_layers import accept_any_layers
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
    """Grade every known submission of an assignment, and try its tests with hostile answers.

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
    breakages: list[Breakage] = []
    # Spawned, because a fork would lack the threads of the sandboxes and of torch.
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, spawn, initializer=_prepare_process)
    with ThreadPoolExecutor(jobs) as threads, pool as processes:
        waiting = [threads.submit(_grade, submission, assignment, zygote) for submission in known]
        folder, revision = assignment.folder, assignment.revision
        waiting += [processes.submit(_judge_mutant, folder, revision, mutant.id) for mutant in mutants]
        tried = [processes.submit(_find_breakages, folder, revision, item.id) for item in assignment.tested]
        try:
            for number, future in enumerate(waiting, start=1):
                checked.append(future.result())
                progress(f"{number} of {len(waiting)}: {checked[-1].name}")
            for item, found in zip(assignment.tested, tried, strict=True):
                progress(f"hostile answers: {item.id}")
                breakages += found.result()
        except BaseException:
            threads.shutdown(cancel_futures=True)
            processes.shutdown(cancel_futures=True)
            raise
    return Verification(
        assignment.name,
        assignment.revision,
        _sum_points(assignment),
        tuple(checked),
        _list_tests(rubric),
        tuple(breakages),
    )


def _prepare_process() -> None:
    """Use one thread, and keep warnings of code that is wrong on purpose out of the output."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")


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
    report = grade(known.submission, assignment, zygote, key=FIXED_KEY, accept_layers=accept_any_layers)
    return _verify_items(known.kind, known.name, known.replaces, known.must_lose, report.items, assignment)


def _judge_mutant(folder: Path, revision: str, identifier: str) -> VerifiedSubmission:
    """Judge a mutant, in a process that loads the rubric once."""
    rubric = _load_rubric(folder, revision)
    assignment = rubric.assignment
    mutant = next(mutant for mutant in rubric.misconceptions if mutant.id == identifier)
    work = LocalWork(rubric.solution.with_definitions(write_mutant(mutant, rubric.own_packages)))
    # The other items use the model solution only, whose points are known.
    changed = rubric.solution.users_of(mutant.replaces)
    affected = [item for item in assignment.tested if (set(item.names) or {""}) & changed]
    # What they are built on is judged as well: it tells a mistake from one that a function below it would make.
    below = {name for item in affected for name in item.names}
    judged = [item.id for item in assignment.tested if item in affected or below & set(item.names[:1])]
    items = judge(assignment, work, identifier, only=judged)
    must_lose = tuple(item.id for item in assignment.items if item.id in mutant.breaks)
    name = identifier.replace("_", " ")
    verified = _verify_items("mutant", name, (mutant.replaces,), must_lose, items, assignment)
    same = {other.id for other in rubric.misconceptions if identifier in other.same_as} | mutant.same_as
    return replace(verified, same_as=tuple(sorted(same)))


def _find_breakages(folder: Path, revision: str, identifier: str) -> list[Breakage]:
    """Try the tests of an item with hostile answers, in a process that loads the rubric once."""
    rubric = _load_rubric(folder, revision)
    return find_breakages(rubric, next(item for item in rubric.assignment.tested if item.id == identifier))


@lru_cache(maxsize=1)
def _load_rubric(folder: Path, revision: str) -> Rubric:
    assignment = load_assignment(folder)
    if assignment.revision != revision:
        raise AssignmentError(f"{folder} has changed while it was being verified: verify it again")
    return load_rubric(assignment)


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
        names=tuple(Naming(item.id, item.misconceptions) for item in lost),
        why=f"{unexpected[0].id}: {unexpected[0].message}" if unexpected else "",
    )
