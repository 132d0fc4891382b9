"""Pages of notebooks. Nothing can run in them, not even our own scripts."""

from __future__ import annotations

from fastapi import APIRouter, Response
from markupsafe import Markup

from grader.errors import SubmissionError
from grader.render.notebook import render_notebook
from grader.service.api.access import Anyone, get_submission
from grader.service.api.problems import not_found
from grader.service.api.routes import submissions
from grader.service.api.service import Service, ServiceDep
from grader.service.store.queries.executed_notebooks import find_executed_notebook
from grader.service.store.queries.submissions import SubmissionStatus
from grader.service.store.queries.tokens import Token
from grader.service.web.page import render_page
from grader.submission.notebook_json import DEFAULT_BOUNDS, parse

__all__ = ["router"]

# `allow-same-origin` is for our style sheet: without it the page has no origin, and 'self' matches nothing.
# `allow-downloads` is for the download links.
_POLICY = (
    "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "sandbox allow-same-origin allow-downloads"
)

router = APIRouter(prefix="/submissions/{submission}/notebooks/{number}")


@router.get("")
def show_notebook(token: Anyone, service: ServiceDep, submission: str, number: int) -> Response:
    """Show a notebook with the outputs of the grading run, not with those in the file."""
    status, name, sha256 = _find_notebook(token, service, submission, number)
    executed = find_executed_notebook(service.store, status.id, name)
    outputs = {index: cell.get("outputs", []) for index, cell in enumerate(executed.cells if executed else ())}
    body: Markup | None = None
    message = ""
    try:
        with service.unpacking:
            cells = parse(name, service.store.blobs.get(sha256), DEFAULT_BOUNDS).cells
            # Source and Markdown come from the file: it may contain images as attachments.
            joined = [{**cell, "outputs": outputs.get(index, [])} for index, cell in enumerate(cells)]
            body = render_notebook({"cells": joined})
    except SubmissionError as error:
        message = str(error)
    headers = {"Content-Security-Policy": _POLICY}
    return render_page(
        "notebook",
        token,
        headers=headers,
        submission=status,
        name=name,
        body=body,
        message=message,
        number=number,
        was_run=executed is not None,
    )


@router.get("/file")
def send_notebook(token: Anyone, service: ServiceDep, submission: str, number: int) -> Response:
    """Send a notebook as it was handed in, byte for byte."""
    _, name, _ = _find_notebook(token, service, submission, number)
    return submissions.send_notebook(token, service, submission, name)


@router.get("/executed")
def send_executed_notebook(token: Anyone, service: ServiceDep, submission: str, number: int) -> Response:
    """Send a notebook with the outputs of the grading run."""
    _, name, _ = _find_notebook(token, service, submission, number)
    return submissions.send_executed_notebook(token, service, submission, name)


def _find_notebook(token: Token, service: Service, submission: str, number: int) -> tuple[SubmissionStatus, str, str]:
    """Return a submission, and the name and sha256 of one of its notebooks."""
    status = get_submission(service, token, submission)
    if not 0 <= number < len(status.files):
        raise not_found()
    return status, *status.files[number]
