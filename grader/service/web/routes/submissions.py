"""Pages of a submission: where it stands, its report, and what its person handed in before."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from grader.render import render_body
from grader.service.api.access import Anyone, get_submission
from grader.service.api.routes import submissions
from grader.service.api.service import Given
from grader.service.api.summaries import choose_message
from grader.service.store.queries.attempts import find_attempts
from grader.service.store.queries.batches import find_batch
from grader.service.store.queries.reports import load_stored_report
from grader.service.store.queries.submissions import find_submissions_of
from grader.service.store.queries.tokens import Role
from grader.service.web.page import redirect, render_page

__all__ = ["router"]

_SHOWN_HISTORY = 20

router = APIRouter(prefix="/submissions/{submission}")


@router.get("")
def show_submission(
    token: Anyone, service: Given, submission: str, draft: Annotated[bool, Query()] = False
) -> Response:
    """Show a submission and its report."""
    found = get_submission(service, token, submission)
    is_staff = token.role is Role.INSTRUCTOR
    draft = draft and is_staff and found.draft
    report = load_stored_report(service.store, found.id, draft, all_marks=is_staff) if found.revision or draft else None
    # Whoever may see this one through their name may see all that is theirs; a CI's token only what it handed in.
    others = [] if token.role is Role.CI else find_submissions_of(service.store, found.person, limit=_SHOWN_HISTORY)
    return render_page(
        "submission",
        token,
        found=found,
        batch=find_batch(service.store, found.batch),
        message=choose_message(token, found),
        report=render_body(report) if report else None,
        to_mark=[each.id for each in report.items if each.by_person] if report and is_staff else [],
        is_draft=draft,
        history=[each for each in others if each.assignment == found.assignment],
        attempts=find_attempts(service.store, found.id) if is_staff else [],
        may_cancel=is_staff or found.owner == token.id,
    )


@router.post("/cancel")
def cancel_submission(token: Anyone, service: Given, submission: str) -> Response:
    """End its grading if it has not ended."""
    submissions.cancel_submission(token, service, submission)
    return redirect(f"/submissions/{submission}")
