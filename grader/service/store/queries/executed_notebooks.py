"""The notebooks of a submission as they were run, kept beside its report."""

from __future__ import annotations

from sqlalchemy import select

from grader.errors import InputError
from grader.service.store.database import Store
from grader.service.store.schema import ReportRow
from grader.submission.executed_notebook import ExecutedNotebook, decode_executed_notebooks

__all__ = ["find_executed_notebook"]


def find_executed_notebook(store: Store, submission_id: str, name: str, draft: bool = False) -> ExecutedNotebook | None:
    """Return a notebook as it was run for a submission's report, None where there is none.

    Args:
        store: where it is.
        submission_id: whose.
        name: the notebook's.
        draft: for the newest report, published or not; else for the published one.

    Raises:
        SystemFault: its blob is missing or damaged.
    """
    wanted = ReportRow.submission == submission_id
    if not draft:
        wanted &= ReportRow.published_at.is_not(None)
    with store.reading() as session:
        sha256 = session.scalar(select(ReportRow.executed).where(wanted).order_by(ReportRow.id.desc()).limit(1))
    if sha256 is None:
        return None
    try:
        notebooks = decode_executed_notebooks(store.blobs.get(sha256).decode())
    except InputError:  # another version's
        return None
    return next((each for each in notebooks if each.name == name), None)
