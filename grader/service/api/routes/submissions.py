"""Routes of submissions: their state, reports, attempts and notebooks."""

from __future__ import annotations

import io
from collections.abc import Iterable
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
from grader.service.api.service import Service, ServiceDep
from grader.service.api.sources import read_sources
from grader.service.api.summaries import choose_message
from grader.service.store.queries.attempts import PastAttempt, find_attempts
from grader.service.store.queries.executed_notebooks import find_executed_notebook
from grader.service.store.queries.leases import cancel_jobs
from grader.service.store.queries.reports import load_report_text
from grader.service.store.queries.submissions import SubmissionStatus
from grader.service.store.queries.tokens import Role, Token
from grader.service.store.schema import AttemptOutcome, Stage, State

__all__ = ["PAGE_POLICY", "CancelledSubmission", "SubmissionView", "make_submission_view", "router"]

# A report runs no scripts and loads nothing; its style and its drawings are inline.
PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"
)
_FORMATS = {"json": "application/json", "html": "text/html", "text": "text/plain"}
_BYTES = "application/octet-stream"  # a student's file may not be JSON
_NOTEBOOK = "application/x-ipynb+json"
_WIDTH = 100  # columns of a text report

router = APIRouter(
    prefix="/v1/submissions",
    tags=["submissions"],
    responses=document_problems("unauthorized", "not-found", "invalid-request", "too-many-requests", "unavailable"),
)


class NotebookView(BaseModel):
    """A notebook of a submission."""

    name: str
    sha256: str
    url: str


class CompanionView(BaseModel):
    """A file that was handed in beside the notebooks."""

    name: str
    sha256: str
    url: str


class PointsView(BaseModel):
    """The points of the published report."""

    revision: str = Field(description="Revision of the rubric.")
    score: float
    max_score: float
    pending_points: float
    published_at: datetime
    marks: str = Field(description="Changes whenever a mark in the report changes; empty if it has none.")


class SubmissionView(BaseModel):
    """A submission and its state."""

    model_config = ConfigDict(use_enum_values=True)

    id: str
    batch: str
    key: str = Field(description="Unique name within the batch; safe as a file name.")
    name: str = Field(description="The name shown in the learning management system.")
    identifiers: dict[str, str] = Field(description="Ids in that system.")
    assignment: str
    training: Mode
    state: State
    stage: Stage
    message: str = Field(description="Why grading failed or waits again; empty if all is well.")
    refused: bool = Field(description="Whether no notebook in it can be read; `message` says why.")
    created_at: datetime
    ended_at: datetime | None
    points: PointsView | None = Field(description="Null until a report is published.")
    draft: bool = Field(description="Whether there is a newer report that is not published; always false for students.")
    notebooks: list[NotebookView]
    companions: list[CompanionView] = Field(description="The files beside the notebooks.")
    report: str = Field(description="Path of the report.")


class AttemptView(BaseModel):
    """An attempt of a worker at a stage."""

    grading: str
    stage: Stage
    number: int
    worker: str
    started_at: datetime
    ended_at: datetime | None
    outcome: AttemptOutcome | None = Field(description="Null while it runs.")
    message: str


class AttemptPage(BaseModel):
    """All attempts, oldest first."""

    items: list[AttemptView]


class CancelledSubmission(BaseModel):
    """The result of a cancellation."""

    cancelled: int = Field(description="Number of submissions whose grading was cancelled; others stay as they are.")


@router.get("/{submission}", summary="Show a submission")
def show_submission(token: Anyone, service: ServiceDep, submission: Id) -> SubmissionView:
    """Show a submission and its state."""
    return make_submission_view(token, get_submission(service, token, submission))


@router.post("/{submission}/cancel", summary="Cancel a submission", responses=document_problems("forbidden"))
def cancel_submission(token: Anyone, service: ServiceDep, submission: Id) -> CancelledSubmission:
    """Cancel grading if it has not ended. Only for instructors and for the token that handed it in."""
    status = get_submission(service, token, submission)
    if token.role is not Role.INSTRUCTOR and status.owner != token.id:
        raise Problem("forbidden", "this was handed in with another token; ask course staff to cancel it")
    return CancelledSubmission(cancelled=cancel_jobs(service.store, status.id))


@router.get(
    "/{submission}/report",
    summary="Fetch the report of a submission",
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
    service: ServiceDep,
    request: Request,
    submission: Id,
    format_: Annotated[
        Literal["json", "html", "text"] | None,
        Query(alias="format", description="Takes precedence over the header Accept."),
    ] = None,
    draft: Annotated[bool, Query(description="The newest report, published or not; for instructors.")] = False,
) -> Response:
    """Send the published report as JSON, as a page or as text."""
    status = get_submission(service, token, submission)
    if draft and token.role is not Role.INSTRUCTOR:
        raise Problem("forbidden", "drafts are for instructors")
    chosen = choose_format(format_, request.headers.get("accept", ""), _FORMATS)
    text = load_report_text(service.store, status.id, draft, all_marks=token.role is Role.INSTRUCTOR)
    if text is None:
        raise Problem("no-report", _explain_missing_report(token, status))
    headers = {"Vary": "Accept"}
    if chosen == "html":
        headers["Content-Security-Policy"] = PAGE_POLICY
        text = render_html(Report.from_json(text), read_sources(service, status))
    elif chosen == "text":
        text = _render_text(Report.from_json(text))
    # A report may quote a lone surrogate, which UTF-8 cannot encode.
    return Response(text.encode("utf-8", "replace"), media_type=_FORMATS[chosen], headers=headers)


