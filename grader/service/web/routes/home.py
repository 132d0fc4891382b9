"""The first page: hand in, and what was handed in."""

from __future__ import annotations

from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Query, Response

from grader.models.recipe import Mode
from grader.service.api.access import Anyone, Submitter
from grader.service.api.pagination import AfterId
from grader.service.api.pagination import paginate as one_page
from grader.service.api.routes.assignments import list_assignments
from grader.service.api.routes.hand_ins import hand_in_batch, hand_in_submission
from grader.service.api.service import Given, Service
from grader.service.api.summaries import choose_message
from grader.service.api.uploads import Uploaded
from grader.service.store.queries.batches import find_batches
from grader.service.store.queries.submissions import find_submissions_of
from grader.service.store.queries.tokens import Role, Token
from grader.service.web.page import redirect, render_page

__all__ = ["router"]

_AT_ONCE = 50

router = APIRouter()

Once = Annotated[str, Query(pattern="^[0-9a-f-]{0,36}$", description="Makes one batch of a form that is sent twice.")]


@router.get("/")
def show_home(token: Anyone, service: Given, after: AfterId = "") -> Response:
    """Show what there is, newest first, and the form to hand in more."""
    if token.role is Role.STUDENT:
        return _students(token, service, after)
    owner = None if token.role is Role.INSTRUCTOR else token.id
    found, following = one_page(find_batches(service.store, owner, after, _AT_ONCE + 1), _AT_ONCE, lambda each: each.id)
    return render_page("home", token, batches=found, following=following, after=after, form=_form(token, service))


@router.get("/batches")
@router.get("/submissions")
def redirect_home() -> Response:
    """Lead back whoever asks for the address of a form again."""
    return redirect("/")


@router.post("/batches")
def hand_in_class(token: Submitter, service: Given, upload: Uploaded, once: Once = "") -> Response:
    """Take a class's submissions."""
    accepted = hand_in_batch(token, service, upload, Response(), once)
    place = f"/batches/{accepted.batch}"
    if not accepted.notices:
        return redirect(place)
    return render_page("accepted", token, notices=accepted.notices, place=place, submissions=accepted.submissions)


@router.post("/submissions")
def hand_in_own(token: Anyone, service: Given, upload: Uploaded, once: Once = "") -> Response:
    """Take one submission."""
    accepted = hand_in_submission(token, service, upload, Response(), once)
    place = f"/submissions/{accepted.submission}"
    if not accepted.notices:
        return redirect(place)
    return render_page("accepted", token, notices=accepted.notices, place=place, submissions=1)


def _students(token: Token, service: Service, after: str) -> Response:
    wanted = find_submissions_of(service.store, token.person, after, _AT_ONCE + 1)
    found, following = one_page(wanted, _AT_ONCE, lambda each: each.id)
    rows = [(each, choose_message(token, each)) for each in found]
    return render_page("own", token, rows=rows, following=following, after=after, form=_form(token, service))


def _form(token: Token, service: Service) -> dict[str, object]:
    offered = list_assignments(token, service).items
    return {
        "assignments": offered,
        "modes": [mode for mode in Mode if any(mode in each.modes for each in offered)],
        "once": str(uuid4()),
    }
