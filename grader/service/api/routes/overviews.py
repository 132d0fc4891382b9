"""Routes of overviews: the published results of a batch at a glance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response

from grader.render.overview import render_overview
from grader.results.journal import JournalRecord, Status
from grader.results.overview import Overview, summarise
from grader.results.report import Report
from grader.service.api.access import Id, Submitter, get_batch
from grader.service.api.formats import choose_format
from grader.service.api.problems import document_problems
from grader.service.api.routes.submissions import PAGE_POLICY
from grader.service.api.service import Service, ServiceDep
from grader.service.api.summaries import choose_message, iterate_results
from grader.service.store.queries.submissions import SubmissionStatus
from grader.service.store.queries.tokens import Token
from grader.service.store.schema import State

__all__ = ["router", "summarise_batch"]

_FORMATS = {"json": "application/json", "html": "text/html"}

router = APIRouter(
    prefix="/v1/batches",
    tags=["batches"],
    responses=document_problems(
        "unauthorized",
        "forbidden",
        "not-found",
        "not-acceptable",
        "invalid-request",
        "too-many-requests",
        "unavailable",
    ),
)


@router.get(
    "/{batch}/overview",
    summary="Show the overview of a batch",
    response_class=Response,
    responses={
        200: {
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/Overview"}},
                "text/html": {"schema": {"type": "string"}},
            }
        }
    },
)
def show_overview(
    token: Submitter,
    service: ServiceDep,
    request: Request,
    batch: Id,
    format_: Annotated[
        Literal["json", "html"] | None, Query(alias="format", description="Takes precedence over the header Accept.")
    ] = None,
) -> Response:
    """Sum up the graded submissions: scores, items, misconceptions, and students to look after."""
    status = get_batch(service, token, batch)
    chosen = choose_format(format_, request.headers.get("accept", ""), _FORMATS)
    overview = summarise_batch(service, token, status.id)
    headers = {"Vary": "Accept"}
    if chosen == "html":
        headers["Content-Security-Policy"] = PAGE_POLICY
    text = render_overview(overview) if chosen == "html" else overview.to_json()
    return Response(text.encode("utf-8", "replace"), media_type=_FORMATS[chosen], headers=headers)


def summarise_batch(service: Service, token: Token, batch: str) -> Overview:
    """Sum up a batch as this token may see it."""
    return summarise(_collect_records(service, token, batch))


def _collect_records(service: Service, token: Token, batch: str) -> Iterator[tuple[JournalRecord, Report | None]]:
    """Yield the submissions that have ended."""
    for submission, report in iterate_results(service.store, token, batch):
        if report is not None:
            status = Status.GRADED if report.is_readable else Status.UNREADABLE
            message = report.obstacle or choose_message(token, submission)
            yield _make_record(submission, status, message, report), report
        elif submission.state is State.FAILED:
            status = Status.UNREADABLE if submission.refused else Status.FAILED
            yield _make_record(submission, status, choose_message(token, submission), None), None


def _make_record(submission: SubmissionStatus, status: Status, message: str, report: Report | None) -> JournalRecord:
    seconds: Any = report.timing.get("total_seconds", 0.0) if report else 0.0
    return JournalRecord(
        key=submission.key,
        name=submission.name,
        files=dict((*submission.files, *submission.companions)),
        revision=submission.revision or "",
        mode=submission.mode.value,
        status=status,
        message=message,
        # The path to which `grader fetch` saves it, beside the overview.
        report=f"reports/{submission.key}.json" if report else "",
        seconds=seconds,
        identifiers=submission.identifiers,
    )
