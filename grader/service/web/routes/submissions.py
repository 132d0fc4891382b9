"""Pages of a submission: its state, its report, and the earlier submissions of its person."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from markupsafe import Markup

from grader.render import render_body
from grader.results.report import Report
from grader.service.api.access import Anyone, get_submission
from grader.service.api.routes import submissions
from grader.service.api.service import Service, ServiceDep
from grader.service.api.sources import read_sources
from grader.service.api.summaries import choose_message
from grader.service.store.queries.attempts import find_attempts
from grader.service.store.queries.batches import find_batch
from grader.service.store.queries.reports import load_stored_report
from grader.service.store.queries.submissions import SubmissionStatus, find_submissions_of
from grader.service.store.queries.tokens import Role
from grader.service.web.page import redirect, render_page

__all__ = ["router"]

_SHOWN_HISTORY = 20

router = APIRouter(prefix="/submissions/{submission}")


@router.get("")
def show_submission(
    token: Anyone, service: ServiceDep, submission: str, draft: Annotated[bool, Query()] = False
) -> Response:
    """Show a submission and its report."""
    status = get_submission(service, token, submission)
    is_staff = token.role is Role.INSTRUCTOR
    draft = draft and is_staff and status.draft
    report = None
    if status.revision or draft:
        report = load_stored_report(service.store, status.id, draft, all_marks=is_staff)
    # A student who may see this submission may see all of their own; a token of CI only what it handed in.
    others = [] if token.role is Role.CI else find_submissions_of(service.store, status.person, limit=_SHOWN_HISTORY)
    return render_page(
        "submission",
        token,
        submission=status,
        batch=find_batch(service.store, status.batch),
        message=choose_message(token, status),
        report=_render_report(service, status, report, for_staff=is_staff) if report else None,
        to_mark=[item.id for item in report.items if item.by_person] if report and is_staff else [],
        is_draft=draft,
        history=[other for other in others if other.assignment == status.assignment],
        attempts=find_attempts(service.store, status.id) if is_staff else [],
        may_cancel=is_staff or status.owner == token.id,
    )


@router.post("/cancel")
def cancel_submission(token: Anyone, service: ServiceDep, submission: str) -> Response:
    """Cancel grading if it has not ended."""
    submissions.cancel_submission(token, service, submission)
    return redirect(f"/submissions/{submission}")


def _render_report(service: Service, submission: SubmissionStatus, report: Report, *, for_staff: bool) -> Markup:
    """Return a report whose items stand beside their code and link to their cells."""
    pages = {
        name: f"/submissions/{submission.id}/notebooks/{number}#cell-"
        for number, (name, _) in enumerate(submission.files)
    }
    return render_body(report, read_sources(service, submission), pages, for_staff=for_staff)
