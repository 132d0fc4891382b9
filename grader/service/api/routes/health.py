"""Whether this process lives, whether it can do its work, and what there is to watch."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Literal

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, Field

from grader.errors import GraderError
from grader.service.api.access import Unnamed
from grader.service.api.problems import document_problems
from grader.service.api.service import Given
from grader.service.broker import broker_is_up
from grader.service.store.database import check_migrated

__all__ = ["DISTRIBUTION", "router"]

DISTRIBUTION = "notebook-grader"

router = APIRouter(tags=["health"])


class Liveness(BaseModel):
    """The process answers."""

    status: Literal["alive"] = "alive"
    version: str


class Readiness(BaseModel):
    """What works, and what does not."""

    status: Literal["ready", "degraded", "unready"] = Field(
        description="degraded: all is accepted and nothing is lost, but gradings start late"
    )
    checks: dict[str, Literal["ok", "down"]] = Field(examples=[{"database": "ok", "blobs": "ok", "broker": "ok"}])


@router.get("/health/live", summary="Whether the process answers")
def show_liveness() -> Liveness:
    """Answer; nothing else is looked at, so that a database that is away gets nobody restarted."""
    return Liveness(version=version(DISTRIBUTION))


@router.get(
    "/health/ready",
    summary="Whether requests can be served",
    dependencies=[Unnamed],
    responses={503: {"model": Readiness, "description": "Not ready"}, **document_problems("too-many-requests")},
)
def show_readiness(service: Given, response: Response) -> Readiness:
    """Look at the database, its migrations, the blobs and the broker; without a broker all but grading goes on."""
    needed = {
        "database": _works(lambda: check_migrated(service.store)),
        "blobs": _works(service.store.blobs.check),
    }
    broker = broker_is_up(service.settings)
    status: Literal["ready", "degraded", "unready"] = "ready" if broker else "degraded"
    if not all(needed.values()):
        status = "unready"
        response.status_code = 503
    works = {**needed, "broker": broker}
    return Readiness(status=status, checks={name: "ok" if up else "down" for name, up in works.items()})


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    dependencies=[Unnamed],
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
        **document_problems("too-many-requests"),
    },
)
def show_metrics(service: Given) -> Response:
    """Return counts and times; nobody's name is in them. Keep the path from the outside at the proxy."""
    return Response(service.metrics.text(), media_type=CONTENT_TYPE_LATEST)


def _works(check: Callable[[], object]) -> bool:
    try:
        check()
    except GraderError:
        return False
    return True
