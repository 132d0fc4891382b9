"""The home page: a form to hand in, and what was handed in before."""

from __future__ import annotations

from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Query, Response

from grader.models.recipe import Mode
from grader.service.api.access import Anyone, Submitter
from grader.service.api.pagination import AfterId, paginate
from grader.service.api.routes.assignments import list_assignments
from grader.service.api.routes.hand_ins import hand_in_batch, hand_in_submission
from grader.service.api.service import Service, ServiceDep
from grader.service.api.summaries import choose_message
from grader.service.api.uploads import UploadDep
from grader.service.store.queries.batches import find_batches
from grader.service.store.queries.submissions import find_submissions_of
from grader.service.store.queries.tokens import Role, Token
from grader.service.web.page import redirect, render_page

__all__ = ["router"]

_ROWS_PER_PAGE = 50

router = APIRouter()

Once = Annotated[
    str, Query(pattern="^[0-9a-f-]{0,36}$", description="Keeps a form sent twice from creating two batches.")
]


@router.get("/")
def show_home(token: Anyone, service: ServiceDep, after: AfterId = "") -> Response:
    """Show the batches or the student's submissions, newest first, and the form to hand in more."""
    if token.role is Role.STUDENT:
        return _show_student_home(token, service, after)
    owner = None if token.role is Role.INSTRUCTOR else token.id
    batches = find_batches(service.store, owner, after, _ROWS_PER_PAGE + 1)
    rows, following = paginate(batches, _ROWS_PER_PAGE, lambda batch: batch.id)
    form = _make_form(token, service)
    return render_page("home", token, batches=rows, following=following, after=after, form=form)


@router.get("/batches")
@router.get("/submissions")
def redirect_home() -> Response:
    """Redirect a reader who reloads the address that a form was sent to."""
    return redirect("/")


@router.post("/batches")
def hand_in_class(token: Submitter, service: ServiceDep, upload: UploadDep, once: Once = "") -> Response:
    """Accept the submissions of a class."""
    accepted = hand_in_batch(token, service, upload, Response(), once)
    path = f"/batches/{accepted.batch}"
    if not accepted.notices:
        return redirect(path)
    return render_page("accepted", token, notices=accepted.notices, path=path, submissions=accepted.submissions)


@router.post("/submissions")
def hand_in_own(token: Anyone, service: ServiceDep, upload: UploadDep, once: Once = "") -> Response:
    """Accept one submission."""
    accepted = hand_in_submission(token, service, upload, Response(), once)
    path = f"/submissions/{accepted.submission}"
    if not accepted.notices:
        return redirect(path)
    return render_page("accepted", token, notices=accepted.notices, path=path, submissions=1)


def _show_student_home(token: Token, service: Service, after: str) -> Response:
    submissions = find_submissions_of(service.store, token.person, after, _ROWS_PER_PAGE + 1)
    page, following = paginate(submissions, _ROWS_PER_PAGE, lambda submission: submission.id)
    rows = [(submission, choose_message(token, submission)) for submission in page]
    form = _make_form(token, service)
    return render_page("own", token, rows=rows, following=following, after=after, form=form)


def _make_form(token: Token, service: Service) -> dict[str, object]:
    assignments = list_assignments(token, service).items
    return {
        "assignments": assignments,
        "modes": [mode for mode in Mode if any(mode in item.modes for item in assignments)],
        "once": str(uuid4()),
    }
