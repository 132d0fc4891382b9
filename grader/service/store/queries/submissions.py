"""What is known of submissions, as plain values."""

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


def find_submissions(
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


def find_submission(store: Store, submission_id: str, *, all_marks: bool = False) -> SubmissionStatus | None:
    """Return a submission, None where there is none of this id; with marks that are not published for staff."""
    wanted = _submissions().where(SubmissionRow.id == submission_id)
    with store.reading() as session:
        return next(iter(_with_files(session, wanted, all_marks)), None)


def find_submissions_of(store: Store, person: str, after: str = "", limit: int | None = None) -> list[SubmissionStatus]:
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


def find_visible_submission(store: Store, token: Token, submission_id: str) -> SubmissionStatus | None:
    """Return a submission, None where there is none that this token may see."""
    found = find_submission(store, submission_id, all_marks=token.role is Role.INSTRUCTOR)
    if found is None or token.role is Role.INSTRUCTOR or found.owner == token.id:
        return found
    theirs = token.role is Role.STUDENT and token.person != "" and found.person == token.person
    return found if theirs else None


def _submissions() -> Select[Any, Any, Any, Any, Any]:
    shown, newest = aliased(ReportRow), aliased(ReportRow)
    return (
        select(SubmissionRow, BatchRow.owner, JobRow, shown, newest)
        .select_from(SubmissionRow)
        .join(BatchRow, BatchRow.id == SubmissionRow.batch)
        .join(JobRow, (JobRow.submission == SubmissionRow.id) & JobRow.newest)
        .outerjoin(shown, shown.id == select_last_report(published=True))
        .outerjoin(newest, newest.id == select_last_report())
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
