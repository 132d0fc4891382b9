"""Marks: what a person gives the items that no test judges, for staff at once, for students once it is published.

A mark belongs to a submission and an item, not to a report: it outlives a regrade. It joins the report whenever that is
read (`grader.results.marks.add_marks`), and sums of points are joined here, by the same rule.
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
    "note_waiting",
    "publish_marks",
    "set_mark",
    "sum_marked_points",
]

_PLACES = 4  # of points, as reports have


@dataclass(frozen=True)
class Unmarked:
    """An item of a submission that waits for a person; `name` is the submission's."""

    submission: str
    key: str
    name: str
    item: str


@dataclass(frozen=True)
class MarkedPoints:
    """What marks add to a report.

    Attributes:
        points: that they give.
        decided: the points that they decide, given or not.
        version: changes whenever one of the marks does, "" where there is none.
    """

    points: float = 0.0
    decided: float = 0.0
    version: str = ""

    def added_to(self, score: float) -> float:
        """Return a report's score with the marks."""
        return round(score + self.points, _PLACES)

    def taken_from(self, pending_points: float) -> float:
        """Return a report's points that are still to be decided."""
        return round(pending_points - self.decided, _PLACES)


def set_mark(store: Store, submission_id: str, item: str, points: float, comment: str, token_id: str) -> Mark:
    """Give an item of a submission a mark, in place of the one it has.

    Args:
        store: where it is.
        submission_id: whose.
        item: its id.
        points: from 0 to what the item gives.
        comment: for the student.
        token_id: who gives it.

    Raises:
        InputError: the submission's newest report has no such item that a person marks, or the points do not fit.
    """
    with store.session() as session:
        batch = _held_batch(session, submission_id)
        query = select(WaitingItemRow.max_points).join(SubmissionRow, WaitingItemRow.report == select_last_report())
        wanted = query.where(SubmissionRow.id == submission_id, WaitingItemRow.item == item)
        check_mark(item, points, comment, session.scalar(wanted))
        _put(session, submission_id, item, round(points, _PLACES), comment, token_id)
        (mark,) = (each for each in _marks(session, submission_id) if each.item == item)
        record_event(session, batch, submission_id, EventKind.MARKED, {"item": item})
    return mark


def clear_mark(store: Store, submission_id: str, item: str) -> bool:
    """Take a mark back, and tell whether there was one; students see what is published until the next publishing."""
    mine = (MarkRow.submission == submission_id) & (MarkRow.item == item) & MarkRow.points.is_not(None)
    with store.session() as session:
        batch = _held_batch(session, submission_id)
        taken_back = session.execute(
            update(MarkRow).where(mine).values(points=None, comment="", draft=True, at=now()).returning(MarkRow.id)
        ).all()
        _forget(session, MarkRow.submission == submission_id)
        if taken_back:
            record_event(session, batch, submission_id, EventKind.MARKED, {"item": item, "cleared": True})
    return bool(taken_back)


def find_marks(store: Store, submission_id: str, published_only: bool = False) -> list[Mark]:
    """Return a submission's marks by item.

    Args:
        store: where they are.
        submission_id: whose.
        published_only: leave out what is not published, as students see it; else as staff do.
    """
    with store.reading() as session:
        return _marks(session, submission_id, published_only)


def find_unmarked(store: Store, batch_id: str) -> list[Unmarked]:
    """Return what a batch's newest reports have that waits for a person, item by item, and within an item by key."""
    its_mark = (MarkRow.submission == SubmissionRow.id) & (MarkRow.item == WaitingItemRow.item) & _fits(MarkRow.points)
    query = (
        select(SubmissionRow.id, SubmissionRow.key, SubmissionRow.name, WaitingItemRow.item)
        .join(WaitingItemRow, WaitingItemRow.report == select_last_report())
        .outerjoin(MarkRow, its_mark)
        .where(SubmissionRow.batch == batch_id, MarkRow.id.is_(None))
        .order_by(WaitingItemRow.position, WaitingItemRow.item, SubmissionRow.key)
    )
    with store.reading() as session:
        return [Unmarked(*row) for row in session.execute(query)]


