"""What is known of batches, submissions and their reports, as plain values for whoever shows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select, tuple_
from sqlalchemy.orm import Session, aliased

from grader.models.recipe import Mode
from grader.results.marks import marked
from grader.results.report import Report
from grader.service.store.columns import now
from grader.service.store.database import Store
from grader.service.store.queries.marks import marked_points, marks_of
from grader.service.store.queries.regrades import Change, preview, publish, regrade
from grader.service.store.queries.tokens import Role, Token
from grader.service.store.schema import (
    ALIVE,
    AttemptRow,
    BatchRow,
    GradingRow,
    Outcome,
    ReportRow,
    Stage,
    State,
    SubmissionFileRow,
    SubmissionRow,
    TokenRow,
    last_report,
)

__all__ = [
    "BatchStatus",
    "Change",
    "PastAttempt",
    "SubmissionStatus",
    "Totals",
    "attempts",
    "batch",
    "batches",
    "preview",
    "publish",
    "regrade",
    "report_of",
    "report_text",
    "submission",
    "submissions",
    "submissions_of",
    "totals",
    "visible_batch",
    "visible_submission",
]


@dataclass(frozen=True)
class BatchStatus:
    """A batch, and how many of its submissions' newest gradings are in each state (every state is there).

    `owner` is the id of the token that handed it over, `owner_name` what that token is called.
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
        """How many there are."""
        return sum(self.counts.values())

    @property
    def done(self) -> bool:
        """Whether every grading has ended."""
        return not any(self.counts[state] for state in ALIVE)


@dataclass(frozen=True)
class SubmissionStatus:
    """A submission, where its newest grading stands, and the points of its published report.

    Attributes:
        owner: the id of the token that handed it over.
        files: the notebooks' names and the sha256 of each, in order.
        attempts: at the stage that the grading is in.
        message: why it failed, or why it waits again; for staff, unless it was `refused`.
        refused: the input can never be graded, and the message says why.
        created_at: when this grading was asked for.
        revision: of the rubric, of the published report; like all that follows None where there is no report.
        draft: there is a newer report that is not published.
        marks: changes whenever a mark that is counted here does, "" where none is.
    """

    id: str
    batch: str
    owner: str
    key: str
    name: str
    identifiers: Mapping[str, str]
    person: str
    files: tuple[tuple[str, str], ...]
    assignment: str
    mode: Mode
    stage: Stage
    state: State
    attempts: int
    message: str
    refused: bool
    created_at: datetime
    ended_at: datetime | None
    revision: str | None
    score: float | None
    max_score: float | None
    pending_points: float | None
    published_at: datetime | None
    draft: bool
    marks: str


@dataclass(frozen=True)
class PastAttempt:
    """One claim of a stage; `outcome` and `ended_at` are None while it lasts."""

    grading: str
    stage: Stage
    number: int
    worker: str
    started_at: datetime
    ended_at: datetime | None
    outcome: Outcome | None
    message: str


@dataclass(frozen=True)
class Totals:
    """Of the whole store: gradings in each state, reports, and since when the oldest grading waits, in seconds."""

    gradings: Mapping[State, int]
    reports: int
    oldest_waiting_seconds: float


def batches(store: Store, owner: str | None = None, after: str = "", limit: int | None = None) -> list[BatchStatus]:
    """Return batches, newest first.

    Args:
        store: where they are.
        owner: the id of the token whose batches are wanted, None for all.
        after: the id of the batch that a page goes on after, "" for the first page.
        limit: how many at most.
    """
    wanted = _batches().order_by(BatchRow.created_at.desc(), BatchRow.id.desc()).limit(limit)
    known = select(BatchRow.created_at, BatchRow.id).where(BatchRow.id == after)
    if owner is not None:
        wanted, known = wanted.where(BatchRow.owner == owner), known.where(BatchRow.owner == owner)
    if after:
        last = known.subquery()
        wanted = wanted.join(last, tuple_(BatchRow.created_at, BatchRow.id) < tuple_(last.c.created_at, last.c.id))
    with store.reading() as session:
        return _counted(session, wanted)


def batch(store: Store, batch_id: str) -> BatchStatus | None:
    """Return a batch, None where there is none of this id."""
    with store.reading() as session:
        return next(iter(_counted(session, _batches().where(BatchRow.id == batch_id))), None)


