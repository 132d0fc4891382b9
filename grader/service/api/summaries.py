"""What a batch's submissions came to, as everything that sums up a class wants it."""

from __future__ import annotations

from collections.abc import Iterator

from grader.results.report import Report
from grader.service.store.database import Store
from grader.service.store.queries.reports import load_stored_report
from grader.service.store.queries.submissions import SubmissionStatus, find_submissions
from grader.service.store.queries.tokens import Role, Token
from grader.service.store.schema import State

__all__ = ["choose_message", "iterate_results"]

_SYSTEM_ERROR = "a system error; staff are told"


def iterate_results(store: Store, token: Token, batch: str) -> Iterator[tuple[SubmissionStatus, Report | None]]:
    """Give each submission with its published report, one after the other: a class's need not be in memory at once."""
    all_marks = token.role is Role.INSTRUCTOR
    for found in find_submissions(store, batch, all_marks=all_marks):
        yield found, load_stored_report(store, found.id, all_marks=all_marks) if found.revision else None


def choose_message(token: Token, found: SubmissionStatus) -> str:
    """Return why it failed: to staff as it was, to others only what their own input is the reason of."""
    if token.role is Role.INSTRUCTOR or found.refused:
        return found.message
    return _SYSTEM_ERROR if found.state is State.FAILED else ""
