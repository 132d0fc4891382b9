"""The overview of a batch: a class at one look, of what is published."""

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
from grader.service.api.service import Given, Service
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
    summary="A batch at one look",
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
    service: Given,
    request: Request,
    batch: Id,
    format_: Annotated[
        Literal["json", "html"] | None, Query(alias="format", description="Comes before Accept.")
    ] = None,
) -> Response:
    """Sum up what has ended: scores, items, misconceptions, and who needs somebody to look."""
    found = get_batch(service, token, batch)
    chosen = choose_format(format_, request.headers.get("accept", ""), _FORMATS)
    summed_up = summarise_batch(service, token, found.id)
    headers = {"Vary": "Accept"}
    if chosen == "html":
        headers["Content-Security-Policy"] = PAGE_POLICY
    text = render_overview(summed_up) if chosen == "html" else summed_up.to_json()
    return Response(text.encode("utf-8", "replace"), media_type=_FORMATS[chosen], headers=headers)


def summarise_batch(service: Service, token: Token, batch: str) -> Overview:
    """Sum up a batch as this token may see it."""
    return summarise(_entries(service, token, batch))


def _entries(service: Service, token: Token, batch: str) -> Iterator[tuple[JournalRecord, Report | None]]:
    """Give what has ended."""
    for found, report in iterate_results(service.store, token, batch):
        if report is not None:
            yield _record(found, Status.GRADED, choose_message(token, found), report), report
        elif found.state is State.FAILED:
            status = Status.UNREADABLE if found.refused else Status.FAILED
            yield _record(found, status, choose_message(token, found), None), None


def _record(found: SubmissionStatus, status: Status, message: str, report: Report | None) -> JournalRecord:
    seconds: Any = report.timing.get("total_seconds", 0.0) if report else 0.0
    return JournalRecord(
        key=found.key,
        name=found.name,
        files=dict(found.files),
        revision=found.revision or "",
        mode=found.mode.value,
        status=status,
        message=message,
        # Where `grader fetch` puts it beside the overview.
        report=f"reports/{found.key}.json" if report else "",
        seconds=seconds,
        identifiers=found.identifiers,
    )
