"""Routes of marks: points that a person gives for items that no test judges."""

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
from grader.service.api.service import ServiceDep
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
    """A new mark for an item."""

    model_config = ConfigDict(extra="forbid", strict=True)

    points: float = Field(ge=0, allow_inf_nan=False, description="At most the points of the item.")
    comment: str = Field("", max_length=LONGEST_COMMENT, description="A comment for the student.")


class MarkView(BaseModel):
    """A mark as staff see it, published or not."""

    item: str
    points: float
    comment: str
    by: str = Field(description="Name of the token that gave it. Students do not see it.")
    at: datetime


class MarkPage(BaseModel):
    """The marks of a submission, by item."""

    items: list[MarkView]


class UnmarkedView(BaseModel):
    """An item of a submission without a mark."""

    submission: str
    key: str
    name: str
    item: str


class UnmarkedPage(BaseModel):
    """The items of a batch without a mark: all answers to one item, then those to the next."""

    count: int = Field(description="The number of unmarked items.")
    items: list[UnmarkedView] = Field(description="The first unmarked items.")


async def _read_new_mark(_: Staff, request: Request) -> NewMark:
    """Read a small body after the caller was authenticated. The framework would read any body from anyone."""
    body = b""
    try:
        async with asyncio.timeout(_SECONDS):
            async for part in request.stream():
                body += part
                if len(body) > _MOST_BYTES:
                    raise Problem("too-large", f"the body is larger than {_MOST_BYTES:,} bytes")
        return NewMark.model_validate_json(body)
    except TimeoutError:
        raise Problem("timeout", f"the body did not arrive within {_SECONDS} seconds") from None
    except ClientDisconnect:
        raise Problem("bad-request", "the connection ended before the body did") from None
    except ValidationError as error:
        errors = error.errors(include_url=False)
        raise RequestValidationError([{**item, "loc": ("body", *item["loc"])} for item in errors]) from None


_BODY = {"application/json": {"schema": NewMark.model_json_schema(), "example": {"points": 0.5, "comment": "Why?"}}}


@router.get("/submissions/{submission}/marks", summary="List the marks of a submission")
def list_marks(token: Staff, service: ServiceDep, submission: Id) -> MarkPage:
    """List the marks of a submission, published or not."""
    marks = find_marks(service.store, get_submission(service, token, submission).id)
    return MarkPage(items=[MarkView.model_validate(mark, from_attributes=True) for mark in marks])


@router.put(
    "/submissions/{submission}/marks/{item}",
    summary="Mark an item",
    responses=document_problems("bad-request", "timeout", "too-large", "invalid-request", "unusable-input"),
    openapi_extra={"requestBody": {"required": True, "content": _BODY}},
)
def save_mark(
    token: Staff, service: ServiceDep, submission: Id, item: ItemId, new: Annotated[NewMark, Depends(_read_new_mark)]
) -> MarkView:
    """Mark an item, replacing an earlier mark. Staff see it at once, students once it is published."""
    status = get_submission(service, token, submission)
    mark = set_mark(service.store, status.id, item, new.points, new.comment, token.id)
    return MarkView.model_validate(mark, from_attributes=True)


@router.delete("/submissions/{submission}/marks/{item}", summary="Remove a mark", status_code=204)
def delete_mark(token: Staff, service: ServiceDep, submission: Id, item: ItemId) -> None:
    """Remove the mark of an item. If there is none, nothing changes."""
    clear_mark(service.store, get_submission(service, token, submission).id, item)


@router.get("/batches/{batch}/unmarked", summary="List unmarked items")
def list_unmarked(token: Staff, service: ServiceDep, batch: Id, limit: PageSize = 100) -> UnmarkedPage:
    """List the items without a mark, item by item, so that all answers to one question can be read in a row."""
    unmarked = find_unmarked(service.store, get_batch(service, token, batch).id)
    items = [UnmarkedView.model_validate(item, from_attributes=True) for item in unmarked[:limit]]
    return UnmarkedPage(count=len(unmarked), items=items)
