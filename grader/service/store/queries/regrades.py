"""Regrading: new reports beside those that are published, looked at first and published together."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.orm import aliased

from grader.models.recipe import Mode
from grader.service.store.columns import now
from grader.service.store.database import Store
from grader.service.store.queries.events import lock_events, record_event, record_event_each
from grader.service.store.queries.marks import publish_marks, sum_marked_points
from grader.service.store.schema import ALIVE, EventKind, JobRow, MarkRow, ReportRow, SubmissionRow, select_last_report

__all__ = ["RegradeChange", "create_regrade", "find_changes", "publish_drafts"]


@dataclass(frozen=True)
class RegradeChange:
    """What publishing would do to one submission: its points as published, and in the newest draft."""

    submission: str
    key: str
    name: str
    old: float
    new: float


def create_regrade(store: Store, batch_id: str, revision: str, mode: Mode) -> int:
    """Grade again what has no report of this revision and is not being graded; return how many gradings wait now.

    Those that failed or were cancelled are graded again as well. Reports of submissions that have one stay drafts until
    `publish`.
    """
    reported = select(ReportRow.id).where(ReportRow.submission == SubmissionRow.id, ReportRow.revision == revision)
    query = (
        select(JobRow)
        .join(SubmissionRow, SubmissionRow.id == JobRow.submission)
        .where(SubmissionRow.batch == batch_id, JobRow.newest, JobRow.state.not_in(ALIVE), ~reported.exists())
    )
    with store.session() as session:
        lock_events(session, batch_id)  # two that regrade at once would make two gradings
        earlier = session.scalars(query).all()
        session.execute(update(JobRow).where(JobRow.id.in_([grading.id for grading in earlier])).values(newest=False))
        session.add_all(
            JobRow(submission=grading.submission, assignment=grading.assignment, mode=mode) for grading in earlier
        )
        session.flush()
        regraded = [grading.submission for grading in earlier]
        record_event_each(session, batch_id, regraded, EventKind.REGRADE, {"revision": revision})
    return len(earlier)


def find_changes(store: Store, batch_id: str) -> list[RegradeChange]:
    """Return what `publish` would change, by key; drafts that give the same points are there too."""
    shown, newest = aliased(ReportRow), aliased(ReportRow)
    marked_anew = select(MarkRow.id).where(MarkRow.submission == SubmissionRow.id, MarkRow.draft).exists()
    query = (
        select(SubmissionRow, shown, newest)
        .select_from(SubmissionRow)
        .join(shown, shown.id == select_last_report(published=True))
        .join(newest, newest.id == select_last_report())
        .where(SubmissionRow.batch == batch_id, newest.published_at.is_(None) | marked_anew)
        .order_by(SubmissionRow.key)
    )
    with store.reading() as session:
        rows = session.execute(query).all()
        before = sum_marked_points(session, [old.id for _, old, _ in rows], published_only=True)
        after = sum_marked_points(session, [new.id for _, _, new in rows], published_only=False)
    return [
        RegradeChange(row.id, row.key, row.name, before[old.id].added_to(old.score), after[new.id].added_to(new.score))
        for row, old, new in rows
    ]


def publish_drafts(store: Store, batch_id: str) -> int:
    """Publish the newest draft and the marks of each of a batch's submissions; return how many had something new."""
    newest = select(select_last_report()).where(SubmissionRow.batch == batch_id)
    drafts = (
        update(ReportRow)
        .where(ReportRow.id.in_(newest), ReportRow.published_at.is_(None))
        .values(published_at=now())
        .returning(ReportRow.submission, ReportRow.revision)
    )
    with store.session() as session:
        lock_events(session, batch_id)
        reports = {submission: {"revision": revision} for submission, revision in session.execute(drafts)}
        marks = {submission: {"marks": count} for submission, count in publish_marks(session, batch_id).items()}
        for submission_id in reports | marks:
            detail = {**reports.get(submission_id, {}), **marks.get(submission_id, {})}
            record_event(session, batch_id, submission_id, EventKind.PUBLISHED, detail)
    return len(reports | marks)
