"""What is known of batches, submissions and their reports, as plain values for whoever shows them."""

from __future__ import annotations

from sqlalchemy import select

from grader.results.marks import add_marks
from grader.results.report import Report
from grader.service.store.database import Store
from grader.service.store.queries.marks import find_marks
from grader.service.store.schema import (
    ReportRow,
)

__all__ = ["load_report_text", "load_stored_report"]


def load_report_text(store: Store, submission_id: str, draft: bool = False, *, all_marks: bool = False) -> str | None:
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
    marks = find_marks(store, submission_id, published_only=not all_marks)
    return add_marks(Report.from_json(text), marks).to_json() if marks else text


def load_stored_report(
    store: Store, submission_id: str, draft: bool = False, *, all_marks: bool = False
) -> Report | None:
    """Return a submission's report, None where there is none; see `report_text`.

    Raises:
        InputError: it was written by another version of the grader, in another schema.
        SystemFault: the report's blob is missing or damaged.
    """
    text = load_report_text(store, submission_id, draft, all_marks=all_marks)
    return None if text is None else Report.from_json(text)
