"""The tables. A change here needs a migration (`migrations/`), which a test compares with what stands here."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import uuid4

from sqlalchemy import JSON, ForeignKey, Index, MetaData, ScalarSelect, String, UniqueConstraint, func, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, mapped_column

from grader.models.recipe import Mode
from grader.service.store.columns import StorableText, Timestamp, make_word_type, now

__all__ = [
    "ALIVE",
    "AttemptOutcome",
    "AttemptRow",
    "BatchRow",
    "EventKind",
    "EventRow",
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
    """Who a token stands for."""

    INSTRUCTOR = "instructor"  # sees everything
    STUDENT = "student"  # sees what is theirs, once it is published
    CI = "ci"  # hands in, and sees what it handed in


class Stage(StrEnum):
    """The part of a grading that one message asks for."""

    DEFINITIONS = "definitions"
    TRAININGS = "trainings"  # of mode full only; joined to the first part's report


class State(StrEnum):
    """Where a grading stands."""

    WAITING = "waiting"  # for a worker to claim it
    LEASED = "leased"  # a worker has it
    GRADED = "graded"  # there is a report
    FAILED = "failed"  # a system error, or an input that can never be graded (`refused`)
    CANCELLED = "cancelled"


ALIVE = (State.WAITING, State.LEASED)


class AttemptOutcome(StrEnum):
    """How one attempt at a stage ended."""

    REPORTED = "reported"
    PART_KEPT = "part_kept"  # the first stage's report is kept, to be joined
    EXISTED = "existed"  # there was a report of this revision
    REFUSED = "refused"  # the input can never be graded
    GIVEN_BACK = "given_back"  # a fault of ours
    LOST = "lost"  # the lease ran out: its worker went away
    CANCELLED = "cancelled"


class EventKind(StrEnum):
    """What an event tells."""

    ACCEPTED = "accepted"
    CLAIMED = "claimed"
    GRADED = "graded"
    PART_GRADED = "part_graded"
    GIVEN_BACK = "given_back"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REGRADE = "regrade"
    PUBLISHED = "published"
    MARKED = "marked"  # by a person, or a mark was taken back


class Row(MappedAsDataclass, DeclarativeBase):
    """A row of some table."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class TokenRow(Row, kw_only=True):
    """A token; of its secret there is only the sha256."""

    __tablename__ = "token"

    id: Mapped[str] = mapped_column(StorableText, primary_key=True, default_factory=lambda: str(uuid4()))
    name: Mapped[str] = mapped_column(StorableText, unique=True)
    role: Mapped[Role] = mapped_column(make_word_type(Role))
    person: Mapped[str] = mapped_column(StorableText)
    sha256: Mapped[str] = mapped_column(_SHA256, unique=True)
    created_at: Mapped[datetime] = mapped_column(Timestamp, insert_default=now(), init=False)
    revoked_at: Mapped[datetime | None] = mapped_column(Timestamp, default=None)


class BatchRow(Row, kw_only=True):
    """What somebody handed over at once."""

    __tablename__ = "batch"
    __table_args__ = (UniqueConstraint("owner", "idempotency_key"),)

    id: Mapped[str] = mapped_column(StorableText, primary_key=True, default_factory=lambda: str(uuid4()))
    owner: Mapped[str] = mapped_column(ForeignKey("token.id"))
    assignment: Mapped[str] = mapped_column(StorableText)
    mode: Mapped[Mode] = mapped_column(make_word_type(Mode))
    title: Mapped[str] = mapped_column(StorableText)
    created_at: Mapped[datetime] = mapped_column(Timestamp, insert_default=now(), init=False)
    idempotency_key: Mapped[str | None] = mapped_column(StorableText)  # None is unlike any other None
    request: Mapped[str] = mapped_column(_SHA256)  # the sha256 of all that was asked for


