"""Submissions, and how far their grading is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select, tuple_
from sqlalchemy.orm import Session, aliased

from grader.models.recipe import Mode
from grader.service.store.database import Store
from grader.service.store.queries.marks import sum_marked_points
from grader.service.store.queries.tokens import Role, Token
from grader.service.store.schema import (
    BatchRow,
    JobRow,
    ReportRow,
    Stage,
    State,
    SubmissionFileRow,
    SubmissionRow,
    select_last_report,
)

__all__ = ["SubmissionStatus", "find_submission", "find_submissions", "find_submissions_of", "find_visible_submission"]


@dataclass(frozen=True)
class SubmissionStatus:
    """A submission, the state of its newest job, and the points of its published report.

    Attributes:
        owner: id of the token that submitted it.
        files: path and sha256 of each notebook, in order.
        companions: path and sha256 of each file beside the notebooks, in order.
        attempts: attempts so far at the job's current stage.
        message: why the job failed or waits again; for staff, unless `refused` is true.
        refused: whether no notebook can be read; `message` says why.
        created_at: when the job was created.
        revision: revision of the rubric that the published report was made by. Like `score`, `max_score`,
            `pending_points` and `published_at`, None if there is no published report.
        draft: whether there is a newer report that is not published.
        marks: changes whenever a mark that counts here changes; "" if none counts.
    """

    id: str
    batch: str
    owner: str
    key: str
    name: str
    identifiers: Mapping[str, str]
    person: str
    files: tuple[tuple[str, str], ...]
    companions: tuple[tuple[str, str], ...]
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


def find_submissions(
    store: Store, batch_id: str, after: str = "", limit: int | None = None, *, all_marks: bool = False
) -> list[SubmissionStatus]:
    """Return a batch's submissions by key.

    Args:
        store: the store.
        batch_id: the batch.
        after: key of the last submission of the previous page; "" for the first page.
        limit: the largest number of submissions to return; None for all.
        all_marks: whether to count unpublished marks; for staff.
    """
    query = _select_submissions().where(SubmissionRow.batch == batch_id).order_by(SubmissionRow.key).limit(limit)
    with store.read_session() as session:
        return _load_statuses(session, query.where(SubmissionRow.key > after) if after else query, all_marks)


def find_submission(store: Store, submission_id: str, *, all_marks: bool = False) -> SubmissionStatus | None:
    """Return the submission with this id. Return None if there is none. `all_marks` counts unpublished marks."""
    query = _select_submissions().where(SubmissionRow.id == submission_id)
    with store.read_session() as session:
        return next(iter(_load_statuses(session, query, all_marks)), None)


def find_submissions_of(store: Store, person: str, after: str = "", limit: int | None = None) -> list[SubmissionStatus]:
    """Return a person's submissions, newest first, regardless of who submitted them. Return none if `person` is "".

    Args:
        store: the store.
        person: the student, as submissions name them.
        after: id of the last submission of the previous page; "" for the first page.
        limit: the largest number of submissions to return; None for all.
    """
    if not person:
        return []
    order = (BatchRow.created_at, SubmissionRow.id)
    query = _select_submissions().where(SubmissionRow.person == person).order_by(*(column.desc() for column in order))
    if after:
        # Restricted to this person too: the id of someone else's submission acts like one that does not exist.
        position = select(*order).join(BatchRow, BatchRow.id == SubmissionRow.batch)
        last = position.where(SubmissionRow.id == after, SubmissionRow.person == person).subquery()
        query = query.join(last, tuple_(*order) < tuple_(last.c.created_at, last.c.id))
    with store.read_session() as session:
        return _load_statuses(session, query.limit(limit))


def find_visible_submission(store: Store, token: Token, submission_id: str) -> SubmissionStatus | None:
    """Return a submission. Return None if it does not exist or this token may not see it."""
    submission = find_submission(store, submission_id, all_marks=token.role is Role.INSTRUCTOR)
    if submission is None or token.role is Role.INSTRUCTOR or submission.owner == token.id:
        return submission
    is_own = token.role is Role.STUDENT and token.person != "" and submission.person == token.person
    return submission if is_own else None


def _select_submissions() -> Select[Any, Any, Any, Any, Any]:
    shown, newest = aliased(ReportRow), aliased(ReportRow)
    return (
        select(SubmissionRow, BatchRow.owner, JobRow, shown, newest)
        .select_from(SubmissionRow)
        .join(BatchRow, BatchRow.id == SubmissionRow.batch)
        .join(JobRow, (JobRow.submission == SubmissionRow.id) & JobRow.newest)
        .outerjoin(shown, shown.id == select_last_report(published=True))
        .outerjoin(newest, newest.id == select_last_report())
    )


def _load_statuses(
    session: Session, submissions: Select[Any, Any, Any, Any, Any], all_marks: bool = False
) -> list[SubmissionStatus]:
    rows = session.execute(submissions).all()
    query = select(SubmissionFileRow).where(SubmissionFileRow.submission.in_([row.id for row, *_ in rows]))
    files: dict[tuple[str, bool], list[tuple[str, str]]] = {}  # by submission, and whether they are notebooks
    for file in session.scalars(query.order_by(SubmissionFileRow.position)):
        files.setdefault((file.submission, file.is_notebook), []).append((file.name, file.sha256))
    reports = [shown.id for *_, shown, _ in rows if shown]
    marks = sum_marked_points(session, reports, published_only=not all_marks)
    return [
        SubmissionStatus(
            id=row.id,
            batch=row.batch,
            owner=owner,
            key=row.key,
            name=row.name,
            identifiers=row.identifiers,
            person=row.person,
            files=tuple(files.get((row.id, True), ())),
            companions=tuple(files.get((row.id, False), ())),
            assignment=job.assignment,
            mode=job.mode,
            stage=job.stage,
            state=job.state,
            attempts=job.attempts,
            message=job.message,
            refused=job.refused,
            created_at=job.created_at,
            ended_at=job.ended_at,
            revision=shown and shown.revision,
            score=shown and marks[shown.id].add_to(shown.score),
            max_score=shown and shown.max_score,
            pending_points=shown and marks[shown.id].subtract_from(shown.pending_points),
            published_at=shown and shown.published_at,
            draft=newest is not None and newest.published_at is None,
            marks=marks[shown.id].version if shown else "",
        )
        for row, owner, job, shown, newest in rows
    ]