@router.get("/{submission}/attempts", summary="List the attempts of workers", responses=document_problems("forbidden"))
def list_attempts(token: Staff, service: ServiceDep, submission: Id) -> AttemptPage:
    """List all attempts at grading a submission, with what went wrong."""
    status = get_submission(service, token, submission)
    return AttemptPage(items=[_make_attempt_view(attempt) for attempt in find_attempts(service.store, status.id)])


@router.get(
    "/{submission}/notebooks/{name:path}",
    summary="Fetch a notebook as handed in",
    response_class=Response,
    responses={200: {"content": {_BYTES: {"schema": {"type": "string", "contentMediaType": _BYTES}}}}},
)
def send_notebook(token: Anyone, service: ServiceDep, submission: Id, name: str) -> Response:
    """Send a notebook as it was handed in, byte for byte."""
    status = get_submission(service, token, submission)
    return _send_file(service, status.files, name)


@router.get(
    "/{submission}/files/{name:path}",
    summary="Fetch a file beside the notebooks as handed in",
    response_class=Response,
    responses={200: {"content": {_BYTES: {"schema": {"type": "string", "contentMediaType": _BYTES}}}}},
)
def send_companion(token: Anyone, service: ServiceDep, submission: Id, name: str) -> Response:
    """Send a file that was handed in beside the notebooks, byte for byte."""
    status = get_submission(service, token, submission)
    return _send_file(service, status.companions, name)


@router.get(
    "/{submission}/executed/{name:path}",
    summary="Fetch an executed notebook",
    response_class=Response,
    responses={
        200: {"content": {_NOTEBOOK: {"schema": {"type": "object"}}}},
        **document_problems("forbidden", "not-found", "no-report"),
    },
)
def send_executed_notebook(
    token: Anyone,
    service: ServiceDep,
    submission: Id,
    name: str,
    draft: Annotated[bool, Query(description="That of the newest report, published or not; for instructors.")] = False,
) -> Response:
    """Send a notebook with the outputs of the run that the published report is about."""
    status = get_submission(service, token, submission)
    if draft and token.role is not Role.INSTRUCTOR:
        raise Problem("forbidden", "drafts are for instructors")
    if name not in dict(status.files):
        raise not_found()
    notebook = find_executed_notebook(service.store, status.id, name, draft)
    if notebook is None:
        raise Problem("no-report", _explain_missing_notebook(token, status))
    return Response(notebook.to_json(), media_type=_NOTEBOOK, headers=_make_attachment_headers(name))


def make_submission_view(token: Token, submission: SubmissionStatus) -> SubmissionView:
    """Return a submission as this token may see it."""
    path = f"/v1/submissions/{submission.id}"
    points = None
    if submission.published_at is not None:
        points = PointsView.model_validate(submission, from_attributes=True)
    return SubmissionView(
        id=submission.id,
        batch=submission.batch,
        key=submission.key,
        name=submission.name,
        identifiers=dict(submission.identifiers),
        assignment=Path(submission.assignment).name,
        training=submission.mode,
        state=submission.state,
        stage=submission.stage,
        message=choose_message(token, submission),
        refused=submission.refused,
        created_at=submission.created_at,
        ended_at=submission.ended_at,
        points=points,
        draft=submission.draft and token.role is Role.INSTRUCTOR,
        notebooks=[
            NotebookView(name=name, sha256=sha256, url=f"{path}/notebooks/{quote(name)}")
            for name, sha256 in submission.files
        ],
        companions=[
            CompanionView(name=name, sha256=sha256, url=f"{path}/files/{quote(name)}")
            for name, sha256 in submission.companions
        ],
        report=f"{path}/report",
    )


def _send_file(service: Service, files: Iterable[tuple[str, str]], name: str) -> Response:
    """Send a file by its name, given the names and hashes of those that may be sent."""
    sha256 = dict(files).get(name)
    if sha256 is None:
        raise not_found()
    return Response(service.store.blobs.get(sha256), media_type=_BYTES, headers=_make_attachment_headers(name))


def _make_attachment_headers(name: str) -> dict[str, str]:
    return {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(Path(name).name, safe='')}"}


def _explain_missing_notebook(token: Token, submission: SubmissionStatus) -> str:
    """Return why there is no executed notebook."""
    if submission.revision is None:
        return _explain_missing_report(token, submission)
    return "the executed notebooks of this report were not kept"


def _explain_missing_report(token: Token, submission: SubmissionStatus) -> str:
    """Return why there is no report."""
    match submission.state:
        case State.FAILED:
            return f"there is no report: {choose_message(token, submission)}"
        case State.CANCELLED:
            return "there is no report: grading was cancelled"
        case _:
            return f"there is no report yet: the job is {submission.state.value}, stage {submission.stage.value}"


def _render_text(report: Report) -> str:
    output = io.StringIO()
    render_terminal(report, Console(file=output, width=_WIDTH, color_system=None, force_terminal=False))
    return output.getvalue()


def _make_attempt_view(attempt: PastAttempt) -> AttemptView:
    return AttemptView.model_validate(attempt, from_attributes=True)
