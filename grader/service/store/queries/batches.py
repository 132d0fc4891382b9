"""What is known of batches, as plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select, tuple_
from sqlalchemy.orm import Session

from grader.models.recipe import Mode
from grader.service.store.database import Store
from grader.service.store.queries.tokens import Role, Token
from grader.service.store.schema import (
    ALIVE,
    BatchRow,
    JobRow,
    State,
    SubmissionRow,
    TokenRow,
)

__all__ = ["BatchStatus", "count_states", "find_batch", "find_batches", "find_visible_batch"]


@dataclass(frozen=True)
class BatchStatus:
    """A batch, and how many of its submissions' newest gradings are in each state (every state is there).

    `owner` is the id of the token that handed it over, `owner_name` what that token is called.
    """

    id: str
    owner: str
    owner_name: str
    assignment: str
    mode: Mode
    title: str
    created_at: datetime
    counts: Mapping[State, int]

    @property
    def submissions(self) -> int:
        """How many there are."""
        return sum(self.counts.values())

    @property
    def done(self) -> bool:
        """Whether every grading has ended."""
        return not any(self.counts[state] for state in ALIVE)


def find_batches(
    store: Store, owner: str | None = None, after: str = "", limit: int | None = None
) -> list[BatchStatus]:
    """Return batches, newest first.

    Args:
        store: where they are.
        owner: the id of the token whose batches are wanted, None for all.
        after: the id of the batch that a page goes on after, "" for the first page.
        limit: how many at most.
    """
    wanted = _batches().order_by(BatchRow.created_at.desc(), BatchRow.id.desc()).limit(limit)
    known = select(BatchRow.created_at, BatchRow.id).where(BatchRow.id == after)
    if owner is not None:
        wanted, known = wanted.where(BatchRow.owner == owner), known.where(BatchRow.owner == owner)
    if after:
        last = known.subquery()
        wanted = wanted.join(last, tuple_(BatchRow.created_at, BatchRow.id) < tuple_(last.c.created_at, last.c.id))
    with store.reading() as session:
        return _counted(session, wanted)


def find_batch(store: Store, batch_id: str) -> BatchStatus | None:
    """Return a batch, None where there is none of this id."""
    with store.reading() as session:
        return next(iter(_counted(session, _batches().where(BatchRow.id == batch_id))), None)


def find_visible_batch(store: Store, token: Token, batch_id: str) -> BatchStatus | None:
    """Return a batch, None where there is none that this token may see."""
    found = find_batch(store, batch_id)
    return found if found and (token.role is Role.INSTRUCTOR or found.owner == token.id) else None


def _batches() -> Select[BatchRow, str]:
    return select(BatchRow, TokenRow.name).join(TokenRow, TokenRow.id == BatchRow.owner)


def _counted(session: Session, wanted: Select[BatchRow, str]) -> list[BatchStatus]:
    rows = session.execute(wanted).all()
    query = (
        select(SubmissionRow.batch, JobRow.state, func.count())
        .join(JobRow, JobRow.submission == SubmissionRow.id)
        .where(JobRow.newest, SubmissionRow.batch.in_([row.id for row, _ in rows]))
        .group_by(SubmissionRow.batch, JobRow.state)
    )
    counted = session.execute(query).all()
    return [
        BatchStatus(
            id=row.id,
            owner=row.owner,
            owner_name=owner_name,
            assignment=row.assignment,
            mode=row.mode,
            title=row.title,
            created_at=row.created_at,
            counts=count_states((state, count) for batch_id, state, count in counted if batch_id == row.id),
        )
        for row, owner_name in rows
    ]


def count_states(counted: Iterable[Any]) -> dict[State, int]:
    return dict.fromkeys(State, 0) | {state: count for state, count in counted}  # noqa: C416 - rows, not pairs
