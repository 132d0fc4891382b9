"""The website: all pages as one application, mounted beside the API at whatever is not the API's."""

from __future__ import annotations

from importlib.resources import files

from fastapi import FastAPI, Response
from starlette.routing import Match, Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from grader.render.templates import load_stylesheet
from grader.service.api.problems import handle_problems
from grader.service.api.service import Service
from grader.service.web.page import render_problem
from grader.service.web.routes import batches, home, marks, notebooks, regrades, sign_in, submissions
from grader.service.web.session import SessionMiddleware

__all__ = ["Website"]

_OF_THE_API = {"health", "metrics", "openapi.json", "problems", "v1"}  # the first parts of its paths
_FOR_A_WHILE = {"Cache-Control": "max-age=300"}  # seconds; a new version's style is seen within
_ROUTES = (sign_in, home, batches, marks, regrades, submissions, notebooks)


class Website(Mount):
    """The pages, at every path that is none of the API's."""

    def __init__(self, service: Service) -> None:
        super().__init__("/", _website(service), name="website")

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Tell whether a request is for a page."""
        first = scope.get("path", "/").removeprefix(scope.get("root_path", "")).split("/")[1]
        return (Match.NONE, {}) if first in _OF_THE_API else super().matches(scope)


class _Static(StaticFiles):
    """Styles and scripts, which hold nothing of anybody's."""

    def file_response(self, *arguments: object, **named: object) -> Response:
        response = super().file_response(*arguments, **named)  # type: ignore[arg-type]
        response.headers.update(_FOR_A_WHILE)
        return response


def _website(service: Service) -> FastAPI:
    website = FastAPI(openapi_url=None, redirect_slashes=False)
    website.state.service = service
    for each in _ROUTES:
        website.include_router(each.router)
    website.add_api_route("/static/page.css", _style, response_class=Response)
    website.mount("/static", _Static(directory=str(files("grader.service.web") / "static")))
    handle_problems(website, render_problem)
    website.add_middleware(SessionMiddleware, answer=render_problem)
    return website


def _style() -> Response:
    return Response(load_stylesheet(), media_type="text/css", headers=_FOR_A_WHILE)
