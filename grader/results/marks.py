"""Marks that a person gives: checking them and adding them to a report."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from grader.errors import InputError
from grader.results.report import ItemResult, Report, Verdict

__all__ = ["LONGEST_COMMENT", "WITHOUT_COMMENT", "Mark", "add_marks", "check_mark", "describe_waiting"]

LONGEST_COMMENT = 2000  # characters; reports show no more
WITHOUT_COMMENT = "marked by a person"  # the message in the report if there is no comment


@dataclass(frozen=True)
class Mark:
    """The mark of one item of one submission.

    Attributes:
        item: the id of the item.
        points: from 0 to the item's points.
        comment: a comment for the student.
        by: who gave the mark, as staff name them; no student sees it.
        at: when it was given, in UTC.
    """

    item: str
    points: float
    comment: str
    by: str
    at: datetime


def check_mark(item: str, points: float, comment: str, max_points: float | None) -> None:
    """Check a mark before it is stored.

    Args:
        item: the id of the marked item.
        points: the points of the mark.
        comment: the comment for the student.
        max_points: the item's points; None if the report has no such item that a person marks.

    Raises:
        InputError: there is nothing to mark, or points or comment are out of bounds.
    """
    if max_points is None:
        raise InputError(f"{item[:200]!r} is no item that a person marks in this submission; choose one that waits")
    if not (math.isfinite(points) and 0 <= points <= max_points):
        raise InputError(f"{item} gives from 0 to {max_points:g} points, not {points:g}; give points within these")
    if len(comment) > LONGEST_COMMENT:
        raise InputError(f"the comment on {item} has {len(comment):,} characters; shorten it to {LONGEST_COMMENT:,}")


def add_marks(report: Report, marks: Iterable[Mark]) -> Report:
    """Return the report with these marks and no others. Items without a mark are pending.

    A mark with more points than its item gives by now is ignored, so that the item is pending again.
    """
    by_item = {mark.item: mark for mark in marks}
    items = tuple(_apply(item, by_item.get(item.id)) if item.by_person else item for item in report.items)
    return replace(report, items=items)


def _apply(item: ItemResult, mark: Mark | None) -> ItemResult:
    if mark is None or mark.points > item.max_points:
        return replace(item, points=0, verdict=Verdict.PENDING, message=describe_waiting(item.evidence))
    verdict = Verdict.PASSED if mark.points == item.max_points else Verdict.PARTIAL if mark.points else Verdict.FAILED
    return replace(item, points=mark.points, verdict=verdict, message=mark.comment.strip() or WITHOUT_COMMENT)


def describe_waiting(evidence: Mapping[str, Any]) -> str:
    """Return the message of an item that waits for a person, from its evidence."""
    if "awaits_person" in evidence:
        return str(evidence["awaits_person"])
    pictures = len(evidence.get("pictures", ()))
    counts = ((evidence.get("words", 0), "word"), (evidence.get("code_cells", 0), "code cell"), (pictures, "picture"))
    found = [_count(number, noun) for number, noun in counts if number]
    book = evidence.get("book_paragraphs", 0)
    if not found:
        book_only = (
            f"; its {_count(book, 'paragraph')} of text {'is' if book == 1 else 'are'} the book's" if book else ""
        )
        return f"waits for a person; no discussion found{book_only}"
    without = f"; {_count(book, 'paragraph')} of the book left out" if book else ""
    return f"waits for a person ({', '.join(found)}{without})"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun if number == 1 else f'{noun}s'}"
