"""Executed notebooks: what each cell printed and showed during grading, kept beside the report."""

from __future__ import annotations

from sqlalchemy import select

from grader.errors import InputError
from grader.service.store.database import Store
from grader.service.store.schema import ReportRow
from grader.submission.executed_notebook import ExecutedNotebook, decode_executed_notebooks

__all__ = ["find_executed_notebook"]


def find_executed_notebook(store: Store, submission_id: str, name: str, draft: bool = False) -> ExecutedNotebook | None:
    """Return an executed notebook of a submission's report. Return None if it was not kept.

    Args:
        store: the store.
        submission_id: the submission.
        name: name of the notebook.
        draft: whether to use the newest report, published or not, instead of the published one.

    Raises:
        SystemFault: its blob is missing or damaged.
    """
    condition = ReportRow.submission == submission_id
    if not draft:
        condition &= ReportRow.published_at.is_not(None)
    with store.read_session() as session:
        sha256 = session.scalar(select(ReportRow.executed).where(condition).order_by(ReportRow.id.desc()).limit(1))
    if sha256 is None:
        return None
    try:
        notebooks = decode_executed_notebooks(store.blobs.get(sha256).decode())
    except InputError:  # written by another version
        return None
    return next((notebook for notebook in notebooks if notebook.name == name), None)
