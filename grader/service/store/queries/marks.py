"""Marks: points that a person gives for items that no test judges.

Staff see a mark at once, students once it is published. A mark belongs to a submission and an item, not to a report, so
it survives a regrade. Reports get their marks whenever they are read (`grader.results.marks.add_marks`); this module
adds them to sums of points by the same rule.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from grader.errors import InputError
from grader.results.marks import Mark, check_mark
from grader.results.report import Report
from grader.service.store.columns import now
from grader.service.store.database import Store
from grader.service.store.queries.events import lock_events, record_event
from grader.service.store.schema import (
    EventKind,
    MarkRow,
    ReportRow,
    SubmissionRow,
    TokenRow,
    WaitingItemRow,
    select_last_report,
)

__all__ = [
    "MarkedPoints",
    "Unmarked",
    "clear_mark",
    "count_marked_items",
    "find_marks",
    "find_unmarked",
    "publish_marks",
    "record_waiting_items",
    "set_mark",
    "sum_marked_points",
]

_DECIMALS = 4  # of points, as in reports


@dataclass(frozen=True)
class Unmarked:
    """An item of a submission without a mark. `key` and `name` are those of the submission."""

    submission: str
    key: str
    name: str
    item: str


@dataclass(frozen=True)
class MarkedPoints:
    """What marks add to a report.

    Attributes:
        points: sum of the points given.
        decided: sum of the points that the marked items can give.
        version: changes whenever one of the marks does; "" if there is none.
    """

    points: float = 0.0
    decided: float = 0.0
    version: str = ""

    def add_to(self, score: float) -> float:
        """Return a report's score including the marks."""
        return round(score + self.points, _DECIMALS)

    def subtract_from(self, pending_points: float) -> float:
        """Return the points of a report that are still pending."""
        return round(pending_points - self.decided, _DECIMALS)


def set_mark(store: Store, submission_id: str, item: str, points: float, comment: str, token_id: str) -> Mark:
    """Mark an item of a submission, replacing its mark if it has one.

    Args:
        store: the store.
        submission_id: the submission.
        item: id of the item.
        points: from 0 to the item's points.
        comment: comment for the student.
        token_id: id of the token of the person who marks.

    Raises:
        InputError: the submission's newest report has no such item to mark by hand, or the points are out of range.
    """
    with store.session() as session:
        batch = _lock_batch(session, submission_id)
        query = select(WaitingItemRow.max_points).join(SubmissionRow, WaitingItemRow.report == select_last_report())
        max_points = session.scalar(query.where(SubmissionRow.id == submission_id, WaitingItemRow.item == item))
        check_mark(item, points, comment, max_points)
        _upsert(session, submission_id, item, round(points, _DECIMALS), comment, token_id)
        (mark,) = (mark for mark in _load_marks(session, submission_id) if mark.item == item)
        record_event(session, batch, submission_id, EventKind.MARKED, {"item": item})
    return mark


def clear_mark(store: Store, submission_id: str, item: str) -> bool:
    """Remove a mark and return whether there was one. Students see the published mark until the next publishing."""
    existing = (MarkRow.submission == submission_id) & (MarkRow.item == item) & MarkRow.points.is_not(None)
    with store.session() as session:
        batch = _lock_batch(session, submission_id)
        removed = session.execute(
            update(MarkRow).where(existing).values(points=None, comment="", draft=True, at=now()).returning(MarkRow.id)
        ).all()
        _delete_empty(session, MarkRow.submission == submission_id)
        if removed:
            record_event(session, batch, submission_id, EventKind.MARKED, {"item": item, "cleared": True})
    return bool(removed)


def find_marks(store: Store, submission_id: str, published_only: bool = False) -> list[Mark]:
    """Return a submission's marks by item.

    Args:
        store: the store.
        submission_id: the submission.
        published_only: whether to return marks as students see them, without unpublished changes.
    """
    with store.read_session() as session:
        return _load_marks(session, submission_id, published_only)


def find_unmarked(store: Store, batch_id: str) -> list[Unmarked]:
    """Return the unmarked items of a batch's newest reports, ordered by item and then by key."""
    its_mark = (MarkRow.submission == SubmissionRow.id) & (MarkRow.item == WaitingItemRow.item) & _fits(MarkRow.points)
    query = (
        select(SubmissionRow.id, SubmissionRow.key, SubmissionRow.name, WaitingItemRow.item)
        .join(WaitingItemRow, WaitingItemRow.report == select_last_report())
        .outerjoin(MarkRow, its_mark)
        .where(SubmissionRow.batch == batch_id, MarkRow.id.is_(None))
        .order_by(WaitingItemRow.position, WaitingItemRow.item, SubmissionRow.key)
    )
    with store.read_session() as session:
        return [Unmarked(*row) for row in session.execute(query)]


