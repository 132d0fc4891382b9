"""The attempts at the jobs of a submission."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from grader.service.store.database import Store
from grader.service.store.schema import AttemptOutcome, AttemptRow, JobRow, Stage

__all__ = ["PastAttempt", "find_attempts"]


@dataclass(frozen=True)
class PastAttempt:
    """One claim of a stage of the job `grading`. `outcome` and `ended_at` are None while it runs."""

    grading: str
    stage: Stage
    number: int
    worker: str
    started_at: datetime
    ended_at: datetime | None
    outcome: AttemptOutcome | None
    message: str


def find_attempts(store: Store, submission_id: str) -> list[PastAttempt]:
    """Return all attempts at all jobs of a submission, oldest first."""
    query = (
        select(AttemptRow)
        .join(JobRow, JobRow.id == AttemptRow.grading)
        .where(JobRow.submission == submission_id)
        .order_by(AttemptRow.id)
    )
    with store.read_session() as session:
        return [
            PastAttempt(
                grading=row.grading,
                stage=row.stage,
                number=row.number,
                worker=row.worker,
                started_at=row.started_at,
                ended_at=row.ended_at,
                outcome=row.outcome,
                message=row.message,
            )
            for row in session.scalars(query)
        ]
