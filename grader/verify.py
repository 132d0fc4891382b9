"""Shows that a rubric is right before a class is graded with it: grades submissions whose points are known.

The model solution and every correct alternative must get every point, an empty notebook none, and each misconception
must lose points in exactly the items that it says it breaks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from grader.assignment import Assignment
from grader.errors import AssignmentError
from grader.grade import grade
from grader.report import Report, Verdict
from grader.sandbox.sandbox import Zygote
from grader.submission import Submission, read_notebook
from grader.testing.loading import Rubric, load_rubric
from grader.testing.solution import Solution, cells_of
from grader.verification import Checked, RubricTest, Verification

__all__ = ["Known", "known_submissions", "verify"]


@dataclass(frozen=True)
class Known:
    """A submission of which it is known in which items it must lose points; see `Checked` for its attributes."""

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
    everything = list(known_submissions(rubric))
    checked: list[Checked] = []
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        waiting = [pool.submit(_checked, known, assignment, zygote) for known in everything]
        try:
            for number, future in enumerate(waiting, start=1):
                checked.append(future.result())
                progress(f"{number} of {len(waiting)}: {checked[-1].name}")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return Verification(assignment.name, assignment.revision, assignment.points, tuple(checked), _tests(rubric))


def _tests(rubric: Rubric) -> tuple[RubricTest, ...]:
    return tuple(
        RubricTest(test.item, name)
        for module in rubric.tests.values()
        for name, test in vars(module).items()
        if name.startswith("test") and hasattr(test, "item")
    )


def known_submissions(rubric: Rubric) -> Iterator[Known]:
    """Give the model solution, an empty notebook, the alternatives and the mutants.

    Raises:
        AssignmentError: a misconception replaces what the model solution does not define.
    """
    solution, folder = rubric.solution, rubric.assignment.folder
    everything = tuple(item.id for item in rubric.assignment.items)
    yield Known("solution", "the model solution", (), (), _submission(solution))
    yield Known("empty", "an empty notebook", (), everything, _submission(Solution(())))
    for path in sorted((folder / "alternatives").glob("*.py")):
        cells = list(cells_of(path, rubric.own_packages))
        replaces = tuple(cell.name for cell in cells if cell.name)
        changed = solution.with_definitions(cells)
        yield Known("alternative", path.stem.replace("_", " "), replaces, (), _submission(changed))
    defined = {cell.name for cell in solution.cells}
    for each in rubric.misconceptions:
        if each.replaces not in defined:
            raise AssignmentError(f"misconception {each.id} replaces {each.replaces}, which the reference lacks")
        changed = solution.with_definitions(each.cells(rubric.own_packages))
        must_lose = tuple(item for item in everything if item in each.breaks)
        yield Known("mutant", each.id.replace("_", " "), (each.replaces,), must_lose, _submission(changed))


def _submission(solution: Solution) -> Submission:
    cells: list[dict[str, Any]] = [
        {"cell_type": "code", "source": cell.source, "metadata": {}, "outputs": [], "execution_count": None}
        for cell in solution.cells
    ]
    notebook = {"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": cells}
    return Submission((read_notebook("notebook.ipynb", json.dumps(notebook).encode()),))


def _checked(known: Known, assignment: Assignment, zygote: Zygote) -> Checked:
    return _of(known, grade(known.submission, assignment, zygote))


def _of(known: Known, report: Report) -> Checked:
    lost = [item for item in report.items if item.points < item.max_points]
    unexpected = [item for item in lost if item.id not in known.must_lose]
    return Checked(
        kind=known.kind,
        name=known.name,
        replaces=known.replaces,
        must_lose=known.must_lose,
        points=report.score,
        loses=tuple(item.id for item in lost),
        failed=tuple(
            RubricTest(item.id, name)
            for item in lost
            for name, verdict in item.tests.items()
            if verdict is not Verdict.PASSED
        ),
        named=tuple(sorted({item.misconception for item in lost if item.misconception})),
        why=f"{unexpected[0].id}: {unexpected[0].message}" if unexpected else "",
    )