class SubmissionRow(Row, kw_only=True):
    """What one student handed in."""

    __tablename__ = "submission"
    __table_args__ = (UniqueConstraint("batch", "key"),)

    id: Mapped[str] = mapped_column(StorableText, primary_key=True, default_factory=lambda: str(uuid4()))
    batch: Mapped[str] = mapped_column(ForeignKey("batch.id"))
    key: Mapped[str] = mapped_column(StorableText)
    name: Mapped[str] = mapped_column(StorableText)
    identifiers: Mapped[dict[str, str]] = mapped_column(JSON)  # what the learning management system knows it by
    person: Mapped[str] = mapped_column(StorableText, index=True)  # who may read it as a student, "" for nobody


class SubmissionFileRow(Row, kw_only=True):
    """One notebook of a submission."""

    __tablename__ = "submission_file"

    submission: Mapped[str] = mapped_column(ForeignKey("submission.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(StorableText)
    sha256: Mapped[str] = mapped_column(_SHA256)


class JobRow(Row, kw_only=True):
    """One job: this submission, under this mode."""

    __tablename__ = "grading"
    __table_args__ = (
        # A submission has one newest grading, and only the newest can be alive.
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
    attempts: Mapped[int] = mapped_column(default=0)  # of this stage
    fence: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[datetime | None] = mapped_column(Timestamp, default=None)
    worker: Mapped[str] = mapped_column(StorableText, default="")
    published_at: Mapped[datetime | None] = mapped_column(
        Timestamp, default=None
    )  # its message, or when it met a fault
    publications: Mapped[int] = mapped_column(default=0)  # messages that nobody took up, and the last
    part: Mapped[str | None] = mapped_column(_SHA256, default=None)  # the blob of the first stage's report
    executed: Mapped[str | None] = mapped_column(_SHA256, default=None)  # the blob of its notebooks as they were run
    message: Mapped[str] = mapped_column(StorableText, default="")  # why it failed
    refused: Mapped[bool] = mapped_column(default=False)  # it failed because of its input; the message is the student's
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
    """What a grading came to. A submission's ids go up in the order in which its reports were made."""

    __tablename__ = "report"
    __table_args__ = (UniqueConstraint("submission", "revision"),)

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    submission: Mapped[str] = mapped_column(ForeignKey("submission.id"))
    grading: Mapped[str] = mapped_column(ForeignKey("grading.id"))
    revision: Mapped[str] = mapped_column(StorableText)  # of the rubric
    sha256: Mapped[str] = mapped_column(_SHA256)  # the blob of its JSON
    score: Mapped[float]
    max_score: Mapped[float]
    pending_points: Mapped[float]
    created_at: Mapped[datetime] = mapped_column(Timestamp, insert_default=now(), init=False)
    published_at: Mapped[datetime | None] = mapped_column(Timestamp, default=None)  # None for a draft
    executed: Mapped[str | None] = mapped_column(_SHA256, default=None)  # the blob of the notebooks as they were run


class WaitingItemRow(Row, kw_only=True):
    """An item of a report that no test judges; it waits until there is a mark for it."""

    __tablename__ = "waiting_item"

    report: Mapped[int] = mapped_column(ForeignKey("report.id"), primary_key=True)
    item: Mapped[str] = mapped_column(StorableText, primary_key=True)
    position: Mapped[int]  # among all items of the report
    max_points: Mapped[float]


class MarkRow(Row, kw_only=True):
    """What a person gave an item: as staff see it, and as students do since it was last published."""

    __tablename__ = "mark"
    __table_args__ = (UniqueConstraint("submission", "item"),)

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    submission: Mapped[str] = mapped_column(ForeignKey("submission.id"))
    item: Mapped[str] = mapped_column(StorableText)
    points: Mapped[float | None]  # None where it was taken back, and students still see it
    comment: Mapped[str] = mapped_column(StorableText)
    token: Mapped[str] = mapped_column(ForeignKey("token.id"))  # who gave it
    at: Mapped[datetime] = mapped_column(Timestamp, insert_default=now(), init=False)
    draft: Mapped[bool]  # it has changed since it was published
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


def select_last_report(published: bool = False) -> ScalarSelect[int | None]:
    """Return the id of a submission's newest report, or of its newest published one; for a query of submissions."""
    last = select(func.max(ReportRow.id)).where(ReportRow.submission == SubmissionRow.id).correlate(SubmissionRow)
    return (last.where(ReportRow.published_at.is_not(None)) if published else last).scalar_subquery()
