"""Pages of regrading: grade again, look at old and new points, publish."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Response

from grader.models.recipe import Mode
from grader.service.api.access import Staff, batch_of
from grader.service.api.routes import regrades
from grader.service.api.service import Given
from grader.service.web.page import SMALL, Done, page, see_other

__all__ = ["router"]

router = APIRouter(prefix="/batches/{batch}", max_body_size=SMALL)


@router.get("/regrade")
def look(token: Staff, service: Given, batch: str, done: Done = None, count: int = 0) -> Response:
    """Show what publishing would change."""
    found = batch_of(service, token, batch)
    preview = regrades.look(token, service, found.id)
    return page("regrade", token, batch=found, preview=preview, offered=list(Mode), done=done, count=count)


@router.post("/regrade")
def again(token: Staff, service: Given, batch: str, training: Annotated[Mode, Form()]) -> Response:
    """Grade again what has no report of the rubric as it is now."""
    waiting = regrades.again(token, service, batch, training).gradings
    return see_other(f"/batches/{batch}/regrade", done="regraded", count=str(waiting))


@router.post("/publish")
def release(token: Staff, service: Given, batch: str) -> Response:
    """Make drafts count."""
    published = regrades.release(token, service, batch).published
    return see_other(f"/batches/{batch}/regrade", done="published", count=str(published))
