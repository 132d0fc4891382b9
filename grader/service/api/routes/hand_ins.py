"""Routes by which work is handed in: a class's batch, or one student's submission."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

from fastapi import APIRouter, Header, Response
from pydantic import BaseModel, ConfigDict, Field

from grader.collection import CollectedSubmission, Collection
from grader.models.recipe import Mode
from grader.service.api.access import Anyone, Submitter
from grader.service.api.problems import document_problems
from grader.service.api.service import Given
from grader.service.api.uploads import Uploaded, collect_upload, describe_multipart
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
_LOCATION = {"Location": {"description": "Where it is.", "schema": {"type": "string"}}}
_SHOWN_NOTICES = 200

router = APIRouter(prefix="/v1", responses=_REFUSALS)

IdempotencyKey = Annotated[
    str,
    Header(
        max_length=200,
        pattern=r"^[\x21-\x7e]*$",
        description="Any text of your choice: the same request with the same key is accepted once.",
        examples=["8e03978e-40d5-43e8-bc93-6894a57f9324"],
    ),
]


class HandInForm(BaseModel):
    """What is to be done with the files."""

    model_config = ConfigDict(extra="forbid")

    assignment: str = Field("", max_length=200, description="Its name, see /v1/assignments; the first where empty.")
    training: Mode = Field(Mode.QUICK, description="What is done with trainings.")
    title: str = Field("", max_length=200, description="What the batch is called.")


class AcceptedBatch(BaseModel):
    """What was accepted: nothing of it can be lost any more."""

    batch: str = Field(description="The batch's id.")
    new: bool = Field(description="False where this is the answer to a request that was accepted before.")
    submissions: int
    notices: list[str] = Field(description="What was left aside, and why.")


class AcceptedSubmission(BaseModel):
    """What was accepted: it cannot be lost any more."""

    submission: str = Field(description="The submission's id.")
    batch: str
    new: bool = Field(description="False where this is the answer to a request that was accepted before.")
    notices: list[str] = Field(description="What was left aside, and why.")


@router.post(
    "/batches",
    status_code=202,
    tags=["batches"],
    summary="Hand in a batch",
    responses={202: {"headers": _LOCATION}},
    openapi_extra=describe_multipart(
        HandInForm,
        "One zip file (folders of students, or a download of Canvas, Moodle or GitHub Classroom), or notebooks.",
        {"assignment": "hw2", "training": "none", "title": "HW2, autumn"},
    ),
)
def hand_in_batch(
    token: Submitter, service: Given, upload: Uploaded, response: Response, idempotency_key: IdempotencyKey = ""
) -> AcceptedBatch:
    """Take a class's submissions: a student's are those of a folder, or as the LMS names them."""
    form = upload.form(HandInForm)
    place = service.catalog.place(form.assignment)
    with service.unpacking:
        found = collect_upload(upload, service.settings)
        new = [
            # A student reads what has the person of their token: the login, where the LMS gave one.
            NewSubmission(each.key, each.name, each.identifiers, each.files, each.identifiers.get("login", each.key))
            for each in found.submissions
        ]
        accepted = accept_batch(service.store, token, place, form.training, form.title, new, idempotency_key)
    service.dispatch()
    response.headers["Location"] = f"/v1/batches/{accepted.batch}"
    return AcceptedBatch(batch=accepted.batch, new=accepted.new, submissions=len(new), notices=_notices(found))


@router.post(
    "/submissions",
    status_code=202,
    tags=["submissions"],
    summary="Hand in one submission",
    responses={202: {"headers": _LOCATION}},
    openapi_extra=describe_multipart(
        HandInForm,
        "The notebooks of one submission, or one zip file of them.",
        {"assignment": "hw2", "training": "none", "title": ""},
    ),
)
def hand_in_submission(
    token: Anyone, service: Given, upload: Uploaded, response: Response, idempotency_key: IdempotencyKey = ""
) -> AcceptedSubmission:
    """Take all notebooks together as one submission, which is the token's own person's."""
    form = upload.form(HandInForm)
    place = service.catalog.place(form.assignment)
    with service.unpacking:
        found = collect_upload(upload, service.settings)
        who = token.person or token.name
        new = NewSubmission("submission", who, {}, _together(found.submissions), token.person)
        accepted = accept_batch(service.store, token, place, form.training, form.title, [new], idempotency_key)
    service.dispatch()
    (kept,) = find_submissions(service.store, accepted.batch)
    response.headers["Location"] = f"/v1/submissions/{kept.id}"
    return AcceptedSubmission(submission=kept.id, batch=accepted.batch, new=accepted.new, notices=_notices(found))


def _together(handed_in: tuple[CollectedSubmission, ...]) -> list[tuple[str, bytes]]:
    """Return the notebooks of all folders, named so that each can be told apart."""
    times = Counter(name.casefold() for each in handed_in for name, _ in each.files)
    return [
        (name if times[name.casefold()] == 1 else f"{each.key}/{name}", data)
        for each in handed_in
        for name, data in each.files
    ]


def _notices(found: Collection) -> list[str]:
    notices = [*found.notices, *(f"{each.key}: {notice}" for each in found.submissions for notice in each.notices)]
    return notices[:_SHOWN_NOTICES]