def submissions(
    store: Store, batch_id: str, after: str = "", limit: int | None = None, *, all_marks: bool = False
) -> list[SubmissionStatus]:
    """Return a batch's submissions by key.

    Args:
        store: where they are.
        batch_id: whose.
        after: the key of the submission that a page goes on after, "" for the first page.
        limit: how many at most.
        all_marks: count marks that are not published, too; for staff.
    """
    wanted = _submissions().where(SubmissionRow.batch == batch_id).order_by(SubmissionRow.key).limit(limit)
    with store.reading() as session:
        return _with_files(session, wanted.where(SubmissionRow.key > after) if after else wanted, all_marks)


def submission(store: Store, submission_id: str, *, all_marks: bool = False) -> SubmissionStatus | None:
    """Return a submission, None where there is none of this id; with marks that are not published for staff."""
    wanted = _submissions().where(SubmissionRow.id == submission_id)
    with store.reading() as session:
        return next(iter(_with_files(session, wanted, all_marks)), None)


def submissions_of(store: Store, person: str, after: str = "", limit: int | None = None) -> list[SubmissionStatus]:
    """Return what is one person's, newest first, whoever handed it in; nothing for "".

    Args:
        store: where they are.
        person: as submissions name them.
        after: the id of the submission that a page goes on after, "" for the first page.
        limit: how many at most.
    """
    if not person:
        return []
    order = (BatchRow.created_at, SubmissionRow.id)
    wanted = _submissions().where(SubmissionRow.person == person).order_by(*(each.desc() for each in order))
    if after:
        # Among theirs as well: somebody else's id leads as far as one that does not exist.
        known = select(*order).join(BatchRow, BatchRow.id == SubmissionRow.batch)
        last = known.where(SubmissionRow.id == after, SubmissionRow.person == person).subquery()
        wanted = wanted.join(last, tuple_(*order) < tuple_(last.c.created_at, last.c.id))
    with store.reading() as session:
        return _with_files(session, wanted.limit(limit))


def visible_batch(store: Store, token: Token, batch_id: str) -> BatchStatus | None:
    """Return a batch, None where there is none that this token may see."""
    found = batch(store, batch_id)
    return found if found and (token.role is Role.INSTRUCTOR or found.owner == token.id) else None


def visible_submission(store: Store, token: Token, submission_id: str) -> SubmissionStatus | None:
    """Return a submission, None where there is none that this token may see."""
    found = submission(store, submission_id, all_marks=token.role is Role.INSTRUCTOR)
    if found is None or token.role is Role.INSTRUCTOR or found.owner == token.id:
        return found
    theirs = token.role is Role.STUDENT and token.person != "" and found.person == token.person
    return found if theirs else None


def report_text(store: Store, submission_id: str, draft: bool = False, *, all_marks: bool = False) -> str | None:
    """Return the JSON of a submission's report with its marks, None where there is none.

    Args:
        store: where it is.
        submission_id: whose.
        draft: the newest, published or not; else the published one.
        all_marks: with marks that are not published, too; for staff.

    Raises:
        SystemFault: the report's blob is missing or damaged.
    """
    wanted = ReportRow.submission == submission_id
    if not draft:
        wanted &= ReportRow.published_at.is_not(None)
    with store.reading() as session:
        sha256 = session.scalar(select(ReportRow.sha256).where(wanted).order_by(ReportRow.id.desc()).limit(1))
    if sha256 is None:
        return None
    text = store.blobs.get(sha256).decode()
    marks = marks_of(store, submission_id, published_only=not all_marks)
    return marked(Report.from_json(text), marks).to_json() if marks else text


def report_of(store: Store, submission_id: str, draft: bool = False, *, all_marks: bool = False) -> Report | None:
    """Return a submission's report, None where there is none; see `report_text`.

    Raises:
        InputError: it was written by another version of the grader, in another schema.
        SystemFault: the report's blob is missing or damaged.
    """
    text = report_text(store, submission_id, draft, all_marks=all_marks)
    return None if text is None else Report.from_json(text)


