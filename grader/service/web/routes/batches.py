"""Pages of a batch: how far it is, its submissions, its overview, and its points as files."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from grader.render.overview import render_overview_body
from grader.results.overview import SubmissionOverview
from grader.service.api.access import Anyone, Submitter, get_batch
from grader.service.api.routes import gradebooks
from grader.service.api.routes.overviews import summarise_batch
from grader.service.api.service import Given
from grader.service.api.summaries import choose_message
from grader.service.store.queries.leases import cancel_jobs
from grader.service.store.queries.submissions import SubmissionStatus, find_submissions
from grader.service.store.queries.tokens import Role
from grader.service.store.schema import State
from grader.service.web.page import Done, redirect, render_page

__all__ = ["router"]

_AT_ONCE = 200

router = APIRouter(prefix="/batches/{batch}")

Sought = Annotated[str, Query(max_length=200)]
Number = Annotated[int, Query(ge=0, le=10**6)]


@router.get("")
def show_batch(
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
    found = get_batch(service, token, batch)
    all_of_them = find_submissions(service.store, found.id, all_marks=token.role is Role.INSTRUCTOR)
    matching = [each for each in all_of_them if _matches(each, sought, state)]
    rows = [(each, choose_message(token, each)) for each in matching[start : start + _AT_ONCE]]
    following = start + _AT_ONCE if len(matching) > start + _AT_ONCE else None
    return render_page(
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
def show_overview(token: Submitter, service: Given, batch: str) -> Response:
    """Show a class at one look."""
    found = get_batch(service, token, batch)
    ids = {each.key: each.id for each in find_submissions(service.store, found.id)}

    def link(shown: SubmissionOverview) -> str:
        return f"/submissions/{ids[shown.key]}"

    return render_page(
        "overview", token, batch=found, overview=render_overview_body(summarise_batch(service, token, found.id), link)
    )


@router.get("/export")
def export_gradebook(token: Submitter, service: Given, batch: str) -> Response:
    """Offer the points as files."""
    found = get_batch(service, token, batch)
    return render_page("export", token, batch=found, title=service.catalog.at(found.assignment).title)


router.add_api_route("/gradebook", gradebooks.export_gradebook, response_class=Response)
router.add_api_route("/gradebook", gradebooks.fill_gradebook, methods=["POST"], response_class=Response)


@router.post("/cancel")
def cancel_batch(token: Anyone, service: Given, batch: str) -> Response:
    """End all gradings that have not ended."""
    found = get_batch(service, token, batch)
    return redirect(f"/batches/{found.id}", done="cancelled", count=str(cancel_jobs(service.store, found.id)))


def _matches(found: SubmissionStatus, sought: str, state: State | Literal[""]) -> bool:
    named = sought.casefold() in f"{found.name}\n{found.key}".casefold()
    return named and (state == "" or found.state == state)
