"""Pages of a submission: where it stands, its report, and what its person handed in before."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from grader.render import report_body
from grader.service.api.access import Anyone, submission_of
from grader.service.api.routes import submissions
from grader.service.api.service import Given
from grader.service.api.summaries import message_for
from grader.service.store.queries.reports import attempts, batch, report_of, submissions_of
from grader.service.store.queries.tokens import Role
from grader.service.web.page import page, see_other

__all__ = ["router"]

_SHOWN_HISTORY = 20

router = APIRouter(prefix="/submissions/{submission}")


@router.get("")
def one(token: Anyone, service: Given, submission: str, draft: Annotated[bool, Query()] = False) -> Response:
    """Show a submission and its report."""
    found = submission_of(service, token, submission)
    is_staff = token.role is Role.INSTRUCTOR
    draft = draft and is_staff and found.draft
    report = report_of(service.store, found.id, draft, all_marks=is_staff) if found.revision or draft else None
    # Whoever may see this one through their name may see all that is theirs; a CI's token only what it handed in.
    others = [] if token.role is Role.CI else submissions_of(service.store, found.person, limit=_SHOWN_HISTORY)
    return page(
        "submission",
        token,
        found=found,
        batch=batch(service.store, found.batch),
        message=message_for(token, found),
        report=report_body(report) if report else None,
        to_mark=[each.id for each in report.items if each.by_person] if report and is_staff else [],
        is_draft=draft,
        history=[each for each in others if each.assignment == found.assignment],
        attempts=attempts(service.store, found.id) if is_staff else [],
        may_cancel=is_staff or found.owner == token.id,
    )


@router.post("/cancel")
def stop(token: Anyone, service: Given, submission: str) -> Response:
    """End its grading if it has not ended."""
    submissions.stop(token, service, submission)
    return see_other(f"/submissions/{submission}")
