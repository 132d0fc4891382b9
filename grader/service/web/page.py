"""How a page is made: a template, who reads it, and the words that all pages share."""

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
from grader.service.api.problems import PROBLEMS, Problem, problem_response
from grader.service.store.queries.batches import BatchStatus
from grader.service.store.queries.submissions import SubmissionStatus
from grader.service.store.queries.tokens import Role, Token
from grader.service.store.schema import State

__all__ = ["SMALL", "Done", "redirect", "render_page", "render_problem"]

SMALL = 2**17  # bytes of a form without files
_LONGEST = 50_000  # characters of a text that is shown whole
_MODES = {
    Mode.NONE: "left out",
    Mode.QUICK: "short, by the grader",
    Mode.FULL: "as the notebook has them (hours)",
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
    "regraded": "To be graded again: {}.",
    "published": "Published: {}.",
}

Done = Annotated[Literal["cancelled", "regraded", "published"] | None, Query()]


def render_page(
    name: str, token: Token | None, status: int = 200, /, headers: dict[str, str] | None = None, **values: Any
) -> Response:
    """Return a page.

    Args:
        name: of the template.
        token: who reads it, None where that is not known.
        status: of the response.
        headers: beside those that all pages have.
        values: what the template writes.
    """
    text = _environment().get_template(f"{name}.html.jinja").render(reader=token, **values)
    # A name may hold half of a surrogate pair, which has no UTF-8.
    return HTMLResponse(text.encode("utf-8", "replace"), status, headers)


def render_problem(request: Request, problem: Problem) -> Response:
    """Return a problem as a page that says what to do next; as problem details to whom no page is of use."""
    kind = PROBLEMS[problem.slug]
    try:
        form = choose_format(None, request.headers.get("accept", ""), {"json": "application/json", "html": "text/html"})
    except Problem:
        form = "json"
    if form == "json":
        return problem_response(problem, request.url.path)
    if problem.slug == "unauthorized" and request.method == "GET":
        return redirect("/sign-in", next=request.url.path)
    back = request.url.path if request.method == "GET" else "/"
    return render_page("problem", None, kind.status, problem.headers, kind=kind, problem=problem, back=back)


def redirect(path: str, **query: str) -> Response:
    """Send the browser to another page of this site, which it gets anew."""
    return RedirectResponse(f"{path}?{urlencode(query)}" if query else path, 303)


@cache
def _environment() -> Environment:
    made = make_environment(files("grader.service.web") / "templates")
    made.filters.update(whole=_whole, moment=_moment, batch_name=_batch_name)
    made.globals.update(Role=Role, State=State, modes=_MODES, states=_STATES, state_of=_state_of, done_words=_DONE)
    return made


def _whole(text: str) -> Markup:
    """Escape a text that is not to be cut as messages are."""
    return escape(sanitise_text(text, _LONGEST))


def _moment(at: datetime) -> Markup:
    there = at.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        there.isoformat(timespec="seconds"), f"{there:%Y-%m-%d %H:%M} UTC"
    )


def _batch_name(found: BatchStatus) -> str:
    return found.title or f"{Path(found.assignment).name}, {found.created_at:%Y-%m-%d %H:%M}"


def _state_of(found: SubmissionStatus) -> tuple[str, str]:
    """Return the word for where a submission stands, and its colour."""
    word, colour = _STATES[found.state]
    if found.state is State.FAILED:
        word = "unreadable" if found.refused else "system error"
    return word, colour
