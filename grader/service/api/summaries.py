"""The results of a batch, for everything that sums up a class."""

from __future__ import annotations

from collections.abc import Iterator

from grader.results.report import Report
from grader.service.store.database import Store
from grader.service.store.queries.reports import load_stored_report
from grader.service.store.queries.submissions import SubmissionStatus, find_submissions
from grader.service.store.queries.tokens import Role, Token
from grader.service.store.schema import State

__all__ = ["choose_message", "iterate_results"]

_SYSTEM_ERROR = "a system error; course staff can see the details"


def iterate_results(store: Store, token: Token, batch: str) -> Iterator[tuple[SubmissionStatus, Report | None]]:
    """Yield each submission with its published report, one at a time to save memory."""
    all_marks = token.role is Role.INSTRUCTOR
    for status in find_submissions(store, batch, all_marks=all_marks):
        yield status, load_stored_report(store, status.id, all_marks=all_marks) if status.revision else None


def choose_message(token: Token, submission: SubmissionStatus) -> str:
    """Return why grading failed: in full to staff, and to others only if their own input is the reason."""
    if token.role is Role.INSTRUCTOR or submission.refused:
        return submission.message
    return _SYSTEM_ERROR if submission.state is State.FAILED else ""
