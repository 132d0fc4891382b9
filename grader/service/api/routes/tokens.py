"""Routes of the caller's token: its role, and the submissions of its person."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from grader.service.api.access import Anyone
from grader.service.api.pagination import AfterId, PageSize, paginate
from grader.service.api.problems import document_problems
from grader.service.api.routes.submissions import SubmissionView, make_submission_view
from grader.service.api.service import ServiceDep
from grader.service.store.queries.submissions import find_submissions_of
from grader.service.store.queries.tokens import Role

__all__ = ["router"]

router = APIRouter(
    prefix="/v1/token", tags=["token"], responses=document_problems("unauthorized", "too-many-requests", "unavailable")
)


class TokenView(BaseModel):
    """The caller's token."""

    model_config = ConfigDict(use_enum_values=True)

    name: str = Field(description="Name of the token.")
    role: Role
    person: str = Field(description="The student, as submissions name them; empty for other roles.")


class OwnSubmissionPage(BaseModel):
    """A page of a person's submissions, newest first."""

    items: list[SubmissionView]
    next: str | None = Field(description="`after` of the next page; null on the last page.")


@router.get("", summary="Show the caller's token")
def show_token(token: Anyone) -> TokenView:
    """Show the name, the role and the person of the token of this request."""
    return TokenView(name=token.name, role=token.role, person=token.person)


@router.get("/submissions", summary="List the caller's submissions", responses=document_problems("invalid-request"))
def list_own_submissions(
    token: Anyone, service: ServiceDep, after: AfterId = "", limit: PageSize = 50
) -> OwnSubmissionPage:
    """List a student's submissions, newest first, regardless of who handed them in. Empty for other roles."""
    person = token.person if token.role is Role.STUDENT else ""
    submissions = find_submissions_of(service.store, person, after, limit + 1)
    rows, following = paginate(submissions, limit, lambda submission: submission.id)
    return OwnSubmissionPage(items=[make_submission_view(token, row) for row in rows], next=following)
