"""Pages of a batch: how far it is, its submissions, its overview, and its points as files."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from grader.render.overview import overview_body
from grader.results.overview import SubmissionOverview
from grader.service.api.access import Anyone, Submitter, batch_of
from grader.service.api.routes import gradebooks
from grader.service.api.routes.overviews import summed_up_for
from grader.service.api.service import Given
from grader.service.api.summaries import message_for
from grader.service.store.queries.leases import cancel
from grader.service.store.queries.reports import SubmissionStatus, submissions
from grader.service.store.queries.tokens import Role
from grader.service.store.schema import State
from grader.service.web.page import Done, page, see_other

__all__ = ["router"]

_AT_ONCE = 200

router = APIRouter(prefix="/batches/{batch}")

Sought = Annotated[str, Query(max_length=200)]
Number = Annotated[int, Query(ge=0, le=10**6)]


@router.get("")
def one(
    token: Anyone,
    service: Given,
    batch: str,
    sought: Sought = "",
    state: State | Literal[""] = "",  # as a form sends it
    start: Number = 0,
    done: Done = None,
    count: Number = 0,
) -> Response:
    """Show how far a batch is, and its submissions."""
    found = batch_of(service, token, batch)
    all_of_them = submissions(service.store, found.id, all_marks=token.role is Role.INSTRUCTOR)
    matching = [each for each in all_of_them if _matches(each, sought, state)]
    rows = [(each, message_for(token, each)) for each in matching[start : start + _AT_ONCE]]
    following = start + _AT_ONCE if len(matching) > start + _AT_ONCE else None
    return page(
        "batch",
        token,
        batch=found,
        rows=rows,
        matching=len(matching),
        sought=sought,
        wanted=state,
        following=following,
        done=done,
        count=count,
    )


@router.get("/overview")
def overview(token: Submitter, service: Given, batch: str) -> Response:
    """Show a class at one look."""
    found = batch_of(service, token, batch)
    ids = {each.key: each.id for each in submissions(service.store, found.id)}

    def link(shown: SubmissionOverview) -> str:
        return f"/submissions/{ids[shown.key]}"

    return page("overview", token, batch=found, overview=overview_body(summed_up_for(service, token, found.id), link))


@router.get("/export")
def export(token: Submitter, service: Given, batch: str) -> Response:
    """Offer the points as files."""
    found = batch_of(service, token, batch)
    return page("export", token, batch=found, title=service.catalog.at(found.assignment).title)


router.add_api_route("/gradebook", gradebooks.table, response_class=Response)
router.add_api_route("/gradebook", gradebooks.fill_in, methods=["POST"], response_class=Response)


@router.post("/cancel")
def stop(token: Anyone, service: Given, batch: str) -> Response:
    """End all gradings that have not ended."""
    found = batch_of(service, token, batch)
    return see_other(f"/batches/{found.id}", done="cancelled", count=str(cancel(service.store, found.id)))


def _matches(found: SubmissionStatus, sought: str, state: State | Literal[""]) -> bool:
    named = sought.casefold() in f"{found.name}\n{found.key}".casefold()
    return named and (state == "" or found.state == state)