def count_marked_items(store: Store, batch_id: str) -> dict[str, int]:
    """Return how many a person marks in a batch's newest reports, marked or not, by item in the rubric's order."""
    query = (
        select(WaitingItemRow.item, func.count())
        .join(SubmissionRow, WaitingItemRow.report == select_last_report())
        .where(SubmissionRow.batch == batch_id)
        .group_by(WaitingItemRow.item)
        .order_by(func.min(WaitingItemRow.position), WaitingItemRow.item)
    )
    with store.reading() as session:
        return dict(session.execute(query).all())


def sum_marked_points(session: Session, reports: Collection[int], published_only: bool) -> Mapping[int, MarkedPoints]:
    """Return what marks add to each of these reports, by its id: nothing to those that have none."""
    points, _, at = _seen(published_only)
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
    found = dict.fromkeys(reports, MarkedPoints())
    for report, given, decided, count, last in session.execute(query):
        found[report] = MarkedPoints(given, decided, f"{count} until {last.isoformat()}")
    return found


def note_waiting(session: Session, report_id: int, report: Report) -> None:
    """Note which items of a report that is being kept wait for a person."""
    waiting = [
        {"report": report_id, "item": item.id, "position": position, "max_points": item.max_points}
        for position, item in enumerate(report.items)
        if item.by_person
    ]
    if waiting:
        session.execute(insert(WaitingItemRow), waiting)


def publish_marks(session: Session, batch_id: str) -> dict[str, int]:
    """Let students see a batch's marks as they are now; return how many have changed of each submission."""
    mine = MarkRow.submission.in_(select(SubmissionRow.id).where(SubmissionRow.batch == batch_id))
    changed = session.scalars(
        update(MarkRow)
        .where(mine, MarkRow.draft)
        .values(
            draft=False,
            published_points=MarkRow.points,
            published_comment=MarkRow.comment,
            published_at=now(),
        )
        .returning(MarkRow.submission)
    ).all()
    _forget(session, mine)
    return dict(Counter(changed))


def _held_batch(session: Session, submission_id: str) -> str:
    """Return a submission's batch, held: publishing holds it first and takes its marks then, so this does as well."""
    batch = session.scalar(select(SubmissionRow.batch).where(SubmissionRow.id == submission_id))
    if batch is None:
        raise InputError(f"there is no submission {submission_id[:100]!r}; check its id")
    lock_events(session, batch)
    return batch


def _marks(session: Session, submission_id: str, published_only: bool = False) -> list[Mark]:
    points, comment, at = _seen(published_only)
    query = (
        select(MarkRow.item, points, comment, TokenRow.name, at)
        .join(TokenRow, TokenRow.id == MarkRow.token)
        .where(MarkRow.submission == submission_id, points.is_not(None))
        .order_by(MarkRow.item)
    )
    return [Mark(*row) for row in session.execute(query)]


def _put(session: Session, submission_id: str, item: str, points: float, comment: str, token_id: str) -> None:
    values = {"points": points, "comment": comment, "token": token_id, "draft": True}
    insert_or_not: Any = sqlite.insert if session.connection().dialect.name == "sqlite" else postgresql.insert
    session.execute(
        insert_or_not(MarkRow)
        .values(submission=submission_id, item=item, **values)
        .on_conflict_do_update(index_elements=["submission", "item"], set_={**values, "at": now()})
    )


def _seen(published_only: bool) -> tuple[Any, Any, Any]:
    """Return the columns of a mark's points, comment and time, as students or as staff see them."""
    if published_only:
        return MarkRow.published_points, MarkRow.published_comment, MarkRow.published_at
    return MarkRow.points, MarkRow.comment, MarkRow.at


def _forget(session: Session, which: ColumnElement[bool]) -> None:
    """Delete rows that hold nothing any more, neither for staff nor for students."""
    session.execute(delete(MarkRow).where(which, MarkRow.points.is_(None), MarkRow.published_points.is_(None)))


def _fits(points: Any) -> ColumnElement[bool]:
    """Tell whether there is a mark, and the item it is joined with gives as many points."""
    fits: ColumnElement[bool] = points.is_not(None) & (points <= WaitingItemRow.max_points)
    return fits
