"""The application: the API and the web pages behind one middleware, described by one OpenAPI document."""

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
Submit notebooks, follow their grading, and fetch reports.

All requests except health checks need a token. What a token may not see is answered as if it did not exist.
Errors are problem details (RFC 9457); the address in `type` explains each kind of problem.
"""
_TAGS = [
    {"name": "batches", "description": "The submissions of a class, or of one student, handed in at once."},
    {"name": "submissions", "description": "One student's notebooks, their state and their reports."},
    {"name": "token", "description": "The caller's token and submissions."},
    {"name": "regrading", "description": "New reports after a change of the rubric: drafts until they are published."},
    {"name": "marking", "description": "Points that a person gives for items that no test judges."},
    {"name": "gradebooks", "description": "Points as tables, for people and for learning management systems."},
    {"name": "assignments", "description": "The assignments on offer."},
    {"name": "health", "description": "Whether the service works, and metrics."},
    {"name": "about", "description": "What problems mean."},
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
    """Return the application for these settings. It connects to nothing before the first request.

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
        # These pages would load scripts from another site; /openapi.json has the same content.
        docs_url=None,
        redoc_url=None,
    )
    api.state.service = service
    for module in _ROUTES:
        api.include_router(module.router)
    api.router.routes.append(Website(service))
    problems.handle_problems(api)
    api.add_middleware(ResponseMiddleware, metrics=metrics)
    _extend_openapi(api)
    return api


def _extend_openapi(api: FastAPI) -> None:
    """Add the schemas to the OpenAPI document that routes refer to and the framework does not know."""
    generate = api.openapi

    def openapi() -> dict[str, Any]:
        if api.openapi_schema is None:
            document = generate()
            schemas = document["components"]["schemas"]
            for kind in (problems.ProblemDetails, Overview, gradebooks.FilledGradebook):
                schema = TypeAdapter(kind).json_schema(
                    mode="serialization", ref_template="#/components/schemas/{model}"
                )
                schemas.update(schema.pop("$defs", {}))
                schemas[kind.__name__] = schema
            schemas["Report"] = _make_report_schema()
        return generate()

    api.openapi = openapi  # type: ignore[method-assign] # as documented by FastAPI in "Extending OpenAPI"


def _make_report_schema() -> dict[str, Any]:
    """Return the schema of reports, with inner references that resolve within the OpenAPI document."""
    text = json.dumps(load_report_schema()).replace('"#/$defs/', '"#/components/schemas/Report/$defs/')
    schema: dict[str, Any] = json.loads(text)
    schema.pop("$schema", None)
    schema.pop("$id", None)
    return schema
