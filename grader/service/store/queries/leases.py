"""Leases: which worker grades which job, until when, and how the job ends.

Each change of a job's state is one UPDATE whose condition names the state and the fence that the job must have (compare
and set). If it changes no row, another worker was faster, and the rest of the transaction is skipped. To rule out
deadlocks, every transaction writes in this order: the job, its attempt, the report, the event.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, insert, or_, select, update
from sqlalchemy.orm import Session

from grader.models.recipe import Mode
from grader.results.notice import Notice
from grader.results.report import Report
from grader.service.queues import GPU
from grader.service.settings import Settings
from grader.service.store.columns import now
from grader.service.store.database import Store
from grader.service.store.queries.events import record_event, record_event_each
from grader.service.store.queries.reports import insert_report
from grader.service.store.schema import (
    ALIVE,
    AttemptOutcome,
    AttemptRow,
    EventKind,
    JobRow,
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
    "record_device_fault",
    "release_lease",
    "renew_lease",
]

_NOT_ENQUEUED: dict[str, Any] = {"published_at": None, "publications": 0}  # and so due at once


class Finish(StrEnum):
    """What became of a report that a worker brought."""

    REPORTED = "reported"
    PART_KEPT = "part_kept"  # the job goes on with its trainings
    REFUSED = "refused"  # the lease was lost
    EXISTED = "existed"  # the submission already had a report of this revision, which stays


@dataclass(frozen=True)
class Lease:
    """A worker's claim to a stage of a job. It holds as long as its fence equals the job's.

    Attributes:
        job: the job's id.
        number: number of this attempt at the stage, from 1.
        files: path and sha256 of each notebook and of each file beside them, in order.
        notices: remarks on files that were left out when it was handed in.
        part: sha256 of the first stage's report. None in the first stage.
        executed: sha256 of the executed notebooks of the first stage. None if they were not kept.
        device_faults: how many earlier attempts were ended by a GPU that failed.
    """

    job: str
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
    notices: tuple[Notice, ...] = ()
    device_faults: int = 0


@dataclass(frozen=True)
class Reconciled:
    """How many leases had expired: jobs that wait again, and jobs that failed after their last attempt."""

    given_back: int
    failed: int


def claim_lease(
    store: Store, job_id: str, worker: str, seconds: float, queue: str, attempts: int = Settings.attempts
) -> Lease | None:
    """Claim a stage that is waiting or whose lease has expired.

    Args:
        store: the store with the job.
        job_id: the job.
        worker: name of the worker that claims it.
        seconds: until the lease expires.
        queue: the queue that the message came from. A stage of another queue is not claimed, since the message may be
            an old one.
        attempts: how many attempts a stage gets. If the last one has expired, the job is left to `reconcile_leases`.

    Returns:
        The lease, or None if there is nothing to do.
    """
    expired = (JobRow.state == State.LEASED) & (JobRow.lease_until < now()) & (JobRow.attempts < attempts)
    claim = (
        update(JobRow)
        .where(
            JobRow.id == job_id,
            JobRow.queue == queue,
            or_(JobRow.state == State.WAITING, expired),
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
        job = session.scalar(claim)
        if job is None:
            return None
        _end_attempts(session, [job_id], AttemptOutcome.LOST, "its lease expired")
        session.execute(
            insert(AttemptRow).values(
                grading=job_id, stage=job.stage, number=job.attempts, fence=job.fence, worker=worker
            )
        )
        lease = _make_lease(session, job)
        detail = {"stage": lease.stage, "attempt": lease.number}
        record_event(session, lease.batch, lease.submission, EventKind.CLAIMED, detail)
    return lease


def renew_lease(store: Store, lease: Lease, seconds: float) -> bool:
    """Extend the lease by `seconds` from now. Return False if it is no longer ours."""
    # A lease that expired can still be extended if no other worker has claimed the stage.
    with store.session() as session:
        return _change(session, lease, lease_until=now() + seconds)


def finish_job(
    store: Store,
    lease: Lease,
    report: Report,
    executed: Sequence[ExecutedNotebook] = (),
    trainings_queue: str = GPU,
) -> Finish:
    """Store the result of a stage: the report, or in the first stage of mode full the part to join it with later.

    Args:
        store: the store with the job.
        lease: the worker's lease.
        report: the stage's report. For the stage `trainings`, the joined one.
        executed: the executed notebooks. If empty, those of the first stage stay.
        trainings_queue: the queue of the assignment's trainings, where the job waits after the first stage.

    Raises:
        SystemFault: the database or the blobs cannot be reached; nothing was stored.
    """
    sha256 = store.blobs.put(report.to_json().encode())
    executed_sha256 = store.blobs.put(encode_executed_notebooks(executed).encode()) if executed else lease.executed
    with store.session() as session:
        if lease.mode is Mode.FULL and lease.stage is Stage.DEFINITIONS and report.is_readable:
            part_kept = _change(
                session,
                lease,
                stage=Stage.TRAININGS,
                queue=trainings_queue,
                state=State.WAITING,
                attempts=0,
                part=sha256,
                executed=executed_sha256,
                message="",
                lease_until=None,
                **_NOT_ENQUEUED,
            )
            if not part_kept:
                return Finish.REFUSED
            _end_attempts(session, [lease.job], AttemptOutcome.PART_KEPT)
            record_event(session, lease.batch, lease.submission, EventKind.PART_GRADED)
            return Finish.PART_KEPT
        refused = {"refused": not report.is_readable, "message": report.obstacle}
        if not _change(session, lease, state=State.GRADED, lease_until=None, ended_at=now(), **refused):
            return Finish.REFUSED
        published = insert_report(session, lease.submission, lease.job, report, sha256, executed_sha256)
        _end_attempts(session, [lease.job], AttemptOutcome.EXISTED if published is None else AttemptOutcome.REPORTED)
        record_event(session, lease.batch, lease.submission, EventKind.GRADED, {"published": bool(published)})
    return Finish.EXISTED if published is None else Finish.REPORTED


def give_back_lease(store: Store, lease: Lease, message: str, attempts: int) -> bool:
    """End an attempt after a system fault: the job waits again, or fails if this was its last attempt.

    It is enqueued again after a delay, like a job whose message was lost. The fault may need time to pass, and a broken
    worker must not use up the attempts of a whole class within a minute.

    Args:
        store: the store with the job.
        lease: the worker's lease.
        message: what went wrong, for staff.
        attempts: how many attempts a stage gets.

    Returns:
        False if the lease was lost and nothing changed.
    """
    with store.session() as session:
        return _give_back(session, lease, AttemptOutcome.GIVEN_BACK, message, attempts) is not None


def release_lease(store: Store, lease: Lease, message: str) -> bool:
    """End an attempt that did not fail, as when the worker is stopped. It is not counted, and the job waits again.

    Args:
        store: the store with the job.
        lease: the worker's lease.
        message: why the attempt was ended, for staff.

    Returns:
        False if the lease was lost and nothing changed.
    """
    return _end_uncounted(store, lease, state=State.WAITING, message=message)


def record_device_fault(store: Store, lease: Lease, message: str, limit: int) -> bool:
    """End an attempt because the GPU failed. It is not counted, and the job waits for another GPU.

    A submission that makes every GPU fail would go round for ever, so after `limit` such attempts the job fails.

    Args:
        store: the store with the job.
        lease: the worker's lease.
        message: what the GPU did, for staff.
        limit: how many attempts GPUs may end.

    Returns:
        False if the lease was lost and nothing changed.
    """
    faults = lease.device_faults + 1
    if faults < limit:
        return _end_uncounted(store, lease, state=State.WAITING, message=message, device_faults=faults)
    message = f"a GPU failed in {faults} attempts at this submission; the last time: {message}"
    return _end_uncounted(
        store, lease, state=State.FAILED, message=message, device_faults=faults, ended_at=now(), kind=EventKind.FAILED
    )


def reconcile_leases(store: Store, attempts: int) -> Reconciled:
    """Give back the jobs of workers that vanished. Several callers may do this at once.

    Args:
        store: the store with the jobs.
        attempts: how many attempts a stage gets.
    """
    expired = JobRow.lease_until < now()
    query = select(JobRow, SubmissionRow.batch).join(SubmissionRow, SubmissionRow.id == JobRow.submission)
    with store.read_session() as session:
        lost = session.execute(query.where(JobRow.state == State.LEASED, expired)).all()
    ended = []
    for row, batch in lost:
        lease = Lease(
            row.id, row.submission, batch, row.assignment, row.mode, row.stage, row.attempts, row.fence, (), row.part
        )
        message = f"{row.worker} went away in attempt {row.attempts}"
        with store.session() as session:  # one transaction for each job, since all its events must be of one batch
            ended.append(_give_back(session, lease, AttemptOutcome.LOST, message, attempts, expired))
    return Reconciled(ended.count(State.WAITING), ended.count(State.FAILED))


def cancel_jobs(store: Store, batch_or_submission_id: str) -> int:
    """Cancel the unfinished jobs of a batch or of a submission, and return how many there were.

    A worker that holds one of them loses its lease, and its report is refused. Existing reports stay.
    """
    chosen = (SubmissionRow.batch == batch_or_submission_id) | (SubmissionRow.id == batch_or_submission_id)
    cancellation = (
        update(JobRow)
        .where(JobRow.submission.in_(select(SubmissionRow.id).where(chosen)), JobRow.state.in_(ALIVE))
        .values(state=State.CANCELLED, lease_until=None, ended_at=now())
        .returning(JobRow.id, JobRow.submission)
    )
    with store.session() as session:
        ended = session.execute(cancellation).all()
        if ended:
            submissions = [row.submission for row in ended]
            _end_attempts(session, [row.id for row in ended], AttemptOutcome.CANCELLED)
            record_event_each(session, _find_batch(session, submissions[0]), submissions, EventKind.CANCELLED)
    return len(ended)


def _make_lease(session: Session, job: JobRow) -> Lease:
    files = session.execute(
        select(SubmissionFileRow.name, SubmissionFileRow.sha256)
        .where(SubmissionFileRow.submission == job.submission)
        .order_by(SubmissionFileRow.position)
    )
    return Lease(
        job=job.id,
        submission=job.submission,
        batch=_find_batch(session, job.submission),
        assignment=job.assignment,
        mode=job.mode,
        stage=job.stage,
        number=job.attempts,
        fence=job.fence,
        files=tuple((name, sha256) for name, sha256 in files),
        part=job.part,
        executed=job.executed,
        notices=tuple(map(Notice.from_dict, session.get_one(SubmissionRow, job.submission).notices)),
        device_faults=job.device_faults,
    )


def _change(session: Session, lease: Lease, *conditions: ColumnElement[bool], **values: Any) -> bool:
    """Change the job if the lease still holds: the compare and set that this module rests on."""
    holds = (JobRow.id == lease.job, JobRow.fence == lease.fence, JobRow.state == State.LEASED)
    change = update(JobRow).where(*holds, *conditions).values(**values).returning(JobRow.id)
    return session.execute(change).one_or_none() is not None


def _end_uncounted(store: Store, lease: Lease, kind: EventKind = EventKind.GIVEN_BACK, **values: Any) -> bool:
    """End an attempt that does not count, and change the job. Return False if the lease did not hold."""
    with store.session() as session:
        if not _change(session, lease, **values, attempts=lease.number - 1, lease_until=None, **_NOT_ENQUEUED):
            return False
        _end_attempts(session, [lease.job], AttemptOutcome.GIVEN_BACK, values["message"])
        record_event(session, lease.batch, lease.submission, kind, {"stage": lease.stage, "attempt": lease.number})
    return True


def _give_back(
    session: Session,
    lease: Lease,
    outcome: AttemptOutcome,
    message: str,
    attempts: int,
    *conditions: ColumnElement[bool],
) -> State | None:
    """End an attempt and return the job's new state. Return None if the lease did not hold."""
    state = State.FAILED if lease.number >= attempts else State.WAITING
    failed = state is State.FAILED
    enqueued: dict[str, Any] = {"published_at": now()} if outcome is AttemptOutcome.GIVEN_BACK else _NOT_ENQUEUED
    values = {"state": state, "message": message, "lease_until": None, **enqueued}
    if not _change(session, lease, *conditions, **values, ended_at=now() if failed else None):
        return None
    _end_attempts(session, [lease.job], outcome, message)
    kind = EventKind.FAILED if failed else EventKind.GIVEN_BACK
    record_event(session, lease.batch, lease.submission, kind, {"stage": lease.stage, "attempt": lease.number})
    return state


def _end_attempts(session: Session, jobs: Sequence[str], outcome: AttemptOutcome, message: str = "") -> None:
    """End the open attempts of these jobs; each has at most one."""
    session.execute(
        update(AttemptRow)
        .where(AttemptRow.grading.in_(jobs), AttemptRow.ended_at.is_(None))
        .values(ended_at=now(), outcome=outcome, message=message)
    )


def _find_batch(session: Session, submission: str) -> str:
    return session.scalars(select(SubmissionRow.batch).where(SubmissionRow.id == submission)).one()
