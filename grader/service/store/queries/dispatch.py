"""Dispatching: which gradings' messages are sent next, fairly between those who handed in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select, update

from grader.service.store.columns import now
from grader.service.store.database import Store
from grader.service.store.schema import ALIVE, BatchRow, JobRow, Stage, State, SubmissionRow

__all__ = ["DispatchedJob", "Queue", "choose_queue", "mark_dispatched", "unmark_dispatched"]

Queue = Literal["cpu", "gpu"]

_MOST_WAITS = 30  # of `republish_seconds`, between two messages for one grading

_QUEUES: dict[Stage, Queue] = {Stage.DEFINITIONS: "cpu", Stage.TRAININGS: "gpu"}


@dataclass(frozen=True)
class DispatchedJob:
    """A message to be sent: this grading, on this queue."""

    grading: str
    queue: Queue


def choose_queue(stage: Stage) -> Queue:
    """Return the queue on which a stage is asked for."""
    return _QUEUES[stage]


def mark_dispatched(store: Store, share: int, republish_seconds: float, limit: int = 200) -> list[DispatchedJob]:
    """Mark the gradings whose messages are to be sent now, and return them in the order to send them in.

    Everybody who handed in gets their turn: the first of each, then the second of each. Two that dispatch at once never
    take the same grading.

    Args:
        store: where gradings are.
        share: how many of one owner's, on one queue, are published or leased at once. Each queue has a share of its
            own: trainings that wait for a GPU which is switched off must not keep definitions waiting.
        republish_seconds: after how long a message that nobody took up is taken for lost; after the second message
            twice as long, and so on: where no worker runs for days, the broker would be filled with copies.
        limit: of messages at once.
    """
    waits = case((JobRow.publications < _MOST_WAITS, JobRow.publications), else_=_MOST_WAITS)
    lost = JobRow.published_at < now() - republish_seconds * waits
    due = and_(JobRow.state == State.WAITING, or_(JobRow.published_at.is_(None), lost))
    with store.reading() as session:
        wanted = list(session.scalars(_in_turn(due, share, limit)))
    if not wanted:
        return []
    with store.session() as session:
        # `due` is asked again of the row that was locked: another dispatcher may have taken it since it was chosen.
        locked = select(JobRow.id).where(JobRow.id.in_(wanted), due)
        free = session.scalars(locked.with_for_update(skip_locked=True, key_share=True)).all()
        taken = session.execute(
            update(JobRow)
            .where(JobRow.id.in_(free))
            .values(published_at=now(), publications=JobRow.publications + 1)
            .returning(JobRow.id, JobRow.stage)
        )
        stages = {row.id: row.stage for row in taken}
    return [DispatchedJob(grading, choose_queue(stages[grading])) for grading in wanted if grading in stages]


def unmark_dispatched(store: Store, publications: Sequence[DispatchedJob]) -> None:
    """Mark as not published what could not be sent: it is due again at once, for whoever dispatches next."""
    with store.session() as session:
        session.execute(
            update(JobRow)
            .where(JobRow.id.in_([each.grading for each in publications]), JobRow.state == State.WAITING)
            .values(published_at=None, publications=JobRow.publications - 1)
        )


def _in_turn(due: ColumnElement[bool], share: int, limit: int) -> Select[str]:
    """Return the query for what is due and within its owner's share, by turns."""
    unfinished = JobRow.state.in_(ALIVE)
    own = [BatchRow.owner, JobRow.stage]
    order = [JobRow.created_at, SubmissionRow.key, JobRow.id]
    ranked = (
        select(
            JobRow.id,
            JobRow.created_at,
            SubmissionRow.key,
            due.label("due"),
            func.count().filter(~due).over(partition_by=own).label("published"),
            func.row_number().over(partition_by=[*own, due], order_by=order).label("turn"),
        )
        .join(SubmissionRow, SubmissionRow.id == JobRow.submission)
        .join(BatchRow, BatchRow.id == SubmissionRow.batch)
        .where(unfinished)
        .subquery()
    )
    # One whose share is half used stands behind one who has nothing yet.
    place = ranked.c.published + ranked.c.turn
    return (
        select(ranked.c.id)
        .where(ranked.c.due, place <= share)
        .order_by(place, ranked.c.created_at, ranked.c.key, ranked.c.id)
        .limit(limit)
    )
