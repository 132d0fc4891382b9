"""Routes for handing in: the batch of a class, or the submission of one student."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Response
from pydantic import BaseModel, ConfigDict, Field

from grader.collection import CollectedSubmission, Collection
from grader.models.recipe import Mode
from grader.service.api.access import Anyone, Submitter
from grader.service.api.problems import document_problems
from grader.service.api.service import ServiceDep
from grader.service.api.uploads import UploadDep, collect_own_upload, collect_upload, describe_multipart
from grader.service.store.queries.hand_ins import NewSubmission, accept_batch
from grader.service.store.queries.submissions import find_submissions

__all__ = ["router"]

_REFUSALS = document_problems(
    "bad-request",
    "unauthorized",
    "forbidden",
    "timeout",
    "idempotency-conflict",
    "too-large",
    "unsupported-media-type",
    "invalid-request",
    "unusable-input",
    "too-many-requests",
    "unavailable",
)
_LOCATION = {"Location": {"description": "Path of what was accepted.", "schema": {"type": "string"}}}
_SHOWN_NOTICES = 200

router = APIRouter(prefix="/v1", responses=_REFUSALS)

IdempotencyKey = Annotated[
    str,
    Header(
        max_length=200,
        pattern=r"^[\x21-\x7e]*$",
        description="A text of your choice: the same request with the same key is accepted only once.",
        examples=["8e03978e-40d5-43e8-bc93-6894a57f9324"],
    ),
]


class HandInForm(BaseModel):
    """The fields beside the files."""

    model_config = ConfigDict(extra="forbid")

    assignment: str = Field(
        "", max_length=200, description="Name of the assignment, see /v1/assignments; by default the first one."
    )
    training: Mode = Field(Mode.QUICK, description="How to handle trainings.")
    title: str = Field("", max_length=200, description="Title of the batch.")


class AcceptedBatch(BaseModel):
    """An accepted batch, stored durably."""

    batch: str = Field(description="Id of the batch.")
    new: bool = Field(description="False if the same request was accepted before.")
    submissions: int
    notices: list[str] = Field(description="Skipped files, and why.")


class AcceptedSubmission(BaseModel):
    """An accepted submission, stored durably."""

    submission: str = Field(description="Id of the submission.")
    batch: str
    new: bool = Field(description="False if the same request was accepted before.")
    notices: list[str] = Field(description="Skipped files, and why.")


@router.post(
    "/batches",
    status_code=202,
    tags=["batches"],
    summary="Hand in a batch",
    responses={202: {"headers": _LOCATION}},
    openapi_extra=describe_multipart(
        HandInForm,
        "One zip file (a folder for each student, or a download of Canvas, Moodle or GitHub Classroom), or files, "
        "which may be named as by the LMS.",
        {"assignment": "hw2", "training": "none", "title": "HW2, autumn"},
    ),
)
def hand_in_batch(
    token: Submitter, service: ServiceDep, upload: UploadDep, response: Response, idempotency_key: IdempotencyKey = ""
) -> AcceptedBatch:
    """Accept the submissions of a class. The files of a student are in one folder, or named as by the LMS."""
    form = upload.parse_form(HandInForm)
    location = service.catalog.locate(form.assignment)
    with service.unpacking:
        collection = collect_upload(upload, service.settings)
        new = [
            # A student token names its person by login if the LMS gave one, else by key.
            _make_new(item, item.key, item.name, item.identifiers.get("login", item.key))
            for item in collection.submissions
        ]
        accepted = accept_batch(service.store, token, location, form.training, form.title, new, idempotency_key)
    service.enqueue()
    response.headers["Location"] = f"/v1/batches/{accepted.batch}"
    return AcceptedBatch(
        batch=accepted.batch, new=accepted.new, submissions=len(new), notices=_list_notices(collection)
    )


@router.post(
    "/submissions",
    status_code=202,
    tags=["submissions"],
    summary="Hand in one submission",
    responses={202: {"headers": _LOCATION}},
    openapi_extra=describe_multipart(
        HandInForm,
        "The files of one submission: notebooks, what lies beside them, and zip files of these. A name may be a path.",
        {"assignment": "hw2", "training": "none", "title": ""},
    ),
)
def hand_in_submission(
    token: Anyone, service: ServiceDep, upload: UploadDep, response: Response, idempotency_key: IdempotencyKey = ""
) -> AcceptedSubmission:
    """Accept all files together as one submission of the token's person."""
    form = upload.parse_form(HandInForm)
    location = service.catalog.locate(form.assignment)
    with service.unpacking:
        collected = collect_own_upload(upload, service.settings)
        new = _make_new(collected, collected.key, token.person or token.name, token.person)
        notices = [str(notice) for notice in collected.read().notices][:_SHOWN_NOTICES]
        accepted = accept_batch(service.store, token, location, form.training, form.title, [new], idempotency_key)
    service.enqueue()
    (stored,) = find_submissions(service.store, accepted.batch)
    response.headers["Location"] = f"/v1/submissions/{stored.id}"
    return AcceptedSubmission(submission=stored.id, batch=accepted.batch, new=accepted.new, notices=notices)


def _make_new(collected: CollectedSubmission, key: str, name: str, person: str) -> NewSubmission:
    return NewSubmission(key, name, collected.identifiers, collected.files, person, collected.notices)


def _list_notices(collection: Collection) -> list[str]:
    own = (f"{item.key}: {notice}" for item in collection.submissions for notice in item.notices)
    notices = [*collection.notices, *own]
    return notices[:_SHOWN_NOTICES]