def count_marked_items(store: Store, batch_id: str) -> dict[str, int]:
    """Return how often each item is to be marked by hand in a batch's newest reports, in the rubric's order."""
    query = (
        select(WaitingItemRow.item, func.count())
        .join(SubmissionRow, WaitingItemRow.report == select_last_report())
        .where(SubmissionRow.batch == batch_id)
        .group_by(WaitingItemRow.item)
        .order_by(func.min(WaitingItemRow.position), WaitingItemRow.item)
    )
    with store.read_session() as session:
        return dict(session.execute(query).all())


def sum_marked_points(session: Session, reports: Collection[int], published_only: bool) -> Mapping[int, MarkedPoints]:
    """Return what marks add to each of these reports, by its id. Reports without marks get zero."""
    points, _, at = _choose_columns(published_only)
    query = (
        select(
            WaitingItemRow.report,
            func.sum(points),
            func.sum(WaitingItemRow.max_points),
            func.count(),
            func.max(at),
        )
        .join(ReportRow, ReportRow.id == WaitingItemRow.report)
        .join(MarkRow, (MarkRow.submission == ReportRow.submission) & (MarkRow.item == WaitingItemRow.item))
        .where(WaitingItemRow.report.in_(reports), _fits(points))
        .group_by(WaitingItemRow.report)
    )
    sums = dict.fromkeys(reports, MarkedPoints())
    for report, given, decided, count, last in session.execute(query):
        sums[report] = MarkedPoints(given, decided, f"{count} until {last.isoformat()}")
    return sums


def record_waiting_items(session: Session, report_id: int, report: Report) -> None:
    """Record which items of a new report have to be marked by hand."""
    waiting = [
        {"report": report_id, "item": item.id, "position": position, "max_points": item.max_points}
        for position, item in enumerate(report.items)
        if item.by_person
    ]
    if waiting:
        session.execute(insert(WaitingItemRow), waiting)


def publish_marks(session: Session, batch_id: str) -> dict[str, int]:
    """Let students see a batch's current marks. Return the number of changed marks by submission."""
    of_batch = MarkRow.submission.in_(select(SubmissionRow.id).where(SubmissionRow.batch == batch_id))
    changed = session.scalars(
        update(MarkRow)
        .where(of_batch, MarkRow.draft)
        .values(
            draft=False,
            published_points=MarkRow.points,
            published_comment=MarkRow.comment,
            published_at=now(),
        )
        .returning(MarkRow.submission)
    ).all()
    _delete_empty(session, of_batch)
    return dict(Counter(changed))


def _lock_batch(session: Session, submission_id: str) -> str:
    """Lock a submission's batch and return its id. Publishing also locks the batch first and its marks second."""
    batch = session.scalar(select(SubmissionRow.batch).where(SubmissionRow.id == submission_id))
    if batch is None:
        raise InputError(f"there is no submission {submission_id[:100]!r}; check the id")
    lock_events(session, batch)
    return batch


def _load_marks(session: Session, submission_id: str, published_only: bool = False) -> list[Mark]:
    points, comment, at = _choose_columns(published_only)
    query = (
        select(MarkRow.item, points, comment, TokenRow.name, at)
        .join(TokenRow, TokenRow.id == MarkRow.token)
        .where(MarkRow.submission == submission_id, points.is_not(None))
        .order_by(MarkRow.item)
    )
    return [Mark(*row) for row in session.execute(query)]


def _upsert(session: Session, submission_id: str, item: str, points: float, comment: str, token_id: str) -> None:
    values = {"points": points, "comment": comment, "token": token_id, "draft": True}
    insert_or_not: Any = sqlite.insert if session.connection().dialect.name == "sqlite" else postgresql.insert
    session.execute(
        insert_or_not(MarkRow)
        .values(submission=submission_id, item=item, **values)
        .on_conflict_do_update(index_elements=["submission", "item"], set_={**values, "at": now()})
    )


def _choose_columns(published_only: bool) -> tuple[Any, Any, Any]:
    """Return the columns with points, comment and time of a mark, as students or as staff see it."""
    if published_only:
        return MarkRow.published_points, MarkRow.published_comment, MarkRow.published_at
    return MarkRow.points, MarkRow.comment, MarkRow.at


def _delete_empty(session: Session, which: ColumnElement[bool]) -> None:
    """Delete rows that hold no mark any more, neither for staff nor for students."""
    session.execute(delete(MarkRow).where(which, MarkRow.points.is_(None), MarkRow.published_points.is_(None)))


def _fits(points: Any) -> ColumnElement[bool]:
    """Return the condition that there is a mark and that its item can give as many points."""
    fits: ColumnElement[bool] = points.is_not(None) & (points <= WaitingItemRow.max_points)
    return fits
