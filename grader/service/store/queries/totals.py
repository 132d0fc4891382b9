"""Totals over the whole store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, select

from grader.service.queues import CPU, GPU
from grader.service.store.columns import now
from grader.service.store.database import Store
from grader.service.store.queries.batches import count_states
from grader.service.store.schema import JobRow, ReportRow, State

__all__ = ["Totals", "WaitingJobs", "count_totals"]


@dataclass(frozen=True)
class WaitingJobs:
    """How many jobs wait for a queue, and how long the oldest of them has waited since it was handed in."""

    count: int = 0
    oldest_seconds: float = 0.0


@dataclass(frozen=True)
class Totals:
    """Totals over the whole store.

    Attributes:
        jobs: number of jobs by state.
        reports: number of reports, drafts included.
        waiting: the waiting jobs of each queue. The queues cpu and gpu are always there, even if no job waits.
    """

    jobs: Mapping[State, int]
    reports: int
    waiting: Mapping[str, WaitingJobs]


def count_totals(store: Store) -> Totals:
    """Count jobs and reports, for monitoring."""
    queues = select(JobRow.queue, func.count(), func.min(JobRow.created_at), now())
    with store.read_session() as session:
        counts = count_states(session.execute(select(JobRow.state, func.count()).group_by(JobRow.state)))
        reports = session.scalars(select(func.count()).select_from(ReportRow)).one()
        waiting = session.execute(queues.where(JobRow.state == State.WAITING).group_by(JobRow.queue)).all()
    found = {queue: WaitingJobs(count, (present - since).total_seconds()) for queue, count, since, present in waiting}
    return Totals(counts, reports, {CPU: WaitingJobs(), GPU: WaitingJobs(), **found})
