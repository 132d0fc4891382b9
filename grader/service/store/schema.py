"""The database tables. A change here needs a migration in `migrations/`; a test compares the two."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import uuid4

from sqlalchemy import (
    JSON,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    ScalarSelect,
    String,
    UniqueConstraint,
    func,
    select,
    text,
    true,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, mapped_column

from grader.models.recipe import Mode
from grader.service.queues import CPU
from grader.service.store.columns import StorableText, Timestamp, make_word_type, now

__all__ = [
    "ALIVE",
    "AttemptOutcome",
    "AttemptRow",
    "BatchRow",
    "EventKind",
    "EventRow",
    "InstallationKeyRow",
    "JobRow",
    "MarkRow",
    "ReportRow",
    "Role",
    "Row",
    "Stage",
    "State",
    "SubmissionFileRow",
    "SubmissionRow",
    "TokenRow",
    "WaitingItemRow",
    "select_last_report",
]

_SHA256 = String(64)


class Role(StrEnum):
    """What a token may do."""

    INSTRUCTOR = "instructor"  # sees everything
    STUDENT = "student"  # sees their own submissions, and published reports only
    CI = "ci"  # submits batches, and sees those


class Stage(StrEnum):
    """The part of a job that one message asks for."""

    DEFINITIONS = "definitions"
    TRAININGS = "trainings"  # in mode full only; its results are joined to the first stage's report


class State(StrEnum):
    """The state of a job."""

    WAITING = "waiting"  # no worker has claimed it
    LEASED = "leased"  # a worker holds a lease
    GRADED = "graded"  # it has a report
    FAILED = "failed"  # a system error
    CANCELLED = "cancelled"


ALIVE = (State.WAITING, State.LEASED)


class AttemptOutcome(StrEnum):
    """How one attempt at a stage ended."""

    REPORTED = "reported"
    PART_KEPT = "part_kept"  # the first stage's report was stored, to be joined later
    EXISTED = "existed"  # the submission already had a report of this revision
    REFUSED = "refused"  # before version 4 of the database: the input can never be graded
    GIVEN_BACK = "given_back"  # after a system fault, or because the worker was stopped
    LOST = "lost"  # the lease expired: the worker vanished
    CANCELLED = "cancelled"


class EventKind(StrEnum):
    """The kind of an event."""

    ACCEPTED = "accepted"
    CLAIMED = "claimed"
    GRADED = "graded"
    PART_GRADED = "part_graded"
    GIVEN_BACK = "given_back"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REGRADE = "regrade"
    PUBLISHED = "published"
    MARKED = "marked"  # a person gave or removed a mark


class Row(MappedAsDataclass, DeclarativeBase):
    """The base class of all rows."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class TokenRow(Row, kw_only=True):
    """A token, with the sha256 of its secret."""

    __tablename__ = "token"

    id: Mapped[str] = mapped_column(StorableText, primary_key=True, default_factory=lambda: str(uuid4()))
    name: Mapped[str] = mapped_column(StorableText, unique=True)
    role: Mapped[Role] = mapped_column(make_word_type(Role))
    person: Mapped[str] = mapped_column(StorableText)
    sha256: Mapped[str] = mapped_column(_SHA256, unique=True)
    created_at: Mapped[datetime] = mapped_column(Timestamp, insert_default=now(), init=False)
    revoked_at: Mapped[datetime | None] = mapped_column(Timestamp, default=None)


class BatchRow(Row, kw_only=True):
    """The submissions of one request: those of a class, or a single one."""

    __tablename__ = "batch"
    __table_args__ = (UniqueConstraint("owner", "idempotency_key"),)

    id: Mapped[str] = mapped_column(StorableText, primary_key=True, default_factory=lambda: str(uuid4()))
    owner: Mapped[str] = mapped_column(ForeignKey("token.id"))
    assignment: Mapped[str] = mapped_column(StorableText)
    mode: Mapped[Mode] = mapped_column(make_word_type(Mode))
    title: Mapped[str] = mapped_column(StorableText)
    created_at: Mapped[datetime] = mapped_column(Timestamp, insert_default=now(), init=False)
    idempotency_key: Mapped[str | None] = mapped_column(StorableText)  # unique by owner; None never conflicts
    request: Mapped[str] = mapped_column(_SHA256)  # the sha256 of the whole request


