"""Events: what happened in a batch, in an order that a reader can go on from."""

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

_LARGEST = 2**31 - 1  # id that the column holds; `after` is whatever a client says


@dataclass(frozen=True)
class Event:
    """Something that happened in a batch; `submission` is None where it happened to the whole batch."""

    id: int
    batch: str
    submission: str | None
    kind: EventKind
    detail: Mapping[str, Any]
    at: datetime


def record_event(
    session: Session, batch: str, submission: str | None, kind: EventKind, detail: Mapping[str, Any] | None = None
) -> None:
    """Add an event to the transaction. Call it last: until the end it makes others wait who record in this batch.

    Args:
        session: the transaction in which it happens.
        batch: its id; all events of one transaction should be of one batch.
        submission: its id, or None where it happened to the whole batch.
        kind: what happened.
        detail: plain JSON values; whoever may see the submission may see them.
    """
    record_event_each(session, batch, [submission], kind, detail)


def record_event_each(
    session: Session,
    batch: str,
    submissions: Iterable[str | None],
    kind: EventKind,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Add the same event for each of these submissions, as `record` does."""
    # PostgreSQL hands out ids before the commit: a transaction with a lower id could commit after one with a higher
    # id, and a reader that goes on after the higher one would miss it. So an id is taken only by who holds the batch:
    # within a batch, ids are committed in their order.
    lock_events(session, batch)
    session.add_all(
        EventRow(batch=batch, submission=submission, kind=kind, detail=dict(detail or {})) for submission in submissions
    )
    session.flush()


def lock_events(session: Session, batch: str) -> None:
    """Keep others from recording in this batch until the transaction ends."""
    # SQLite has one writer at a time, and needs (and knows) no such lock. Rows that refer to the batch may be added.
    session.execute(select(BatchRow.id).where(BatchRow.id == batch).with_for_update(key_share=True))


def find_events(store: Store, batch_id: str, after: int = 0, limit: int = 1000) -> list[Event]:
    """Return a batch's events after the one with this id, oldest first; whoever goes on after the last misses none."""
    query = (
        select(EventRow)
        .where(EventRow.batch == batch_id, EventRow.id > min(after, _LARGEST))
        .order_by(EventRow.id)
        .limit(limit)
    )
    with store.reading() as session:
        return [
            Event(row.id, row.batch, row.submission, row.kind, row.detail, row.at) for row in session.scalars(query)
        ]
