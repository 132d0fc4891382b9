"""Routes of the token that asks: who it is, and what its person has handed in."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select, tuple_

from grader.api.access import Anyone
from grader.api.pages import AfterId, PageSize, page
from grader.api.problems import documented
from grader.api.service import Given
from grader.api.submissions import SubmissionView, shown
from grader.store.database import Store
from grader.store.reports import visible_submission
from grader.store.schema import BatchRow, SubmissionRow
from grader.store.tokens import Role, Token

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
    ids, following = page(_ids(service.store, token, after, limit + 1), limit, str)
    # Asked for one by one, so that one function alone decides what a token may see.
    found = [visible_submission(service.store, token, each) for each in ids]
    return OwnSubmissions(items=[shown(token, each) for each in found if each], next=following)


def _ids(store: Store, token: Token, after: str, limit: int) -> list[str]:
    """Return the ids of what has this token's person, newest first, going on after an id."""
    if not token.person:
        return []
    ids = select(SubmissionRow.id).join(BatchRow, BatchRow.id == SubmissionRow.batch)
    wanted = ids.where(SubmissionRow.person == token.person)
    if after:
        # Among theirs as well: somebody else's id leads as far as one that does not exist.
        last = wanted.add_columns(BatchRow.created_at).where(SubmissionRow.id == after).subquery()
        place = tuple_(last.c.created_at, last.c.id)
        wanted = wanted.join(last, tuple_(BatchRow.created_at, SubmissionRow.id) < place)
    newest_first = wanted.order_by(BatchRow.created_at.desc(), SubmissionRow.id.desc())
    with store.reading() as session:
        return list(session.scalars(newest_first.limit(limit)))
