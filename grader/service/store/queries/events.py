"""Events: what happened in a batch, in an order that lets a reader resume after the last event it saw."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from grader.service.store.database import Store
from grader.service.store.schema import BatchRow, EventKind, EventRow

__all__ = ["Event", "find_events", "lock_events", "record_event", "record_event_each"]

_LARGEST_ID = 2**31 - 1  # that the column holds; `after` is any number that a client sends


@dataclass(frozen=True)
class Event:
    """Something that happened in a batch; `submission` is None if it happened to the whole batch."""

    id: int
    batch: str
    submission: str | None
    kind: EventKind
    detail: Mapping[str, Any]
    at: datetime


def record_event(
    session: Session, batch: str, submission: str | None, kind: EventKind, detail: Mapping[str, Any] | None = None
) -> None:
    """Add an event to the transaction. Call this last: until it ends, other transactions cannot record in this batch.

    Args:
        session: the transaction.
        batch: id of the batch. All events of one transaction should be of one batch.
        submission: id of the submission; None if it happened to the whole batch.
        kind: what happened.
        detail: plain JSON values, visible to everyone who may see the submission.
    """
    record_event_each(session, batch, [submission], kind, detail)


def record_event_each(
    session: Session,
    batch: str,
    submissions: Iterable[str | None],
    kind: EventKind,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Add the same event for each of these submissions; see `record_event`."""
    # PostgreSQL assigns ids before the commit. A transaction with a lower id could commit after one with a higher id,
    # and a reader that resumes after the higher one would miss the lower. So an id is assigned only while the batch is
    # locked: within a batch, ids are committed in order.
    lock_events(session, batch)
    session.add_all(
        EventRow(batch=batch, submission=submission, kind=kind, detail=dict(detail or {})) for submission in submissions
    )
    session.flush()


def lock_events(session: Session, batch: str) -> None:
    """Keep other transactions from recording in this batch until this one ends."""
    # SQLite has one writer at a time and does without this lock. Rows that refer to the batch may still be added.
    session.execute(select(BatchRow.id).where(BatchRow.id == batch).with_for_update(key_share=True))


def find_events(store: Store, batch_id: str, after: int = 0, limit: int = 1000) -> list[Event]:
    """Return a batch's events after the id `after`, oldest first. Resuming after the last one misses none."""
    query = (
        select(EventRow)
        .where(EventRow.batch == batch_id, EventRow.id > min(after, _LARGEST_ID))
        .order_by(EventRow.id)
        .limit(limit)
    )
    with store.read_session() as session:
        return [
            Event(row.id, row.batch, row.submission, row.kind, row.detail, row.at) for row in session.scalars(query)
        ]
