"""Routes of marking: what a person gives the items that no test judges."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import ClientDisconnect

from grader.results.marks import LONGEST_COMMENT
from grader.service.api.access import Id, Staff, get_batch, get_submission
from grader.service.api.pagination import PageSize
from grader.service.api.problems import Problem, document_problems
from grader.service.api.service import Given
from grader.service.store.queries.marks import clear_mark, find_marks, find_unmarked, set_mark

__all__ = ["router"]

_MOST_BYTES = 64 * 1024
_SECONDS = 30

router = APIRouter(
    prefix="/v1",
    tags=["marking"],
    responses=document_problems(
        "unauthorized", "forbidden", "not-found", "invalid-request", "too-many-requests", "unavailable"
    ),
)

ItemId = Annotated[str, Path(max_length=200, description="The id of an item.", examples=["discussion.7.2"])]


class NewMark(BaseModel):
    """What an item is given."""

    model_config = ConfigDict(extra="forbid", strict=True)

    points: float = Field(ge=0, allow_inf_nan=False, description="No more than the item gives.")
    comment: str = Field("", max_length=LONGEST_COMMENT, description="For the student.")


class MarkView(BaseModel):
    """A mark as staff see it: published or not."""

    item: str
    points: float
    comment: str
    by: str = Field(description="The name of the token that gave it; no student sees it.")
    at: datetime


class MarkPage(BaseModel):
    """The marks of a submission, by item."""

    items: list[MarkView]


class UnmarkedView(BaseModel):
    """An item of a submission that waits for a person."""

    submission: str
    key: str
    name: str
    item: str


class UnmarkedPage(BaseModel):
    """What waits for a person in a batch: all answers to one item, then those to the next."""

    count: int = Field(description="How many there are.")
    items: list[UnmarkedView] = Field(description="The first of them.")


async def _new_mark(_: Staff, request: Request) -> NewMark:
    """Read a small body, and only after it is known who sends it: the framework would take any, from anybody."""
    body = b""
    try:
        async with asyncio.timeout(_SECONDS):
            async for part in request.stream():
                body += part
                if len(body) > _MOST_BYTES:
                    raise Problem("too-large", f"a mark may have {_MOST_BYTES:,} bytes, and this one has more")
        return NewMark.model_validate_json(body)
    except TimeoutError:
        raise Problem("timeout", f"the body did not arrive within {_SECONDS} seconds") from None
    except ClientDisconnect:
        raise Problem("bad-request", "the connection ended before the body did") from None
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        raise RequestValidationError([{**each, "loc": ("body", *each["loc"])} for each in found]) from None


_BODY = {"application/json": {"schema": NewMark.model_json_schema(), "example": {"points": 0.5, "comment": "Why?"}}}


@router.get("/submissions/{submission}/marks", summary="The marks of a submission")
def list_marks(token: Staff, service: Given, submission: Id) -> MarkPage:
    """List the marks that a person gave, published or not."""
    found = find_marks(service.store, get_submission(service, token, submission).id)
    return MarkPage(items=[MarkView.model_validate(each, from_attributes=True) for each in found])


@router.put(
    "/submissions/{submission}/marks/{item}",
    summary="Mark an item",
    responses=document_problems("bad-request", "timeout", "too-large", "invalid-request", "unusable-input"),
    openapi_extra={"requestBody": {"required": True, "content": _BODY}},
)
def save_mark(
    token: Staff, service: Given, submission: Id, item: ItemId, given: Annotated[NewMark, Depends(_new_mark)]
) -> MarkView:
    """Give an item points, in place of those it has; it counts for staff now, for students once it is published."""
    found = get_submission(service, token, submission)
    made = set_mark(service.store, found.id, item, given.points, given.comment, token.id)
    return MarkView.model_validate(made, from_attributes=True)


@router.delete("/submissions/{submission}/marks/{item}", summary="Take a mark back", status_code=204)
def delete_mark(token: Staff, service: Given, submission: Id, item: ItemId) -> None:
    """Let an item wait again; where there is no mark, nothing changes."""
    clear_mark(service.store, get_submission(service, token, submission).id, item)


@router.get("/batches/{batch}/unmarked", summary="What waits for a person")
def list_unmarked(token: Staff, service: Given, batch: Id, limit: PageSize = 100) -> UnmarkedPage:
    """List what waits for a mark, item by item, so that all answers to one question can be read in a row."""
    found = find_unmarked(service.store, get_batch(service, token, batch).id)
    items = [UnmarkedView.model_validate(each, from_attributes=True) for each in found[:limit]]
    return UnmarkedPage(count=len(found), items=items)
