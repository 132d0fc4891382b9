"""The website: all pages as one application, mounted at every path that the API does not use."""

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

_API_PREFIXES = {"health", "metrics", "openapi.json", "problems", "v1"}
_CACHED = {"Cache-Control": "max-age=300"}  # seconds until a new version's style is loaded
_ROUTES = (sign_in, home, batches, marks, regrades, submissions, notebooks)


class Website(Mount):
    """The pages, at every path outside the API."""

    def __init__(self, service: Service) -> None:
        super().__init__("/", _make_website(service), name="website")

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match requests for pages."""
        first = scope.get("path", "/").removeprefix(scope.get("root_path", "")).split("/")[1]
        return (Match.NONE, {}) if first in _API_PREFIXES else super().matches(scope)


class _CachedFiles(StaticFiles):
    """Styles and scripts, which browsers may cache: they contain no personal data."""

    def file_response(self, *arguments: object, **options: object) -> Response:
        response = super().file_response(*arguments, **options)  # type: ignore[arg-type]
        response.headers.update(_CACHED)
        return response


def _make_website(service: Service) -> FastAPI:
    website = FastAPI(openapi_url=None, redirect_slashes=False)
    website.state.service = service
    for module in _ROUTES:
        website.include_router(module.router)
    website.add_api_route("/static/page.css", _send_page_style, response_class=Response)
    website.mount("/static", _CachedFiles(directory=str(files("grader.service.web") / "static")))
    handle_problems(website, render_problem)
    website.add_middleware(SessionMiddleware, make_response=render_problem)
    return website


def _send_page_style() -> Response:
    return Response(load_stylesheet(), media_type="text/css", headers=_CACHED)
