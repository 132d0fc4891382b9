"""Pages of regrading: grade again, look at old and new points, publish."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Response

from grader.models.recipe import Mode
from grader.service.api.access import Staff, get_batch
from grader.service.api.routes import regrades
from grader.service.api.service import Given
from grader.service.web.page import SMALL, Done, redirect, render_page

__all__ = ["router"]

router = APIRouter(prefix="/batches/{batch}", max_body_size=SMALL)


@router.get("/regrade")
def preview_regrade(token: Staff, service: Given, batch: str, done: Done = None, count: int = 0) -> Response:
    """Show what publishing would change."""
    found = get_batch(service, token, batch)
    preview = regrades.preview_regrade(token, service, found.id)
    return render_page("regrade", token, batch=found, preview=preview, offered=list(Mode), done=done, count=count)


@router.post("/regrade")
def regrade_batch(token: Staff, service: Given, batch: str, training: Annotated[Mode, Form()]) -> Response:
    """Grade again what has no report of the rubric as it is now."""
    waiting = regrades.regrade_batch(token, service, batch, training).gradings
    return redirect(f"/batches/{batch}/regrade", done="regraded", count=str(waiting))


@router.post("/publish")
def publish_regrade(token: Staff, service: Given, batch: str) -> Response:
    """Make drafts count."""
    published = regrades.publish_regrade(token, service, batch).published
    return redirect(f"/batches/{batch}/regrade", done="published", count=str(published))