class SubmissionRow(Row, kw_only=True):
    """One student's submission."""

    __tablename__ = "submission"
    __table_args__ = (UniqueConstraint("batch", "key"),)

    id: Mapped[str] = mapped_column(StorableText, primary_key=True, default_factory=lambda: str(uuid4()))
    batch: Mapped[str] = mapped_column(ForeignKey("batch.id"))
    key: Mapped[str] = mapped_column(StorableText)
    name: Mapped[str] = mapped_column(StorableText)
    identifiers: Mapped[dict[str, str]] = mapped_column(JSON)  # its ids in the learning management system
    person: Mapped[str] = mapped_column(StorableText, index=True)  # the student who may read it, "" if none
    notices: Mapped[list[dict[str, Any]]] = mapped_column(JSON, server_default="[]")  # on files that were left out


class SubmissionFileRow(Row, kw_only=True):
    """One file of a submission: a notebook, or what was handed in beside it."""

    __tablename__ = "submission_file"

    submission: Mapped[str] = mapped_column(ForeignKey("submission.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(StorableText)  # its path in the submission
    sha256: Mapped[str] = mapped_column(_SHA256)
    is_notebook: Mapped[bool] = mapped_column(server_default=true())


class JobRow(Row, kw_only=True):
    """A grading job: grade this submission in this mode."""

    __tablename__ = "grading"
    __table_args__ = (
        # A submission has one newest job, and only the newest one can be unfinished.
        Index(
            "uq_grading_newest",
            "submission",
            unique=True,
            sqlite_where=text("newest"),
            postgresql_where=text("newest"),
        ),
        Index("ix_grading_state", "state"),
        Index("ix_grading_submission", "submission"),
    )

    id: Mapped[str] = mapped_column(StorableText, primary_key=True, default_factory=lambda: str(uuid4()))
    submission: Mapped[str] = mapped_column(ForeignKey("submission.id"))
    newest: Mapped[bool] = mapped_column(default=True)
    assignment: Mapped[str] = mapped_column(StorableText)
    mode: Mapped[Mode] = mapped_column(make_word_type(Mode))
    stage: Mapped[Stage] = mapped_column(make_word_type(Stage), default=Stage.DEFINITIONS)
    state: Mapped[State] = mapped_column(make_word_type(State), default=State.WAITING)
    queue: Mapped[str] = mapped_column(StorableText, server_default=CPU, default=CPU)  # of this stage
    attempts: Mapped[int] = mapped_column(default=0)  # of this stage
    device_faults: Mapped[int] = mapped_column(server_default="0", default=0)  # attempts that a GPU ended, not counted
    fence: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[datetime | None] = mapped_column(Timestamp, default=None)
    worker: Mapped[str] = mapped_column(StorableText, default="")
    # When its last message was enqueued, or when it met a system fault.
    published_at: Mapped[datetime | None] = mapped_column(Timestamp, default=None)
    publications: Mapped[int] = mapped_column(default=0)  # messages sent since it was last due at once
    part: Mapped[str | None] = mapped_column(_SHA256, default=None)  # the blob of the first stage's report
    executed: Mapped[str | None] = mapped_column(_SHA256, default=None)  # the blob of its executed notebooks
    message: Mapped[str] = mapped_column(StorableText, default="")  # why it failed, waits again, or was refused
    refused: Mapped[bool] = mapped_column(default=False)  # no notebook can be read; the message is for the student
    created_at: Mapped[datetime] = mapped_column(Timestamp, insert_default=now(), init=False)
    ended_at: Mapped[datetime | None] = mapped_column(Timestamp, default=None)


class AttemptRow(Row, kw_only=True):
    """One claim of a stage, and how it ended."""

    __tablename__ = "attempt"
    __table_args__ = (UniqueConstraint("grading", "fence"),)

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    grading: Mapped[str] = mapped_column(ForeignKey("grading.id"))
    stage: Mapped[Stage] = mapped_column(make_word_type(Stage))
    number: Mapped[int]
    fence: Mapped[int]
    worker: Mapped[str] = mapped_column(StorableText)
    started_at: Mapped[datetime] = mapped_column(Timestamp, insert_default=now(), init=False)
    ended_at: Mapped[datetime | None] = mapped_column(Timestamp, default=None)
    outcome: Mapped[AttemptOutcome | None] = mapped_column(make_word_type(AttemptOutcome), default=None)
    message: Mapped[str] = mapped_column(StorableText, default="")


class ReportRow(Row, kw_only=True):
    """The report of a job. Within a submission, ids increase in the order in which reports were made."""

    __tablename__ = "report"
    __table_args__ = (UniqueConstraint("submission", "revision"),)

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    submission: Mapped[str] = mapped_column(ForeignKey("submission.id"))
    grading: Mapped[str] = mapped_column(ForeignKey("grading.id"))
    revision: Mapped[str] = mapped_column(StorableText)  # revision of the rubric
    sha256: Mapped[str] = mapped_column(_SHA256)  # the blob of its JSON
    score: Mapped[float]
    max_score: Mapped[float]
    pending_points: Mapped[float]
    created_at: Mapped[datetime] = mapped_column(Timestamp, insert_default=now(), init=False)
    published_at: Mapped[datetime | None] = mapped_column(Timestamp, default=None)  # None while it is a draft
    executed: Mapped[str | None] = mapped_column(_SHA256, default=None)  # the blob of the executed notebooks


class WaitingItemRow(Row, kw_only=True):
    """An item of a report that no test judges and a person has to mark."""

    __tablename__ = "waiting_item"

    report: Mapped[int] = mapped_column(ForeignKey("report.id"), primary_key=True)
    item: Mapped[str] = mapped_column(StorableText, primary_key=True)
    position: Mapped[int]  # among all items of the report
    max_points: Mapped[float]


class MarkRow(Row, kw_only=True):
    """A person's mark for an item: as staff see it now, and as students see it since it was last published."""

    __tablename__ = "mark"
    __table_args__ = (UniqueConstraint("submission", "item"),)

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    submission: Mapped[str] = mapped_column(ForeignKey("submission.id"))
    item: Mapped[str] = mapped_column(StorableText)
    points: Mapped[float | None]  # None if it was removed and students still see it
    comment: Mapped[str] = mapped_column(StorableText)
    token: Mapped[str] = mapped_column(ForeignKey("token.id"))  # of the person who gave it
    at: Mapped[datetime] = mapped_column(Timestamp, insert_default=now(), init=False)
    draft: Mapped[bool]  # whether it has changed since it was published
    published_points: Mapped[float | None] = mapped_column(default=None)
    published_comment: Mapped[str | None] = mapped_column(StorableText, default=None)
    published_at: Mapped[datetime | None] = mapped_column(Timestamp, default=None)


class EventRow(Row, kw_only=True):
    """Something that happened in a batch."""

    __tablename__ = "event"
    __table_args__ = (Index("ix_event_batch_id", "batch", "id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    batch: Mapped[str] = mapped_column(ForeignKey("batch.id"))
    submission: Mapped[str | None] = mapped_column(ForeignKey("submission.id"))
    kind: Mapped[EventKind] = mapped_column(make_word_type(EventKind))
    detail: Mapped[dict[str, Any]] = mapped_column(JSON)
    at: Mapped[datetime] = mapped_column(Timestamp, insert_default=now(), init=False)


class InstallationKeyRow(Row, kw_only=True):
    """An installation key. Only workers and `grader key` read this table."""

    __tablename__ = "installation_key"
    __table_args__ = (
        Index(
            "uq_installation_key_current",
            "current",
            unique=True,
            sqlite_where=text("current"),
            postgresql_where=text("current"),
        ),
    )

    id: Mapped[str] = mapped_column(StorableText, primary_key=True)  # as in reports
    secret: Mapped[bytes] = mapped_column(LargeBinary, repr=False)
    current: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(Timestamp, insert_default=now(), init=False)


def select_last_report(published: bool = False) -> ScalarSelect[int | None]:
    """Return a subquery for queries of submissions: the id of the newest report, or of the newest published one."""
    last = select(func.max(ReportRow.id)).where(ReportRow.submission == SubmissionRow.id).correlate(SubmissionRow)
    return (last.where(ReportRow.published_at.is_not(None)) if published else last).scalar_subquery()
