"""Pages of regrading: grade again, compare old and new points, publish."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Response

from grader.models.recipe import Mode
from grader.service.api.access import Staff, get_batch
from grader.service.api.routes import regrades
from grader.service.api.service import ServiceDep
from grader.service.web.page import FORM_BYTES, Done, redirect, render_page

__all__ = ["router"]

router = APIRouter(prefix="/batches/{batch}", max_body_size=FORM_BYTES)


@router.get("/regrade")
def preview_regrade(token: Staff, service: ServiceDep, batch: str, done: Done = None, count: int = 0) -> Response:
    """Show what publishing would change."""
    status = get_batch(service, token, batch)
    preview = regrades.preview_regrade(token, service, status.id)
    return render_page("regrade", token, batch=status, preview=preview, offered=list(Mode), done=done, count=count)


@router.post("/regrade")
def regrade_batch(token: Staff, service: ServiceDep, batch: str, training: Annotated[Mode, Form()]) -> Response:
    """Grade submissions without a report of the current rubric."""
    count = regrades.regrade_batch(token, service, batch, training).gradings
    return redirect(f"/batches/{batch}/regrade", done="regraded", count=str(count))


@router.post("/publish")
def publish_regrade(token: Staff, service: ServiceDep, batch: str) -> Response:
    """Publish drafts and marks."""
    published = regrades.publish_regrade(token, service, batch).published
    return redirect(f"/batches/{batch}/regrade", done="published", count=str(published))