def attempts(store: Store, submission_id: str) -> list[PastAttempt]:
    """Return all attempts at all gradings of a submission, oldest first."""
    query = (
        select(AttemptRow)
        .join(GradingRow, GradingRow.id == AttemptRow.grading)
        .where(GradingRow.submission == submission_id)
        .order_by(AttemptRow.id)
    )
    with store.reading() as session:
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


def totals(store: Store) -> Totals:
    """Return what there is in the whole store, for who watches over it."""
    oldest = func.min(GradingRow.created_at).filter(GradingRow.state == State.WAITING)
    with store.reading() as session:
        counts = _states(session.execute(select(GradingRow.state, func.count()).group_by(GradingRow.state)))
        reports = session.scalars(select(func.count()).select_from(ReportRow)).one()
        present, since = session.execute(select(now(), oldest)).one()
    return Totals(counts, reports, (present - since).total_seconds() if since else 0.0)


def _batches() -> Select[BatchRow, str]:
    return select(BatchRow, TokenRow.name).join(TokenRow, TokenRow.id == BatchRow.owner)


def _counted(session: Session, wanted: Select[BatchRow, str]) -> list[BatchStatus]:
    rows = session.execute(wanted).all()
    query = (
        select(SubmissionRow.batch, GradingRow.state, func.count())
        .join(GradingRow, GradingRow.submission == SubmissionRow.id)
        .where(GradingRow.newest, SubmissionRow.batch.in_([row.id for row, _ in rows]))
        .group_by(SubmissionRow.batch, GradingRow.state)
    )
    counted = session.execute(query).all()
    return [
        BatchStatus(
            id=row.id,
            owner=row.owner,
            owner_name=owner_name,
            assignment=row.assignment,
            mode=row.mode,
            title=row.title,
            created_at=row.created_at,
            counts=_states((state, count) for batch_id, state, count in counted if batch_id == row.id),
        )
        for row, owner_name in rows
    ]


def _states(counted: Iterable[Any]) -> dict[State, int]:
    return dict.fromkeys(State, 0) | {state: count for state, count in counted}  # noqa: C416 - rows, not pairs


def _submissions() -> Select[Any, Any, Any, Any, Any]:
    shown, newest = aliased(ReportRow), aliased(ReportRow)
    return (
        select(SubmissionRow, BatchRow.owner, GradingRow, shown, newest)
        .select_from(SubmissionRow)
        .join(BatchRow, BatchRow.id == SubmissionRow.batch)
        .join(GradingRow, (GradingRow.submission == SubmissionRow.id) & GradingRow.newest)
        .outerjoin(shown, shown.id == last_report(published=True))
        .outerjoin(newest, newest.id == last_report())
    )


def _with_files(
    session: Session, wanted: Select[Any, Any, Any, Any, Any], all_marks: bool = False
) -> list[SubmissionStatus]:
    rows = session.execute(wanted).all()
    query = select(SubmissionFileRow).where(SubmissionFileRow.submission.in_([row.id for row, *_ in rows]))
    files: dict[str, list[tuple[str, str]]] = {}
    for file in session.scalars(query.order_by(SubmissionFileRow.position)):
        files.setdefault(file.submission, []).append((file.name, file.sha256))
    reports = [shown.id for *_, shown, _ in rows if shown]
    marks = marked_points(session, reports, published_only=not all_marks)
    return [
        SubmissionStatus(
            id=row.id,
            batch=row.batch,
            owner=owner,
            key=row.key,
            name=row.name,
            identifiers=row.identifiers,
            person=row.person,
            files=tuple(files.get(row.id, ())),
            assignment=grading.assignment,
            mode=grading.mode,
            stage=grading.stage,
            state=grading.state,
            attempts=grading.attempts,
            message=grading.message,
            refused=grading.refused,
            created_at=grading.created_at,
            ended_at=grading.ended_at,
            revision=shown and shown.revision,
            score=shown and marks[shown.id].added_to(shown.score),
            max_score=shown and shown.max_score,
            pending_points=shown and marks[shown.id].taken_from(shown.pending_points),
            published_at=shown and shown.published_at,
            draft=newest is not None and newest.published_at is None,
            marks=marks[shown.id].version if shown else "",
        )
        for row, owner, grading, shown, newest in rows
    ]
