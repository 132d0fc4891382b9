"""Reports, with the marks that people gave."""

from __future__ import annotations

from typing import Any

from sqlalchemy import case, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from grader.results.marks import add_marks
from grader.results.report import Report
from grader.service.store.columns import now
from grader.service.store.database import Store
from grader.service.store.queries.marks import find_marks, record_waiting_items
from grader.service.store.schema import ReportRow

__all__ = ["insert_report", "load_report_text", "load_stored_report"]


def load_report_text(store: Store, submission_id: str, draft: bool = False, *, all_marks: bool = False) -> str | None:
    """Return the JSON of a submission's report with its marks. Return None if there is no report.

    Args:
        store: the store.
        submission_id: the submission.
        draft: whether to return the newest report, published or not, instead of the published one.
        all_marks: whether to include unpublished marks; for staff.

    Raises:
        SystemFault: the report's blob is missing or damaged.
    """
    condition = ReportRow.submission == submission_id
    if not draft:
        condition &= ReportRow.published_at.is_not(None)
    with store.read_session() as session:
        sha256 = session.scalar(select(ReportRow.sha256).where(condition).order_by(ReportRow.id.desc()).limit(1))
    if sha256 is None:
        return None
    text = store.blobs.get(sha256).decode()
    marks = find_marks(store, submission_id, published_only=not all_marks)
    return add_marks(Report.from_json(text), marks).to_json() if marks else text


def load_stored_report(
    store: Store, submission_id: str, draft: bool = False, *, all_marks: bool = False
) -> Report | None:
    """Return a submission's report. Return None if there is none; see `load_report_text`.

    Raises:
        InputError: the report was written by another version of the grader, in another schema.
        SystemFault: the report's blob is missing or damaged.
    """
    text = load_report_text(store, submission_id, draft, all_marks=all_marks)
    return None if text is None else Report.from_json(text)


def insert_report(
    session: Session, submission_id: str, job_id: str, report: Report, sha256: str, executed: str | None
) -> bool | None:
    """Insert a report and return whether it is published. Return None if one of this revision exists.

    Args:
        session: the transaction.
        submission_id: the submission.
        job_id: the job that made the report.
        report: the report.
        sha256: the blob of its JSON.
        executed: the blob of the executed notebooks; None if there is none.
    """
    first = ~select(ReportRow.id).where(ReportRow.submission == submission_id).exists()
    insert_or_not: Any = sqlite.insert if session.connection().dialect.name == "sqlite" else postgresql.insert
    inserted = session.execute(
        insert_or_not(ReportRow)
        .values(
            submission=submission_id,
            grading=job_id,
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
    record_waiting_items(session, report_id, report)
    return published_at is not None
