"""Pages of a batch: its progress, its submissions, its overview, and its points as files."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from grader.render.overview import render_overview_body
from grader.results.overview import SubmissionOverview
from grader.service.api.access import Anyone, Submitter, get_batch
from grader.service.api.routes import gradebooks
from grader.service.api.routes.overviews import summarise_batch
from grader.service.api.service import ServiceDep
from grader.service.api.summaries import choose_message
from grader.service.store.queries.leases import cancel_jobs
from grader.service.store.queries.submissions import SubmissionStatus, find_submissions
from grader.service.store.queries.tokens import Role
from grader.service.store.schema import State
from grader.service.web.page import Done, redirect, render_page

__all__ = ["router"]

_ROWS_PER_PAGE = 200

router = APIRouter(prefix="/batches/{batch}")

SearchQuery = Annotated[str, Query(max_length=200)]
Number = Annotated[int, Query(ge=0, le=10**6)]


@router.get("")
def show_batch(
    token: Anyone,
    service: ServiceDep,
    batch: str,
    search: SearchQuery = "",
    state: State | Literal[""] = "",  # an empty value is what a form sends for "any"
    start: Number = 0,
    done: Done = None,
    count: Number = 0,
) -> Response:
    """Show the progress of a batch and its submissions."""
    status = get_batch(service, token, batch)
    submissions = find_submissions(service.store, status.id, all_marks=token.role is Role.INSTRUCTOR)
    matches = [submission for submission in submissions if _matches(submission, search, state)]
    end = start + _ROWS_PER_PAGE
    rows = [(submission, choose_message(token, submission)) for submission in matches[start:end]]
    following = end if len(matches) > end else None
    return render_page(
        "batch",
        token,
        batch=status,
        rows=rows,
        matches=len(matches),
        search=search,
        chosen_state=state,
        following=following,
        done=done,
        count=count,
    )


@router.get("/overview")
def show_overview(token: Submitter, service: ServiceDep, batch: str) -> Response:
    """Show the overview of a batch."""
    status = get_batch(service, token, batch)
    ids = {submission.key: submission.id for submission in find_submissions(service.store, status.id)}

    def link(submission: SubmissionOverview) -> str:
        return f"/submissions/{ids[submission.key]}"

    overview = render_overview_body(summarise_batch(service, token, status.id), link)
    return render_page("overview", token, batch=status, overview=overview)


@router.get("/export")
def show_export(token: Submitter, service: ServiceDep, batch: str) -> Response:
    """Show the forms to export points as files."""
    status = get_batch(service, token, batch)
    return render_page("export", token, batch=status, title=service.catalog.load(status.assignment).title)


router.add_api_route("/gradebook", gradebooks.export_gradebook, response_class=Response)
router.add_api_route("/gradebook", gradebooks.fill_gradebook, methods=["POST"], response_class=Response)


@router.post("/cancel")
def cancel_batch(token: Anyone, service: ServiceDep, batch: str) -> Response:
    """Cancel the grading of all submissions that are not done."""
    status = get_batch(service, token, batch)
    return redirect(f"/batches/{status.id}", done="cancelled", count=str(cancel_jobs(service.store, status.id)))


def _matches(submission: SubmissionStatus, search: str, state: State | Literal[""]) -> bool:
    contains = search.casefold() in f"{submission.name}\n{submission.key}".casefold()
    return contains and (state == "" or submission.state == state)
