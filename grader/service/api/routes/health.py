"""Routes of health checks and metrics."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Literal

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, Field

from grader.errors import GraderError
from grader.service.api.access import AnonymousLimit
from grader.service.api.problems import document_problems
from grader.service.api.service import ServiceDep
from grader.service.broker import broker_is_up
from grader.service.store.database import check_migrated

__all__ = ["DISTRIBUTION", "router"]

DISTRIBUTION = "notebook-grader"

router = APIRouter(tags=["health"])


class Liveness(BaseModel):
    """The process is alive."""

    status: Literal["alive"] = "alive"
    version: str


class Readiness(BaseModel):
    """Which parts of the service work."""

    status: Literal["ready", "degraded", "unready"] = Field(
        description="degraded: everything is accepted and nothing is lost, but grading starts late"
    )
    checks: dict[str, Literal["ok", "down"]] = Field(examples=[{"database": "ok", "blobs": "ok", "broker": "ok"}])


@router.get("/health/live", summary="Check that the process is alive")
def show_liveness() -> Liveness:
    """Check nothing but that the process answers: a database that is away is no reason to restart it."""
    return Liveness(version=version(DISTRIBUTION))


@router.get(
    "/health/ready",
    summary="Check that requests can be served",
    dependencies=[AnonymousLimit],
    responses={503: {"model": Readiness, "description": "Not ready"}, **document_problems("too-many-requests")},
)
def show_readiness(service: ServiceDep, response: Response) -> Readiness:
    """Check the database, its migrations, the blobs and the broker. Without the broker, all but grading works."""
    required = {
        "database": _passes(lambda: check_migrated(service.store)),
        "blobs": _passes(service.store.blobs.check),
    }
    broker = broker_is_up(service.settings)
    status: Literal["ready", "degraded", "unready"] = "ready" if broker else "degraded"
    if not all(required.values()):
        status = "unready"
        response.status_code = 503
    works = {**required, "broker": broker}
    return Readiness(status=status, checks={name: "ok" if up else "down" for name, up in works.items()})


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    dependencies=[AnonymousLimit],
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
        **document_problems("too-many-requests"),
    },
)
def show_metrics(service: ServiceDep) -> Response:
    """Return counts and times, without personal data. Block this path at the proxy."""
    return Response(service.metrics.render(), media_type=CONTENT_TYPE_LATEST)


def _passes(check: Callable[[], object]) -> bool:
    try:
        check()
    except GraderError:
        return False
    return True
