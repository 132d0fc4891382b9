"""Routes of gradebooks: points as a table, or filled into what a learning management system gave."""

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
from grader.service.api.service import Given, Service
from grader.service.api.summaries import choose_message, iterate_results
from grader.service.api.uploads import Uploaded, describe_multipart
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
    """What kind of file it is."""

    model_config = ConfigDict(extra="forbid")

    form: Literal["canvas", "moodle"] = Field(description="Canvas' exported gradebook, or Moodle's worksheet.")
    title: str = Field("", max_length=200, description="Canvas: the assignment's column, else as the rubric says.")


class FilledGradebook(BaseModel):
    """A file for an LMS to import, and what to know before."""

    text: str = Field(description="The CSV file.")
    without_grade: list[str] = Field(description="Who gets no grade, and why.")
    not_found: list[str] = Field(description="Whose row is not there.")
    notices: list[str]


@router.get(
    "/{batch}/gradebook",
    summary="Points as a table",
    response_class=Response,
    responses={200: {"content": {_CSV: {"schema": {"type": "string"}}}}},
)
def export_gradebook(token: Submitter, service: Given, batch: Id) -> Response:
    """Send a CSV file with a row for each submission and a column for each item, of what is published."""
    text = write_plain_csv(_entries(service, token, get_batch(service, token, batch).id))
    return _csv(text)


@router.post(
    "/{batch}/gradebook",
    summary="Fill in a learning management system's file",
    response_class=Response,
    responses={
        200: {
            "content": {
                _CSV: {"schema": {"type": "string"}},
                "application/json": {"schema": {"$ref": "#/components/schemas/Filled"}},
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
        GradebookFormat, "One CSV file, unchanged as it was downloaded.", {"form": "canvas", "title": "HW2 (1234)"}
    ),
)
def fill_gradebook(token: Submitter, service: Given, batch: Id, request: Request, upload: Uploaded) -> Response:
    """Send the file back with points filled in; as JSON it tells also who has none and who was not found."""
    found = get_batch(service, token, batch)
    form = upload.form(GradebookFormat)
    chosen = choose_format(None, request.headers.get("accept", ""), _FORMATS)
    with service.unpacking:
        given = _text(upload.read())
        entries = list(_entries(service, token, found.id))
        if form.form == "moodle":
            filled = fill_moodle(given, entries)
        else:
            filled = fill_canvas(given, entries, form.title or service.catalog.at(found.assignment).title)
    if chosen == "csv":
        return _csv(filled.text)
    return JSONResponse(_told(filled).model_dump(), headers={"Vary": "Accept"})


def _entries(service: Service, token: Token, batch: str) -> Iterator[GradebookEntry]:
    for found, report in iterate_results(service.store, token, batch):
        problem = "" if report else choose_message(token, found) or f"the grading is {found.state.value}"
        ours = report is None and found.state is State.FAILED and not found.refused
        yield GradebookEntry(found.key, found.name, found.identifiers, report, problem, ours)


def _text(files: list[tuple[str, bytes]]) -> str:
    if len(files) != 1:
        raise InputError(f"{len(files)} files were sent; send one CSV file in the field `files`")
    ((name, data),) = files
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{name}: this is not UTF-8; send it as it was downloaded, or save it as UTF-8") from None


def _told(filled: FilledSheet) -> FilledGradebook:
    return FilledGradebook(
        text=filled.text,
        without_grade=list(filled.without_grade),
        not_found=list(filled.not_found),
        notices=list(filled.notices),
    )


def _csv(text: str) -> Response:
    return Response(text.encode("utf-8", "replace"), media_type=_CSV, headers={**_DOWNLOAD, "Vary": "Accept"})
