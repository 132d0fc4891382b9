"""Routes of the token that asks: who it is, and what its person has handed in."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from grader.service.api.access import Anyone
from grader.service.api.pagination import AfterId, PageSize, page
from grader.service.api.problems import documented
from grader.service.api.routes.submissions import SubmissionView, shown
from grader.service.api.service import Given
from grader.service.store.queries.reports import submissions_of
from grader.service.store.queries.tokens import Role

__all__ = ["router"]

router = APIRouter(
    prefix="/v1/token", tags=["token"], responses=documented("unauthorized", "too-many-requests", "unavailable")
)


class TokenView(BaseModel):
    """Who asks."""

    model_config = ConfigDict(use_enum_values=True)

    name: str = Field(description="What the token is called.")
    role: Role
    person: str = Field(description="Who a student is, as submissions name them; empty for other roles.")


class OwnSubmissions(BaseModel):
    """A page of one person's submissions, newest first."""

    items: list[SubmissionView]
    next: str | None = Field(description="`after` of the next page, None on the last one.")


@router.get("", summary="The token that asks")
def who(token: Anyone) -> TokenView:
    """Tell what the token of this request is called, and what it may be used as."""
    return TokenView(name=token.name, role=token.role, person=token.person)


@router.get("/submissions", summary="The submissions of the token's person", responses=documented("invalid-request"))
def own(token: Anyone, service: Given, after: AfterId = "", limit: PageSize = 50) -> OwnSubmissions:
    """List what a student may read, newest first, whoever handed it in; tokens of other roles name no person."""
    person = token.person if token.role is Role.STUDENT else ""
    wanted = submissions_of(service.store, person, after, limit + 1)
    found, following = page(wanted, limit, lambda each: each.id)
    return OwnSubmissions(items=[shown(token, each) for each in found], next=following)
