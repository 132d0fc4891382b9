"""Routes of submissions: what one student handed in, where it stands, and its report."""

from __future__ import annotations

import io
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from rich.console import Console

from grader.models.recipe import Mode
from grader.render import render_html, render_terminal
from grader.results.report import Report
from grader.service.api.access import Anyone, Id, Staff, get_submission
from grader.service.api.formats import choose_format
from grader.service.api.problems import Problem, document_problems, not_found
from grader.service.api.service import Given
from grader.service.api.summaries import choose_message
from grader.service.store.queries.attempts import PastAttempt, find_attempts
from grader.service.store.queries.executed_notebooks import find_executed_notebook
from grader.service.store.queries.leases import cancel_jobs
from grader.service.store.queries.reports import load_report_text
from grader.service.store.queries.submissions import SubmissionStatus
from grader.service.store.queries.tokens import Role, Token
from grader.service.store.schema import AttemptOutcome, Stage, State

__all__ = ["PAGE_POLICY", "CancelledSubmission", "SubmissionView", "make_submission_view", "router"]

# A report runs no script and loads nothing; its style and drawings are its own.
PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"
)
_FORMATS = {"json": "application/json", "html": "text/html", "text": "text/plain"}
_BYTES = "application/octet-stream"  # what a student calls a notebook may be no JSON
_NOTEBOOK = "application/x-ipynb+json"
_WIDTH = 100  # columns of a report as text

router = APIRouter(
    prefix="/v1/submissions",
    tags=["submissions"],
    responses=document_problems("unauthorized", "not-found", "invalid-request", "too-many-requests", "unavailable"),
)


class NotebookView(BaseModel):
    """One notebook of a submission."""

    name: str
    sha256: str
    url: str


class PointsView(BaseModel):
    """What the published report says."""

    revision: str = Field(description="Of the rubric.")
    score: float
    max_score: float
    pending_points: float
    published_at: datetime
    marks: str = Field(description="Changes whenever the marks in the report do; empty where it has none.")


class SubmissionView(BaseModel):
    """A submission, and where it stands."""

    model_config = ConfigDict(use_enum_values=True)

    id: str
    batch: str
    key: str = Field(description="Its name in the batch; safe as a file name.")
    name: str = Field(description="As the learning management system shows it.")
    identifiers: dict[str, str] = Field(description="What that system knows it by.")
    assignment: str
    training: Mode
    state: State
    stage: Stage
    message: str = Field(description="Why it failed, or why it waits again; empty where all is well.")
    refused: bool = Field(description="It can never be graded; the message says why.")
    created_at: datetime
    ended_at: datetime | None
    points: PointsView | None = Field(description="None before a report is published.")
    draft: bool = Field(description="There is a newer report that is not published; always false for students.")
    notebooks: list[NotebookView]
    report: str = Field(description="Where the report is.")


class AttemptView(BaseModel):
    """One attempt of a worker at one stage."""

    grading: str
    stage: Stage
    number: int
    worker: str
    started_at: datetime
    ended_at: datetime | None
    outcome: AttemptOutcome | None = Field(description="None while it lasts.")
    message: str


class AttemptPage(BaseModel):
    """All attempts, oldest first."""

    items: list[AttemptView]


class CancelledSubmission(BaseModel):
    """What was cancelled."""

    cancelled: int = Field(description="How many gradings; those that have ended stay as they are.")


@router.get("/{submission}", summary="One submission")
def show_submission(token: Anyone, service: Given, submission: Id) -> SubmissionView:
    """Show a submission and where it stands."""
    return make_submission_view(token, get_submission(service, token, submission))


@router.post("/{submission}/cancel", summary="Cancel a submission", responses=document_problems("forbidden"))
def cancel_submission(token: Anyone, service: Given, submission: Id) -> CancelledSubmission:
    """End its grading if it has not ended; only for staff and for whoever handed it in."""
    found = get_submission(service, token, submission)
    if token.role is not Role.INSTRUCTOR and found.owner != token.id:
        raise Problem("forbidden", "this was handed in by somebody else; ask them or staff to cancel it")
    return CancelledSubmission(cancelled=cancel_jobs(service.store, found.id))


