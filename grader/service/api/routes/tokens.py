"""Routes of the token that asks: who it is, and what its person has handed in."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from grader.service.api.access import Anyone
from grader.service.api.pagination import AfterId, PageSize, paginate
from grader.service.api.problems import document_problems
from grader.service.api.routes.submissions import SubmissionView, make_submission_view
from grader.service.api.service import Given
from grader.service.store.queries.submissions import find_submissions_of
from grader.service.store.queries.tokens import Role

__all__ = ["router"]

router = APIRouter(
    prefix="/v1/token", tags=["token"], responses=document_problems("unauthorized", "too-many-requests", "unavailable")
)


class TokenView(BaseModel):
    """Who asks."""

    model_config = ConfigDict(use_enum_values=True)

    name: str = Field(description="What the token is called.")
    role: Role
    person: str = Field(description="Who a student is, as submissions name them; empty for other roles.")


class OwnSubmissionPage(BaseModel):
    """A page of one person's submissions, newest first."""

    items: list[SubmissionView]
    next: str | None = Field(description="`after` of the next page, None on the last one.")


@router.get("", summary="The token that asks")
def show_token(token: Anyone) -> TokenView:
    """Tell what the token of this request is called, and what it may be used as."""
    return TokenView(name=token.name, role=token.role, person=token.person)


@router.get(
    "/submissions", summary="The submissions of the token's person", responses=document_problems("invalid-request")
)
def list_own_submissions(token: Anyone, service: Given, after: AfterId = "", limit: PageSize = 50) -> OwnSubmissionPage:
    """List what a student may read, newest first, whoever handed it in; tokens of other roles name no person."""
    person = token.person if token.role is Role.STUDENT else ""
    wanted = find_submissions_of(service.store, person, after, limit + 1)
    found, following = paginate(wanted, limit, lambda each: each.id)
    return OwnSubmissionPage(items=[make_submission_view(token, each) for each in found], next=following)
