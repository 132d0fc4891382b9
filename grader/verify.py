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

__all__ = ["Checked", "Known", "Verification", "known_submissions", "verify"]


@dataclass(frozen=True)
class Known:
    """A submission whose points are known; `loses` has the items in which it must lose some."""

    kind: str  # "solution", "empty", "alternative" or "mutant"
    name: str
    replaces: str
    submission: Submission
    loses: frozenset[str]


@dataclass(frozen=True)
class Checked:
    """What grading a known submission came to; `failed_tests` are those that went wrong, by the items they judge."""

    known: Known
    points: float
    loses: frozenset[str]
    failed_tests: tuple[tuple[str, frozenset[str]], ...]
    named: frozenset[str]  # the misconceptions that the report names
    why: str = ""  # what the report says about the first item that was not expected to be lost

    @property
    def right(self) -> bool:
        """Whether it lost points exactly where it must."""
        return self.loses == self.known.loses

    @property
    def survived(self) -> bool:
        """Whether it is a mutant that lost nothing."""
        return self.known.kind == "mutant" and not self.loses


@dataclass(frozen=True)
class Verification:
    """What grading all known submissions came to."""

    assignment: Assignment
    checked: tuple[Checked, ...]
    tests: frozenset[tuple[str, str]]  # (item, name of the test)

    @property
    def mutants(self) -> tuple[Checked, ...]:
        """The misconceptions among the submissions."""
        return tuple(each for each in self.checked if each.known.kind == "mutant")

    @property
    def killed(self) -> int:
        """How many mutants lost points in exactly the items that they break."""
        return sum(each.right for each in self.mutants)

    @property
    def unneeded(self) -> tuple[tuple[str, str], ...]:
        """The tests, with their items, without which every mutant would be caught all the same."""
        needed = {
            (item, next(iter(failed)))
            for each in self.mutants
            for item, failed in each.failed_tests
            if len(failed) == 1
        }
        return tuple(sorted(self.tests - needed))

    @property
    def perfect(self) -> bool:
        """Whether every submission came to what it must."""
        return all(each.right for each in self.checked)

    def to_json(self) -> str:
        """Return it as JSON."""
        rows: list[dict[str, Any]] = [
            {
                "kind": each.known.kind,
                "name": each.known.name,
                "replaces": each.known.replaces,
                "points": each.points,
                "loses": sorted(each.loses),
                "must_lose": sorted(each.known.loses),
                "named": sorted(each.named),
                "right": each.right,
            }
            for each in self.checked
        ]
        values = {
            "assignment": self.assignment.name,
            "revision": self.assignment.revision,
            "perfect": self.perfect,
            "mutants": len(self.mutants),
            "killed": self.killed,
            "unneeded_tests": [{"item": item, "test": test} for item, test in self.unneeded],
            "submissions": rows,
        }
        return json.dumps(values, indent=1, ensure_ascii=False) + "\n"


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
        try:
            for each in pool.map(
                lambda known: _checked(known, grade(known.submission, assignment, zygote)), everything
            ):
                checked.append(each)
                progress(f"{len(checked)} of {len(everything)}: {each.known.name}")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    tests = {
        (str(test.item), name)
        for module in rubric.tests.values()
        for name, test in vars(module).items()
        if name.startswith("test") and hasattr(test, "item")
    }
    return Verification(assignment, tuple(checked), frozenset(tests))


def known_submissions(rubric: Rubric) -> Iterator[Known]:
    """Give the model solution, an empty notebook, the alternatives and the mutants.

    Raises:
        AssignmentError: a misconception replaces what the model solution does not define.
    """
    solution, folder = rubric.solution, rubric.assignment.folder
    everything = frozenset(item.id for item in rubric.assignment.items)
    yield Known("solution", "the model solution", "", _submission(solution), frozenset())
    yield Known("empty", "an empty notebook", "", _submission(Solution(())), everything)
    for path in sorted((folder / "alternatives").glob("*.py")):
        cells = list(cells_of(path, rubric.own_packages))
        name, replaced = path.stem.replace("_", " "), ", ".join(cell.name for cell in cells if cell.name)
        yield Known("alternative", name, replaced, _submission(solution.with_definitions(cells)), frozenset())
    defined = {cell.name for cell in solution.cells}
    for each in rubric.misconceptions:
        if each.replaces not in defined:
            raise AssignmentError(f"misconception {each.id} replaces {each.replaces}, which the reference lacks")
        mutated = solution.with_definitions(each.cells(rubric.own_packages))
        yield Known("mutant", each.id.replace("_", " "), each.replaces, _submission(mutated), each.breaks)


def _submission(solution: Solution) -> Submission:
    cells: list[dict[str, Any]] = [
        {"cell_type": "code", "source": cell.source, "metadata": {}, "outputs": [], "execution_count": None}
        for cell in solution.cells
    ]
    notebook = {"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": cells}
    return Submission((read_notebook("notebook.ipynb", json.dumps(notebook).encode()),))


def _checked(known: Known, report: Report) -> Checked:
    lost = [item for item in report.items if item.points < item.max_points]
    unexpected = [item for item in lost if item.id not in known.loses]
    failed = [
        (item.id, frozenset(name for name, verdict in item.tests.items() if verdict is not Verdict.PASSED))
        for item in lost
    ]
    return Checked(
        known,
        report.score,
        frozenset(item.id for item in lost),
        tuple(failed),
        frozenset(item.misconception for item in lost if item.misconception),
        f"{unexpected[0].id}: {unexpected[0].message}" if unexpected else "",
    )
