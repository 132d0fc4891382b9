"""Routes of gradebooks: points as a table, or filled into the file of a learning management system."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from grader.errors import InputError
from grader.gradebook import FilledSheet, GradebookEntry, fill_canvas, fill_moodle, write_plain_csv
from grader.service.api.access import Id, Submitter, get_batch
from grader.service.api.formats import choose_format
from grader.service.api.problems import document_problems
from grader.service.api.service import Service, ServiceDep
from grader.service.api.summaries import choose_message, iterate_results
from grader.service.api.uploads import UploadDep, describe_multipart
from grader.service.store.queries.tokens import Token
from grader.service.store.schema import State

__all__ = ["FilledGradebook", "router"]

_CSV = "text/csv"
_FORMATS = {"csv": _CSV, "json": "application/json"}
_DOWNLOAD = {"Content-Disposition": 'attachment; filename="gradebook.csv"'}

router = APIRouter(
    prefix="/v1/batches",
    tags=["gradebooks"],
    responses=document_problems(
        "unauthorized", "forbidden", "not-found", "invalid-request", "too-many-requests", "unavailable"
    ),
)


class GradebookFormat(BaseModel):
    """The kind of gradebook file."""

    model_config = ConfigDict(extra="forbid")

    form: Literal["canvas", "moodle"] = Field(description="An exported Canvas gradebook or a Moodle grading worksheet.")
    title: str = Field(
        "", max_length=200, description="For Canvas: column of the assignment; by default the rubric's title."
    )


class FilledGradebook(BaseModel):
    """A file to import into an LMS, and what to know before."""

    text: str = Field(description="The CSV file.")
    without_grade: list[str] = Field(description="Students who get no grade, and why.")
    not_found: list[str] = Field(description="Students without a row in the file.")
    notices: list[str]


@router.get(
    "/{batch}/gradebook",
    summary="Export points as a table",
    response_class=Response,
    responses={200: {"content": {_CSV: {"schema": {"type": "string"}}}}},
)
def export_gradebook(token: Submitter, service: ServiceDep, batch: Id) -> Response:
    """Send the published points as a CSV file with a row for each submission and a column for each item."""
    text = write_plain_csv(_collect_entries(service, token, get_batch(service, token, batch).id))
    return _make_csv_response(text)


@router.post(
    "/{batch}/gradebook",
    summary="Fill points into a gradebook file",
    response_class=Response,
    responses={
        200: {
            "content": {
                _CSV: {"schema": {"type": "string"}},
                "application/json": {"schema": {"$ref": "#/components/schemas/FilledGradebook"}},
            }
        },
        **document_problems(
            "bad-request",
            "not-acceptable",
            "timeout",
            "too-large",
            "unsupported-media-type",
            "invalid-request",
            "unusable-input",
        ),
    },
    openapi_extra=describe_multipart(
        GradebookFormat, "One CSV file, exactly as downloaded.", {"form": "canvas", "title": "HW2 (1234)"}
    ),
)
def fill_gradebook(token: Submitter, service: ServiceDep, batch: Id, request: Request, upload: UploadDep) -> Response:
    """Send the file back with points filled in. JSON also lists students without a grade and without a row."""
    status = get_batch(service, token, batch)
    form = upload.parse_form(GradebookFormat)
    chosen = choose_format(None, request.headers.get("accept", ""), _FORMATS)
    with service.unpacking:
        text = _decode(upload.read())
        entries = list(_collect_entries(service, token, status.id))
        if form.form == "moodle":
            filled = fill_moodle(text, entries)
        else:
            filled = fill_canvas(text, entries, form.title or service.catalog.load(status.assignment).title)
    if chosen == "csv":
        return _make_csv_response(filled.text)
    return JSONResponse(_make_view(filled).model_dump(), headers={"Vary": "Accept"})


def _collect_entries(service: Service, token: Token, batch: str) -> Iterator[GradebookEntry]:
    for submission, report in iterate_results(service.store, token, batch):
        problem = "" if report else choose_message(token, submission) or f"the job is {submission.state.value}"
        is_system_error = report is None and submission.state is State.FAILED and not submission.refused
        yield GradebookEntry(submission.key, submission.name, submission.identifiers, report, problem, is_system_error)


def _decode(files: list[tuple[str, bytes]]) -> str:
    if len(files) != 1:
        raise InputError(f"{len(files)} files were sent; send one CSV file in the field `files`")
    ((name, data),) = files
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{name}: this is not UTF-8; send the file as downloaded, or save it as UTF-8") from None


def _make_view(filled: FilledSheet) -> FilledGradebook:
    return FilledGradebook(
        text=filled.text,
        without_grade=list(filled.without_grade),
        not_found=list(filled.not_found),
        notices=list(filled.notices),
    )


def _make_csv_response(text: str) -> Response:
    return Response(text.encode("utf-8", "replace"), media_type=_CSV, headers={**_DOWNLOAD, "Vary": "Accept"})
