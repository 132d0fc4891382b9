"""The application: all routes, behind one envelope, described by one OpenAPI document."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from pydantic import TypeAdapter

from grader.results.overview import Overview
from grader.results.report import load_report_schema
from grader.service.api import problems
from grader.service.api.catalog import Catalog
from grader.service.api.limits import RequestLimits
from grader.service.api.metrics import Metrics
from grader.service.api.middleware import ResponseMiddleware
from grader.service.api.routes import (
    assignments,
    batches,
    events,
    gradebooks,
    hand_ins,
    health,
    marks,
    overviews,
    regrades,
    submissions,
    tokens,
)
from grader.service.api.service import Service
from grader.service.broker import make_broker_app
from grader.service.settings import Settings
from grader.service.store.database import Store
from grader.service.web.website import Website

__all__ = ["make_application"]

_DESCRIPTION = """\
Hand in notebooks, watch them being graded, fetch reports.

Every request but those about health names a token. What is not the token's answers as what does not exist.
Errors are problem details (RFC 9457); the address in `type` explains each kind.
"""
_TAGS = [
    {"name": "batches", "description": "What is handed over at once."},
    {"name": "submissions", "description": "What one student handed in, and its reports."},
    {"name": "token", "description": "Who asks, and what is theirs."},
    {"name": "regrading", "description": "New reports after a rubric has changed: drafts, until they are published."},
    {"name": "marking", "description": "Points that a person gives, for what no test judges."},
    {"name": "gradebooks", "description": "Points as tables, for people and for learning management systems."},
    {"name": "assignments", "description": "What can be handed in."},
    {"name": "health", "description": "Whether the service works."},
    {"name": "about", "description": "What answers mean."},
]
_ROUTES = (
    hand_ins,
    batches,
    submissions,
    tokens,
    events,
    overviews,
    gradebooks,
    regrades,
    marks,
    assignments,
    health,
    problems,
)


def make_application(settings: Settings) -> FastAPI:
    """Return the API for these settings; nothing is connected to before the first request.

    Raises:
        InputError: a setting cannot be used.
    """
    store = Store.open(settings)
    metrics = Metrics(store)
    limits = RequestLimits(settings.broker, settings.requests_per_minute)
    service = Service(settings, store, make_broker_app(settings), Catalog(settings.assignments), limits, metrics)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        store.close()

    api = FastAPI(
        title="Notebook grader",
        version=version(health.DISTRIBUTION),
        description=_DESCRIPTION,
        openapi_tags=_TAGS,
        lifespan=lifespan,
        # Their pages load scripts from elsewhere; /openapi.json says the same.
        docs_url=None,
        redoc_url=None,
    )
    api.state.service = service
    for each in _ROUTES:
        api.include_router(each.router)
    api.router.routes.append(Website(service))
    problems.handle_problems(api)
    api.add_middleware(ResponseMiddleware, metrics=metrics)
    _describe(api)
    return api


def _describe(api: FastAPI) -> None:
    """Add to the OpenAPI document what routes refer to and the framework does not know."""
    written = api.openapi

    def openapi() -> dict[str, Any]:
        if api.openapi_schema is None:
            document = written()
            schemas = document["components"]["schemas"]
            for kind in (problems.ProblemDetails, Overview, gradebooks.FilledGradebook):
                described = TypeAdapter(kind).json_schema(
                    mode="serialization", ref_template="#/components/schemas/{model}"
                )
                schemas.update(described.pop("$defs", {}))
                schemas[kind.__name__] = described
            schemas["Report"] = _report_component()
        return written()

    api.openapi = openapi  # type: ignore[method-assign] # how FastAPI wants it, see "Extending OpenAPI"


def _report_component() -> dict[str, Any]:
    """Return the schema of reports with its inner references leading to where it stands in the document."""
    text = json.dumps(load_report_schema()).replace('"#/$defs/', '"#/components/schemas/Report/$defs/')
    schema: dict[str, Any] = json.loads(text)
    schema.pop("$schema", None)
    schema.pop("$id", None)
    return schema
