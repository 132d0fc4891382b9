"""Leases: who grades what, until when, and how it ends.

Every change of a grading's state is one UPDATE that names the state and the fence it is to have (compare and set).
Where it changes no row, somebody else was first, and nothing else of the transaction happens. Order within a
transaction: the grading, its attempt, the report, the event; so no two wait for each other in a circle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, case, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from grader.models.recipe import Mode
from grader.results.report import Report
from grader.service.settings import Settings
from grader.service.store.columns import now
from grader.service.store.database import Store
from grader.service.store.queries.dispatch import Queue, choose_queue
from grader.service.store.queries.events import record_event, record_event_each
from grader.service.store.queries.marks import note_waiting
from grader.service.store.schema import (
    ALIVE,
    AttemptOutcome,
    AttemptRow,
    EventKind,
    JobRow,
    ReportRow,
    Stage,
    State,
    SubmissionFileRow,
    SubmissionRow,
)
from grader.submission.executed_notebook import ExecutedNotebook, encode_executed_notebooks

__all__ = [
    "Finish",
    "Lease",
    "Reconciled",
    "cancel_jobs",
    "claim_lease",
    "finish_job",
    "give_back_lease",
    "reconcile_leases",
    "refuse_job",
    "release_lease",
    "renew_lease",
]

_NEVER_ASKED_FOR: dict[str, Any] = {"published_at": None, "publications": 0}  # and so dispatched at once


class Finish(StrEnum):
    """What became of a report that was handed in."""

    REPORTED = "reported"
    PART_KEPT = "part_kept"  # the grading goes on with its trainings
    REFUSED = "refused"  # the lease was lost
    EXISTED = "existed"  # the submission had a report of this revision, which stays


@dataclass(frozen=True)
class Lease:
    """A stage of a grading that a worker has, for as long as its fence is the grading's.

    Attributes:
        number: of the attempt at this stage, from 1.
        files: the notebooks' names and the sha256 of each, in order.
        part: the sha256 of the first stage's report, None in the first stage.
        executed: the sha256 of its notebooks as they were run, None where they were not kept.
    """

    grading: str
    submission: str
    batch: str
    assignment: str
    mode: Mode
    stage: Stage
    number: int
    fence: int
    files: tuple[tuple[str, str], ...]
    part: str | None
    executed: str | None = None


@dataclass(frozen=True)
class Reconciled:
    """How many leases had run out: those that wait again, and those that had their last attempt."""

    given_back: int
    failed: int


def claim_lease(
    store: Store, grading_id: str, worker: str, seconds: float, queue: Queue, attempts: int = Settings.attempts
) -> Lease | None:
    """Take a grading's stage, if it waits, or if whoever had it let the lease run out.

    Args:
        store: where it is.
        grading_id: which.
        worker: who takes it.
        seconds: until the lease runs out.
        queue: whose stage is taken; another queue's message may be an old one.
        attempts: how many a stage has; one that ran out after the last is left to `reconcile`.

    Returns:
        The lease, or None where there is nothing to do.
    """
    ran_out = (JobRow.state == State.LEASED) & (JobRow.lease_until < now()) & (JobRow.attempts < attempts)
    taken = (
        update(JobRow)
        .where(
            JobRow.id == grading_id,
            JobRow.stage.in_([stage for stage in Stage if choose_queue(stage) == queue]),
            or_(JobRow.state == State.WAITING, ran_out),
        )
        .values(
            state=State.LEASED,
            attempts=JobRow.attempts + 1,
            fence=JobRow.fence + 1,
            lease_until=now() + seconds,
            worker=worker,
        )
        .returning(JobRow)
    )
    with store.session() as session:
        grading = session.scalar(taken)
        if grading is None:
            return None
        _end_attempts(session, [grading_id], AttemptOutcome.LOST, "its lease ran out")
        session.execute(
            insert(AttemptRow).values(
                grading=grading_id, stage=grading.stage, number=grading.attempts, fence=grading.fence, worker=worker
            )
        )
        lease = _lease_of(session, grading)
        detail = {"stage": lease.stage, "attempt": lease.number}
        record_event(session, lease.batch, lease.submission, EventKind.CLAIMED, detail)
    return lease


def renew_lease(store: Store, lease: Lease, seconds: float) -> bool:
    """Let a lease run out only so many seconds from now; False where it was lost."""
    # One that ran out and that nobody took is as good as new.
    with store.session() as session:
        return _change(session, lease, lease_until=now() + seconds)


def finish_job(store: Store, lease: Lease, report: Report, executed: Sequence[ExecutedNotebook] = ()) -> Finish:
    """Hand in what a stage came to: the report, or in the first stage of mode full the part that is joined later.

    Args:
        store: where to.
        lease: of the stage.
        report: of the stage `trainings`, the one that is joined already.
        executed: the notebooks as they were run; where there are none, those of the first stage stay.

    Raises:
        SystemFault: the database or the blobs cannot be reached; nothing was handed in.
    """
    sha256 = store.blobs.put(report.to_json().encode())
    kept = store.blobs.put(encode_executed_notebooks(executed).encode()) if executed else lease.executed
    with store.session() as session:
        if lease.mode is Mode.FULL and lease.stage is Stage.DEFINITIONS:
            part_kept = _change(
                session,
                lease,
                stage=Stage.TRAININGS,
                state=State.WAITING,
                attempts=0,
                part=sha256,
                executed=kept,
                message="",
                lease_until=None,
                **_NEVER_ASKED_FOR,
            )
            if not part_kept:
                return Finish.REFUSED
            _end_attempts(session, [lease.grading], AttemptOutcome.PART_KEPT)
            record_event(session, lease.batch, lease.submission, EventKind.PART_GRADED)
            return Finish.PART_KEPT
        if not _change(session, lease, state=State.GRADED, lease_until=None, ended_at=now(), message=""):
            return Finish.REFUSED
        published = _insert_report(session, lease, report, sha256, kept)
        _end_attempts(
            session, [lease.grading], AttemptOutcome.EXISTED if published is None else AttemptOutcome.REPORTED
        )
        record_event(session, lease.batch, lease.submission, EventKind.GRADED, {"published": bool(published)})
    return Finish.EXISTED if published is None else Finish.REPORTED


def give_back_lease(store: Store, lease: Lease, message: str, attempts: int) -> bool:
    """End an attempt by a fault of ours: the grading waits again, or fails after its last attempt.

    It is dispatched as a message that got lost is, so after a while: what broke may need one, and a worker on which
    everything breaks must not use up a whole class's attempts within a minute.

    Args:
        store: where it is.
        lease: of the stage.
        message: what went wrong, for staff.
        attempts: how many a stage has.

    Returns:
        False where the lease was lost, and nothing changed.
    """
    with store.session() as session:
        return _give_back(session, lease, AttemptOutcome.GIVEN_BACK, message, attempts) is not None


def release_lease(store: Store, lease: Lease, message: str) -> bool:
    """End an attempt that nobody failed at, as when a worker is stopped: it counts as none, and the grading waits.

    Args:
        store: where it is.
        lease: of the stage.
        message: why it was ended, for staff.

    Returns:
        False where the lease was lost, and nothing changed.
    """
    with store.session() as session:
        values = {"state": State.WAITING, "message": message, "attempts": lease.number - 1}
        if not _change(session, lease, **values, lease_until=None, **_NEVER_ASKED_FOR):
            return False
        _end_attempts(session, [lease.grading], AttemptOutcome.GIVEN_BACK, message)
        record_event(
            session,
            lease.batch,
            lease.submission,
            EventKind.GIVEN_BACK,
            {"stage": lease.stage, "attempt": lease.number},
        )
    return True


def refuse_job(store: Store, lease: Lease, message: str) -> bool:
    """End a grading whose input can never be graded.

    Args:
        store: where it is.
        lease: of the stage.
        message: why, for the student.

    Returns:
        False where the lease was lost, and nothing changed.
    """
    with store.session() as session:
        failed = {"state": State.FAILED, "refused": True, "message": message}
        if not _change(session, lease, **failed, lease_until=None, ended_at=now()):
            return False
        _end_attempts(session, [lease.grading], AttemptOutcome.REFUSED, message)
        record_event(session, lease.batch, lease.submission, EventKind.FAILED, {"refused": True})
    return True


def reconcile_leases(store: Store, attempts: int) -> Reconciled:
    """Give back what was claimed by workers that went away; several may reconcile at once.

    Args:
        store: where gradings are.
        attempts: how many a stage has.
    """
    ran_out = JobRow.lease_until < now()
    query = select(JobRow, SubmissionRow.batch).join(SubmissionRow, SubmissionRow.id == JobRow.submission)
    with store.reading() as session:
        lost = session.execute(query.where(JobRow.state == State.LEASED, ran_out)).all()
    ended = []
    for row, batch in lost:
        lease = Lease(
            row.id, row.submission, batch, row.assignment, row.mode, row.stage, row.attempts, row.fence, (), row.part
        )
        message = f"{row.worker} went away in attempt {row.attempts}"
        with store.session() as session:  # one each: events of one transaction are of one batch
            ended.append(_give_back(session, lease, AttemptOutcome.LOST, message, attempts, ran_out))
    return Reconciled(ended.count(State.WAITING), ended.count(State.FAILED))


def cancel_jobs(store: Store, batch_or_submission_id: str) -> int:
    """Cancel the unfinished gradings of a batch or of a submission, and return how many there were.

    Whoever has one of them loses it: its report will be refused. Reports that are there stay.
    """
    named = (SubmissionRow.batch == batch_or_submission_id) | (SubmissionRow.id == batch_or_submission_id)
    cancelled = (
        update(JobRow)
        .where(JobRow.submission.in_(select(SubmissionRow.id).where(named)), JobRow.state.in_(ALIVE))
        .values(state=State.CANCELLED, lease_until=None, ended_at=now())
        .returning(JobRow.id, JobRow.submission)
    )
    with store.session() as session:
        ended = session.execute(cancelled).all()
        if ended:
            submissions = [row.submission for row in ended]
            _end_attempts(session, [row.id for row in ended], AttemptOutcome.CANCELLED)
            record_event_each(session, _batch_of(session, submissions[0]), submissions, EventKind.CANCELLED)
    return len(ended)


def _lease_of(session: Session, grading: JobRow) -> Lease:
    files = session.execute(
        select(SubmissionFileRow.name, SubmissionFileRow.sha256)
        .where(SubmissionFileRow.submission == grading.submission)
        .order_by(SubmissionFileRow.position)
    )
    return Lease(
        grading=grading.id,
        submission=grading.submission,
        batch=_batch_of(session, grading.submission),
        assignment=grading.assignment,
        mode=grading.mode,
        stage=grading.stage,
        number=grading.attempts,
        fence=grading.fence,
        files=tuple((name, sha256) for name, sha256 in files),
        part=grading.part,
        executed=grading.executed,
    )


def _change(session: Session, lease: Lease, *conditions: ColumnElement[bool], **values: Any) -> bool:
    """Change the grading if the lease still holds: the compare and set that everything here rests on."""
    holds = (JobRow.id == lease.grading, JobRow.fence == lease.fence, JobRow.state == State.LEASED)
    change = update(JobRow).where(*holds, *conditions).values(**values).returning(JobRow.id)
    return session.execute(change).one_or_none() is not None


def _give_back(
    session: Session,
    lease: Lease,
    outcome: AttemptOutcome,
    message: str,
    attempts: int,
    *conditions: ColumnElement[bool],
) -> State | None:
    """Return how the grading stands now, None where the lease did not hold."""
    state = State.FAILED if lease.number >= attempts else State.WAITING
    failed = state is State.FAILED
    dispatched: dict[str, Any] = {"published_at": now()} if outcome is AttemptOutcome.GIVEN_BACK else _NEVER_ASKED_FOR
    values = {"state": state, "message": message, "lease_until": None, **dispatched}
    if not _change(session, lease, *conditions, **values, ended_at=now() if failed else None):
        return None
    _end_attempts(session, [lease.grading], outcome, message)
    kind = EventKind.FAILED if failed else EventKind.GIVEN_BACK
    record_event(session, lease.batch, lease.submission, kind, {"stage": lease.stage, "attempt": lease.number})
    return state


def _end_attempts(session: Session, gradings: Sequence[str], outcome: AttemptOutcome, message: str = "") -> None:
    """End the attempts of these gradings that have not ended; each has one at most."""
    session.execute(
        update(AttemptRow)
        .where(AttemptRow.grading.in_(gradings), AttemptRow.ended_at.is_(None))
        .values(ended_at=now(), outcome=outcome, message=message)
    )


def _insert_report(session: Session, lease: Lease, report: Report, sha256: str, executed: str | None) -> bool | None:
    """Insert a report and tell whether it is published; None where there is one of this revision."""
    first = ~select(ReportRow.id).where(ReportRow.submission == lease.submission).exists()
    insert_or_not: Any = sqlite.insert if session.connection().dialect.name == "sqlite" else postgresql.insert
    inserted = session.execute(
        insert_or_not(ReportRow)
        .values(
            submission=lease.submission,
            grading=lease.grading,
            revision=report.revision,
            sha256=sha256,
            executed=executed,
            score=report.score,
            max_score=report.max_score,
            pending_points=report.pending_points,
            published_at=case((first, now())),
        )
        .on_conflict_do_nothing(index_elements=["submission", "revision"])
        .returning(ReportRow.id, ReportRow.published_at)
    ).all()
    if not inserted:
        return None
    ((report_id, published_at),) = inserted
    note_waiting(session, report_id, report)
    return published_at is not None


def _batch_of(session: Session, submission: str) -> str:
    return session.scalars(select(SubmissionRow.batch).where(SubmissionRow.id == submission)).one()