@router.get(
    "/{submission}/report",
    summary="The report of a submission",
    response_class=Response,
    responses={
        200: {
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/Report"}},
                "text/html": {"schema": {"type": "string"}},
                "text/plain": {"schema": {"type": "string"}},
            }
        },
        **document_problems("forbidden", "not-found", "no-report", "not-acceptable"),
    },
)
def send_report(
    token: Anyone,
    service: Given,
    request: Request,
    submission: Id,
    format_: Annotated[
        Literal["json", "html", "text"] | None, Query(alias="format", description="Comes before the header Accept.")
    ] = None,
    draft: Annotated[bool, Query(description="The newest report, published or not; for staff.")] = False,
) -> Response:
    """Send the published report as JSON, as a page, or as text."""
    found = get_submission(service, token, submission)
    if draft and token.role is not Role.INSTRUCTOR:
        raise Problem("forbidden", "drafts are for instructors")
    chosen = choose_format(format_, request.headers.get("accept", ""), _FORMATS)
    text = load_report_text(service.store, found.id, draft, all_marks=token.role is Role.INSTRUCTOR)
    if text is None:
        raise Problem("no-report", _where(token, found))
    headers = {"Vary": "Accept"}
    if chosen == "html":
        headers["Content-Security-Policy"] = PAGE_POLICY
        text = render_html(Report.from_json(text))
    elif chosen == "text":
        text = _as_text(Report.from_json(text))
    # A report may quote half of a surrogate pair, which has no UTF-8.
    return Response(text.encode("utf-8", "replace"), media_type=_FORMATS[chosen], headers=headers)


@router.get("/{submission}/attempts", summary="What workers tried", responses=document_problems("forbidden"))
def list_attempts(token: Staff, service: Given, submission: Id) -> AttemptPage:
    """List all attempts at grading it, with what went wrong; for staff."""
    found = get_submission(service, token, submission)
    return AttemptPage(items=[_attempt(each) for each in find_attempts(service.store, found.id)])


@router.get(
    "/{submission}/notebooks/{name:path}",
    summary="A notebook that was handed in",
    response_class=Response,
    responses={200: {"content": {_BYTES: {"schema": {"type": "string", "contentMediaType": _BYTES}}}}},
)
def send_notebook(token: Anyone, service: Given, submission: Id, name: str) -> Response:
    """Send a notebook as it was handed in, byte for byte."""
    found = get_submission(service, token, submission)
    sha256 = dict(found.files).get(name)
    if sha256 is None:
        raise not_found()
    return Response(service.store.blobs.get(sha256), media_type=_BYTES, headers=_attached(name))


@router.get(
    "/{submission}/executed/{name:path}",
    summary="A notebook as it was run",
    response_class=Response,
    responses={
        200: {"content": {_NOTEBOOK: {"schema": {"type": "object"}}}},
        **document_problems("forbidden", "not-found", "no-report"),
    },
)
def send_executed_notebook(
    token: Anyone,
    service: Given,
    submission: Id,
    name: str,
    draft: Annotated[bool, Query(description="Of the newest report, published or not; for staff.")] = False,
) -> Response:
    """Send a notebook with what its cells showed when the published report was made."""
    found = get_submission(service, token, submission)
    if draft and token.role is not Role.INSTRUCTOR:
        raise Problem("forbidden", "drafts are for instructors")
    if name not in dict(found.files):
        raise not_found()
    notebook = find_executed_notebook(service.store, found.id, name, draft)
    if notebook is None:
        raise Problem("no-report", _nothing_kept(token, found))
    return Response(notebook.to_json(), media_type=_NOTEBOOK, headers=_attached(name))


def make_submission_view(token: Token, found: SubmissionStatus) -> SubmissionView:
    """Return a submission as this token may see it."""
    place = f"/v1/submissions/{found.id}"
    points = None
    if found.published_at is not None:
        points = PointsView.model_validate(found, from_attributes=True)
    return SubmissionView(
        id=found.id,
        batch=found.batch,
        key=found.key,
        name=found.name,
        identifiers=dict(found.identifiers),
        assignment=Path(found.assignment).name,
        training=found.mode,
        state=found.state,
        stage=found.stage,
        message=choose_message(token, found),
        refused=found.refused,
        created_at=found.created_at,
        ended_at=found.ended_at,
        points=points,
        draft=found.draft and token.role is Role.INSTRUCTOR,
        notebooks=[
            NotebookView(name=name, sha256=sha256, url=f"{place}/notebooks/{quote(name)}")
            for name, sha256 in found.files
        ],
        report=f"{place}/report",
    )


def _attached(name: str) -> dict[str, str]:
    return {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(Path(name).name, safe='')}"}


def _nothing_kept(token: Token, found: SubmissionStatus) -> str:
    """Say why there is no notebook as it was run."""
    if found.revision is None:
        return _where(token, found)
    return "this report was made without keeping the notebooks as they were run"


def _where(token: Token, found: SubmissionStatus) -> str:
    match found.state:
        case State.FAILED:
            return f"there is no report: {choose_message(token, found)}"
        case State.CANCELLED:
            return "there is no report: the grading was cancelled"
        case _:
            return f"there is no report yet: the grading is {found.state.value}, stage {found.stage.value}"


def _as_text(report: Report) -> str:
    written = io.StringIO()
    render_terminal(report, Console(file=written, width=_WIDTH, color_system=None, force_terminal=False))
    return written.getvalue()


def _attempt(found: PastAttempt) -> AttemptView:
    return AttemptView.model_validate(found, from_attributes=True)
