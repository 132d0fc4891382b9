"""Entries of a gradebook, made in code: two items of 4 and 6 points."""

from __future__ import annotations

import csv
import io

from grader.gradebook import GradebookEntry
from grader.results.report import ItemResult, Report, Verdict

__all__ = ["cells", "entry", "report"]


def report(points: float = 10, pending: bool = False, message: str = "right in every case") -> Report:
    """Return a report of two items, whose second has what is left of the points after the first."""
    first, second = min(points, 4), max(points - 4, 0)
    verdict = Verdict.PENDING if pending else Verdict.PASSED if second == 6 else Verdict.PARTIAL
    items = (
        ItemResult("corr2d", "7.2", "Cross-correlation", first, 4, Verdict.PASSED, "right in every case"),
        ItemResult("lenet", "7.6", "LeNet", 0 if pending else second, 6, verdict, message),
    )
    return Report("hw2", "Homework 2", "r1", (), items)


def entry(
    name: str, points: float | None = 10, pending: bool = False, problem: str = "", **identifiers: str
) -> GradebookEntry:
    """Return an entry; without points it has no report."""
    of_it = None if points is None else report(points, pending)
    return GradebookEntry(name.casefold().replace(" ", "_"), name, identifiers, of_it, problem)


def cells(text: str, delimiter: str = ",") -> list[list[str]]:
    """Return a CSV file's cells."""
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), delimiter=delimiter, strict=True))
