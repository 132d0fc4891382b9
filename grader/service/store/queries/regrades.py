"""Regrading: new reports are drafts beside the published ones, to be reviewed and published together."""

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
    """What publishing would change for one submission: its published points, and those of its newest draft."""

    submission: str
    key: str
    name: str
    old: float
    new: float


def create_regrade(store: Store, batch_id: str, revision: str, mode: Mode) -> int:
    """Create a job for each submission that has no report of this revision and no unfinished job.

    That includes submissions whose job failed or was cancelled. If a submission already has a report, the new one stays
    a draft until `publish_drafts`.

    Returns:
        The number of jobs created.
    """
    reported = select(ReportRow.id).where(ReportRow.submission == SubmissionRow.id, ReportRow.revision == revision)
    query = (
        select(JobRow)
        .join(SubmissionRow, SubmissionRow.id == JobRow.submission)
        .where(SubmissionRow.batch == batch_id, JobRow.newest, JobRow.state.not_in(ALIVE), ~reported.exists())
    )
    with store.session() as session:
        lock_events(session, batch_id)  # two regrades at once would create two jobs
        earlier = session.scalars(query).all()
        session.execute(update(JobRow).where(JobRow.id.in_([job.id for job in earlier])).values(newest=False))
        session.add_all(JobRow(submission=job.submission, assignment=job.assignment, mode=mode) for job in earlier)
        session.flush()
        regraded = [job.submission for job in earlier]
        record_event_each(session, batch_id, regraded, EventKind.REGRADE, {"revision": revision})
    return len(earlier)


def find_changes(store: Store, batch_id: str) -> list[RegradeChange]:
    """Return what `publish_drafts` would change, by key, including drafts that give the same points."""
    shown, newest = aliased(ReportRow), aliased(ReportRow)
    has_new_marks = select(MarkRow.id).where(MarkRow.submission == SubmissionRow.id, MarkRow.draft).exists()
    query = (
        select(SubmissionRow, shown, newest)
        .select_from(SubmissionRow)
        .join(shown, shown.id == select_last_report(published=True))
        .join(newest, newest.id == select_last_report())
        .where(SubmissionRow.batch == batch_id, newest.published_at.is_(None) | has_new_marks)
        .order_by(SubmissionRow.key)
    )
    with store.read_session() as session:
        rows = session.execute(query).all()
        before = sum_marked_points(session, [old.id for _, old, _ in rows], published_only=True)
        after = sum_marked_points(session, [new.id for _, _, new in rows], published_only=False)
    return [
        RegradeChange(row.id, row.key, row.name, before[old.id].add_to(old.score), after[new.id].add_to(new.score))
        for row, old, new in rows
    ]


def publish_drafts(store: Store, batch_id: str) -> int:
    """Publish the newest draft and the marks of each submission of a batch. Return how many had something new."""
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
