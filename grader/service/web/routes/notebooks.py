"""Pages of notebooks, in which nothing can run: not even scripts of ours."""

from __future__ import annotations

from fastapi import APIRouter, Response
from markupsafe import Markup

from grader.errors import SubmissionError
from grader.render.notebook import render_notebook
from grader.service.api.access import Anyone, get_submission
from grader.service.api.problems import not_found
from grader.service.api.routes import submissions
from grader.service.api.service import Given, Service
from grader.service.store.queries.executed_notebooks import find_executed_notebook
from grader.service.store.queries.submissions import SubmissionStatus
from grader.service.store.queries.tokens import Token
from grader.service.web.page import render_page
from grader.submission.notebook_json import DEFAULT_BOUNDS, parse

__all__ = ["router"]

# `allow-same-origin` is for our style sheet alone: without it the page's origin is none, and so not ours.
# `allow-downloads` is for the page's own links, which lead nowhere without it.
_POLICY = (
    "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "sandbox allow-same-origin allow-downloads"
)

router = APIRouter(prefix="/submissions/{submission}/notebooks/{number}")


@router.get("")
def show_notebook(token: Anyone, service: Given, submission: str, number: int) -> Response:
    """Show a notebook with what its cells showed when it was graded, not with the outputs that it brought with it."""
    found, name, sha256 = _notebook(token, service, submission, number)
    executed = find_executed_notebook(service.store, found.id, name)
    shown = {place: cell.get("outputs", []) for place, cell in enumerate(executed.cells if executed else ())}
    body: Markup | None = None
    message = ""
    try:
        with service.unpacking:
            cells = parse(name, service.store.blobs.get(sha256), DEFAULT_BOUNDS).cells
            # The text is from the file, which may have pictures in it.
            joined = [{**cell, "outputs": shown.get(place, [])} for place, cell in enumerate(cells)]
            body = render_notebook({"cells": joined})
    except SubmissionError as error:
        message = str(error)
    headers = {"Content-Security-Policy": _POLICY}
    return render_page(
        "notebook",
        token,
        headers=headers,
        found=found,
        name=name,
        body=body,
        message=message,
        number=number,
        was_run=executed is not None,
    )


@router.get("/file")
def send_notebook(token: Anyone, service: Given, submission: str, number: int) -> Response:
    """Send a notebook as it was handed in, byte for byte."""
    _, name, _ = _notebook(token, service, submission, number)
    return submissions.send_notebook(token, service, submission, name)


@router.get("/executed")
def send_executed_notebook(token: Anyone, service: Given, submission: str, number: int) -> Response:
    """Send a notebook with what its cells showed when it was graded."""
    _, name, _ = _notebook(token, service, submission, number)
    return submissions.send_executed_notebook(token, service, submission, name)


def _notebook(token: Token, service: Service, submission: str, number: int) -> tuple[SubmissionStatus, str, str]:
    """Return a submission, and the name and the sha256 of one of its notebooks."""
    found = get_submission(service, token, submission)
    if not 0 <= number < len(found.files):
        raise not_found()
    return found, *found.files[number]
