"""Rendering of pages: the templates, and the words that all pages share."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment
from markupsafe import Markup, escape

from grader.models.recipe import Mode
from grader.render.templates import make_environment
from grader.render.text import sanitise_text
from grader.service.api.formats import choose_format
from grader.service.api.problems import PROBLEMS, Problem, make_problem_response
from grader.service.store.queries.batches import BatchStatus
from grader.service.store.queries.submissions import SubmissionStatus
from grader.service.store.queries.tokens import Role, Token
from grader.service.store.schema import State

__all__ = ["FORM_BYTES", "Done", "redirect", "render_page", "render_problem"]

FORM_BYTES = 2**17  # the largest form without files
_LONGEST = 50_000  # characters of a text that is shown in full
_MODES = {
    Mode.NONE: "none",
    Mode.QUICK: "short, by the grader",
    Mode.FULL: "as in the notebook (hours)",
}
_STATES = {
    State.WAITING: ("waiting", "quiet"),
    State.LEASED: ("being graded", "pending"),
    State.GRADED: ("graded", "passed"),
    State.FAILED: ("failed", "failed"),
    State.CANCELLED: ("cancelled", "partial"),
}
_DONE = {
    "cancelled": "Cancelled: {}.",
    "regraded": "Regrading: {}.",
    "published": "Published: {}.",
}

Done = Annotated[Literal["cancelled", "regraded", "published"] | None, Query()]


def render_page(
    name: str, token: Token | None, status: int = 200, /, headers: dict[str, str] | None = None, **values: Any
) -> Response:
    """Render a page.

    Args:
        name: name of the template.
        token: the reader; None if not signed in.
        status: status of the response.
        headers: headers in addition to those of all pages.
        values: variables of the template.
    """
    text = _make_environment().get_template(f"{name}.html.jinja").render(reader=token, **values)
    # A name may contain a lone surrogate, which UTF-8 cannot encode.
    return HTMLResponse(text.encode("utf-8", "replace"), status, headers)


def render_problem(request: Request, problem: Problem) -> Response:
    """Render a problem as a page that says what to do next, or as problem details if the client wants no HTML."""
    kind = PROBLEMS[problem.slug]
    try:
        form = choose_format(None, request.headers.get("accept", ""), {"json": "application/json", "html": "text/html"})
    except Problem:
        form = "json"
    if form == "json":
        return make_problem_response(problem, request.url.path)
    if problem.slug == "unauthorized" and request.method == "GET":
        return redirect("/sign-in", next=request.url.path)
    back = request.url.path if request.method == "GET" else "/"
    return render_page("problem", None, kind.status, problem.headers, kind=kind, problem=problem, back=back)


def redirect(path: str, **query: str) -> Response:
    """Redirect the browser to another page of this site, with GET."""
    return RedirectResponse(f"{path}?{urlencode(query)}" if query else path, 303)


@cache
def _make_environment() -> Environment:
    environment = make_environment(files("grader.service.web") / "templates")
    environment.filters.update(full_text=_escape_full_text, time=_format_time, batch_name=_name_batch)
    environment.globals.update(
        Role=Role, State=State, modes=_MODES, states=_STATES, describe_state=_describe_state, done_messages=_DONE
    )
    return environment


def _escape_full_text(text: str) -> Markup:
    """Escape a text without shortening it as messages are."""
    return escape(sanitise_text(text, _LONGEST))


def _format_time(at: datetime) -> Markup:
    utc = at.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        utc.isoformat(timespec="seconds"), f"{utc:%Y-%m-%d %H:%M} UTC"
    )


def _name_batch(batch: BatchStatus) -> str:
    return batch.title or f"{Path(batch.assignment).name}, {batch.created_at:%Y-%m-%d %H:%M}"


def _describe_state(submission: SubmissionStatus) -> tuple[str, str]:
    """Return the word for a submission's state, and its CSS class."""
    word, style = _STATES[submission.state]
    if submission.refused:
        return "unreadable", "failed"
    return "system error" if submission.state is State.FAILED else word, style
