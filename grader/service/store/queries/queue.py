"""The queue of waiting jobs: whose messages are sent next, fairly between submitters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select, update

from grader.service.store.columns import now
from grader.service.store.database import Store
from grader.service.store.schema import ALIVE, BatchRow, JobRow, State, SubmissionRow

__all__ = ["QueuedJob", "mark_enqueued", "unmark_enqueued"]

_LONGEST_WAIT = 30  # in units of `republish_seconds`, between two messages for one job


@dataclass(frozen=True)
class QueuedJob:
    """A message to send: the id of a job, and its queue."""

    job: str
    queue: str


def mark_enqueued(store: Store, share: int, republish_seconds: float, limit: int = 200) -> list[QueuedJob]:
    """Mark the jobs to enqueue now, and return them in the order in which to send their messages.

    Submitters take turns: first one job of each, then a second one of each. Two callers at the same time never get the
    same job.

    Args:
        store: the store with the jobs.
        share: how many jobs of one submitter may be enqueued or leased at once, on each queue. Queues are counted
            apart: trainings that wait for a GPU that is switched off must not hold up definitions.
        republish_seconds: after how long a message that no worker picked up counts as lost. The wait grows with each
            message of a job, so that a service without workers does not fill the broker with copies within days.
        limit: the largest number of jobs to return.
    """
    waits = case((JobRow.publications < _LONGEST_WAIT, JobRow.publications), else_=_LONGEST_WAIT)
    lost = JobRow.published_at < now() - republish_seconds * waits
    due = and_(JobRow.state == State.WAITING, or_(JobRow.published_at.is_(None), lost))
    with store.read_session() as session:
        chosen = list(session.scalars(_take_turns(due, share, limit)))
    if not chosen:
        return []
    with store.session() as session:
        # `due` is checked again on the locked row: another caller may have taken it since it was chosen.
        locked = select(JobRow.id).where(JobRow.id.in_(chosen), due)
        free = session.scalars(locked.with_for_update(skip_locked=True, key_share=True)).all()
        marked = session.execute(
            update(JobRow)
            .where(JobRow.id.in_(free))
            .values(published_at=now(), publications=JobRow.publications + 1)
            .returning(JobRow.id, JobRow.queue)
        )
        queues = {row.id: row.queue for row in marked}
    return [QueuedJob(job, queues[job]) for job in chosen if job in queues]


def unmark_enqueued(store: Store, jobs: Sequence[QueuedJob]) -> None:
    """Mark jobs whose messages were not sent, or not taken up, as not enqueued: they are due again at once."""
    with store.session() as session:
        session.execute(
            update(JobRow)
            .where(JobRow.id.in_([job.job for job in jobs]), JobRow.state == State.WAITING, JobRow.publications > 0)
            .values(published_at=None, publications=JobRow.publications - 1)
        )


def _take_turns(due: ColumnElement[bool], share: int, limit: int) -> Select[str]:
    """Return the query for the jobs that are due and within their submitter's share, in turns."""
    unfinished = JobRow.state.in_(ALIVE)
    own = [BatchRow.owner, JobRow.queue]
    order = [JobRow.created_at, SubmissionRow.key, JobRow.id]
    ranked = (
        select(
            JobRow.id,
            JobRow.created_at,
            SubmissionRow.key,
            due.label("due"),
            func.count().filter(~due).over(partition_by=own).label("enqueued"),
            func.row_number().over(partition_by=[*own, due], order_by=order).label("turn"),
        )
        .join(SubmissionRow, SubmissionRow.id == JobRow.submission)
        .join(BatchRow, BatchRow.id == SubmissionRow.batch)
        .where(unfinished)
        .subquery()
    )
    # A submitter who has used half of the share comes after one who has used none.
    place = ranked.c.enqueued + ranked.c.turn
    return (
        select(ranked.c.id)
        .where(ranked.c.due, place <= share)
        .order_by(place, ranked.c.created_at, ranked.c.key, ranked.c.id)
        .limit(limit)
    )
