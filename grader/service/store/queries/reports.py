"""Reports, with the marks that people gave."""

from __future__ import annotations

from sqlalchemy import select

from grader.results.marks import add_marks
from grader.results.report import Report
from grader.service.store.database import Store
from grader.service.store.queries.marks import find_marks
from grader.service.store.schema import ReportRow

__all__ = ["load_report_text", "load_stored_report"]


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
