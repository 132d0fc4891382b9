"""Batches, and how far they are."""

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
from grader.service.store.schema import ALIVE, BatchRow, JobRow, State, SubmissionRow, TokenRow

__all__ = ["BatchStatus", "count_states", "find_batch", "find_batches", "find_visible_batch"]


@dataclass(frozen=True)
class BatchStatus:
    """A batch, and how many of its submissions' newest jobs are in each state.

    Attributes:
        owner: id of the token that submitted the batch.
        owner_name: name of that token.
        counts: number of jobs by state. Every state is a key.
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
        """The number of submissions."""
        return sum(self.counts.values())

    @property
    def done(self) -> bool:
        """Whether every job has ended."""
        return not any(self.counts[state] for state in ALIVE)


def find_batches(
    store: Store, owner: str | None = None, after: str = "", limit: int | None = None
) -> list[BatchStatus]:
    """Return batches, newest first.

    Args:
        store: the store.
        owner: id of the token whose batches to return; None for all.
        after: id of the last batch of the previous page; "" for the first page.
        limit: the largest number of batches to return; None for all.
    """
    query = _select_batches().order_by(BatchRow.created_at.desc(), BatchRow.id.desc()).limit(limit)
    position = select(BatchRow.created_at, BatchRow.id).where(BatchRow.id == after)
    if owner is not None:
        query, position = query.where(BatchRow.owner == owner), position.where(BatchRow.owner == owner)
    if after:
        last = position.subquery()
        query = query.join(last, tuple_(BatchRow.created_at, BatchRow.id) < tuple_(last.c.created_at, last.c.id))
    with store.read_session() as session:
        return _load_statuses(session, query)


def find_batch(store: Store, batch_id: str) -> BatchStatus | None:
    """Return the batch with this id. Return None if there is none."""
    with store.read_session() as session:
        return next(iter(_load_statuses(session, _select_batches().where(BatchRow.id == batch_id))), None)


def find_visible_batch(store: Store, token: Token, batch_id: str) -> BatchStatus | None:
    """Return a batch. Return None if it does not exist or this token may not see it."""
    batch = find_batch(store, batch_id)
    return batch if batch and (token.role is Role.INSTRUCTOR or batch.owner == token.id) else None


def _select_batches() -> Select[BatchRow, str]:
    return select(BatchRow, TokenRow.name).join(TokenRow, TokenRow.id == BatchRow.owner)


def _load_statuses(session: Session, batches: Select[BatchRow, str]) -> list[BatchStatus]:
    rows = session.execute(batches).all()
    query = (
        select(SubmissionRow.batch, JobRow.state, func.count())
        .join(JobRow, JobRow.submission == SubmissionRow.id)
        .where(JobRow.newest, SubmissionRow.batch.in_([row.id for row, _ in rows]))
        .group_by(SubmissionRow.batch, JobRow.state)
    )
    counts = session.execute(query).all()
    return [
        BatchStatus(
            id=row.id,
            owner=row.owner,
            owner_name=owner_name,
            assignment=row.assignment,
            mode=row.mode,
            title=row.title,
            created_at=row.created_at,
            counts=count_states((state, count) for batch_id, state, count in counts if batch_id == row.id),
        )
        for row, owner_name in rows
    ]


def count_states(counts: Iterable[Any]) -> dict[State, int]:
    """Return counts by state, with 0 for states that are missing from `counts`."""
    return dict.fromkeys(State, 0) | {state: count for state, count in counts}  # noqa: C416 - rows, not pairs
