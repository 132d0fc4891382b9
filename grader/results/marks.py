"""Marks that a person gave: how they are checked, and how they join a report."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from grader.errors import InputError
from grader.results.report import ItemResult, Report, Verdict

__all__ = ["LONGEST_COMMENT", "WITHOUT_COMMENT", "Mark", "add_marks", "check_mark", "describe_waiting"]

LONGEST_COMMENT = 2000  # characters, as many as reports show
WITHOUT_COMMENT = "marked by a person"  # what a report says then


@dataclass(frozen=True)
class Mark:
    """What a person gave one item of one submission.

    Attributes:
        item: its id.
        points: from 0 to what the item gives.
        comment: for the student.
        by: who gave it, as staff call them; no student sees it.
        at: when, in UTC.
    """

    item: str
    points: float
    comment: str
    by: str
    at: datetime


def check_mark(item: str, points: float, comment: str, max_points: float | None) -> None:
    """Check a mark before it is kept.

    Args:
        item: the id of the item that it is for.
        points: what is given.
        comment: for the student.
        max_points: what the item gives; None where the report has no such item that a person marks.

    Raises:
        InputError: there is nothing to mark, or the mark is out of its bounds.
    """
    if max_points is None:
        raise InputError(f"{item[:200]!r} is no item that a person marks in this submission; choose one that waits")
    if not (math.isfinite(points) and 0 <= points <= max_points):
        raise InputError(f"{item} gives from 0 to {max_points:g} points, not {points:g}; give points within these")
    if len(comment) > LONGEST_COMMENT:
        raise InputError(f"the comment on {item} has {len(comment):,} characters; shorten it to {LONGEST_COMMENT:,}")


def add_marks(report: Report, marks: Iterable[Mark]) -> Report:
    """Return a report with these marks and no other; what has none waits, as it did when it was graded.

    A mark that the report has no place for, as after its item gives fewer points, is left out: the item waits again.
    """
    by_item = {mark.item: mark for mark in marks}
    items = tuple(_with(item, by_item.get(item.id)) if item.by_person else item for item in report.items)
    return replace(report, items=items)


def _with(item: ItemResult, mark: Mark | None) -> ItemResult:
    if mark is None or mark.points > item.max_points:
        return replace(item, points=0, verdict=Verdict.PENDING, message=describe_waiting(item.evidence))
    verdict = Verdict.PASSED if mark.points == item.max_points else Verdict.PARTIAL if mark.points else Verdict.FAILED
    return replace(item, points=mark.points, verdict=verdict, message=mark.comment.strip() or WITHOUT_COMMENT)


def describe_waiting(evidence: Mapping[str, Any]) -> str:
    """Return what an item says that waits for a person, by its evidence."""
    words = evidence.get("words", 0)
    if not words:
        return "waits for a person; no discussion found"
    return f"waits for a person ({words:,} {'word' if words == 1 else 'words'})"
