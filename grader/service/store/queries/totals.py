"""Totals over the whole store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, select

from grader.service.store.columns import now
from grader.service.store.database import Store
from grader.service.store.queries.batches import count_states
from grader.service.store.schema import JobRow, ReportRow, State

__all__ = ["Totals", "count_totals"]


@dataclass(frozen=True)
class Totals:
    """Totals over the whole store.

    Attributes:
        jobs: number of jobs by state.
        reports: number of reports, drafts included.
        oldest_waiting_seconds: how long the oldest waiting job has waited; 0 if none waits.
    """

    jobs: Mapping[State, int]
    reports: int
    oldest_waiting_seconds: float


def count_totals(store: Store) -> Totals:
    """Count jobs and reports, for monitoring."""
    oldest = func.min(JobRow.created_at).filter(JobRow.state == State.WAITING)
    with store.read_session() as session:
        counts = count_states(session.execute(select(JobRow.state, func.count()).group_by(JobRow.state)))
        reports = session.scalars(select(func.count()).select_from(ReportRow)).one()
        present, since = session.execute(select(now(), oldest)).one()
    return Totals(counts, reports, (present - since).total_seconds() if since else 0.0)
