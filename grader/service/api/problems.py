"""Errors as problem details (RFC 9457): the table of all kinds of problems, and the handlers that return them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from grader.errors import InputError, SystemFault
from grader.service.api.invalid_values import describe_invalid_value
from grader.service.store.queries.hand_ins import IdempotencyConflict

__all__ = [
    "PROBLEMS",
    "RETRY_SECONDS",
    "Problem",
    "ProblemDetails",
    "ProblemType",
    "ValueProblem",
    "document_problems",
    "handle_problems",
    "make_problem_response",
    "not_found",
    "router",
]

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 5

log = logging.getLogger("grader.service.api")


@dataclass(frozen=True)
class ProblemType:
    """A kind of problem: its status, its title, and what to do about it."""

    status: int
    title: str
    advice: str


PROBLEMS: Mapping[str, ProblemType] = {
    "bad-request": ProblemType(400, "The request is malformed", "Compare it with /openapi.json."),
    "unauthorized": ProblemType(401, "No valid token", "Send `Authorization: Bearer <token>` with a valid token."),
    "forbidden": ProblemType(403, "Not allowed", "Ask course staff for a token whose role allows this."),
    "not-found": ProblemType(404, "Not found", "Check the address, or ask course staff for access."),
    "method-not-allowed": ProblemType(405, "Method not allowed", "Use one of the methods in the header Allow."),
    "no-report": ProblemType(404, "No report yet", "Wait until grading has ended; the detail shows its state."),
    "not-acceptable": ProblemType(406, "Format not available", "Ask for one of the formats in /openapi.json."),
    "timeout": ProblemType(408, "The upload took too long", "Send it again over a faster connection, or in parts."),
    "idempotency-conflict": ProblemType(
        409, "Idempotency key already used", "Use a new key for each different request."
    ),
    "too-large": ProblemType(413, "The upload is too large", "Send fewer submissions at once, and no data sets."),
    "unsupported-media-type": ProblemType(415, "Unsupported media type", "Send multipart/form-data."),
    "invalid-request": ProblemType(422, "Invalid value", "Correct the values listed in `errors`."),
    "unusable-input": ProblemType(422, "The input cannot be used", "Follow the advice in the detail."),
    "too-many-requests": ProblemType(429, "Too many requests", "Wait for the seconds in the header Retry-After."),
    "internal-error": ProblemType(500, "The grader failed", "Tell staff the X-Request-ID of this response."),
    "unavailable": ProblemType(503, "The service is unavailable", "Try again after the seconds in Retry-After."),
}
_SLUGS = {PROBLEMS[slug].status: slug for slug in reversed(list(PROBLEMS))}  # the first one of each status


class Problem(Exception):
    """A problem that ends a request."""

    def __init__(
        self,
        slug: str,
        detail: str,
        headers: Mapping[str, str] | None = None,
        errors: list[dict[str, str]] | None = None,
    ) -> None:
        super().__init__(detail)
        self.slug, self.detail, self.headers, self.errors = slug, detail, dict(headers or {}), errors


class ValueProblem(BaseModel):
    """A value that is not allowed."""

    where: str = Field(description="Where the value is.", examples=["query.limit"])
    what: str = Field(description="What is wrong with it.")


class ProblemDetails(BaseModel):
    """Why a request failed (RFC 9457)."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": "/problems/not-found",
                "title": PROBLEMS["not-found"].title,
                "status": 404,
                "detail": "this does not exist, or you may not see it",
                "instance": "/v1/batches/0a7c9a3e-5f0e-4f43-9d1f-0d7f6f0b8c55",
            }
        }
    )

    type: str = Field(description="The kind of problem: an address that explains it.")
    title: str = Field(description="The kind of problem in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What is wrong with this request, and what to do next.")
    instance: str = Field(description="The path of the request.")
    errors: list[ValueProblem] | None = Field(default=None, description="The values that are not allowed.")


class ProblemKind(BaseModel):
    """An explanation of a kind of problem."""

    type: str
    title: str
    status: int
    advice: str = Field(description="What to do about it.")


def not_found() -> Problem:
    """Return the problem for a resource that does not exist or that the caller may not see."""
    return Problem("not-found", "this does not exist, or you may not see it")


def make_problem_response(problem: Problem, path: str) -> JSONResponse:
    """Return a problem as a response."""
    kind = PROBLEMS[problem.slug]
    content: dict[str, Any] = {
        "type": f"/problems/{problem.slug}",
        "title": kind.title,
        "status": kind.status,
        # A name in a message may contain a lone surrogate, which UTF-8 cannot encode.
        "detail": problem.detail.encode("utf-8", "replace").decode(),
        "instance": path,
    }
    if problem.errors:
        content["errors"] = problem.errors
    return JSONResponse(content, kind.status, problem.headers, MEDIA_TYPE)


def handle_problems(
    application: FastAPI,
    make_response: Callable[[Request, Problem], Response] = lambda request, problem: make_problem_response(
        problem, request.url.path
    ),
) -> None:
    """Make an application answer every error with problem details, including those of its framework.

    Args:
        application: the application.
        make_response: returns the response for a problem.
    """

    async def respond(request: Request, error: Exception) -> Response:
        return make_response(request, _to_problem(error))

    for kind in (Problem, InputError, SystemFault, RequestValidationError, HTTPException):
        application.add_exception_handler(kind, respond)


def document_problems(*slugs: str) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI description of responses with these problems."""
    responses: dict[int | str, dict[str, Any]] = {}
    for slug in slugs:
        kind = PROBLEMS[slug]
        titles = [PROBLEMS[other].title for other in slugs if PROBLEMS[other].status == kind.status]
        schema = {"$ref": "#/components/schemas/ProblemDetails"}
        responses[kind.status] = {"description": "; ".join(titles), "content": {MEDIA_TYPE: {"schema": schema}}}
    return responses


router = APIRouter(tags=["about"])


@router.get(
    "/problems/{slug}",
    summary="Explain a kind of problem",
    responses=document_problems("not-found", "invalid-request"),
)
def show_problem_kind(slug: str) -> ProblemKind:
    """Explain a kind of problem, as named by the `type` of its problem details."""
    if (kind := PROBLEMS.get(slug)) is None:
        raise not_found()
    return ProblemKind(type=f"/problems/{slug}", title=kind.title, status=kind.status, advice=kind.advice)


def _to_problem(error: Exception) -> Problem:
    match error:
        case Problem():
            return error
        case IdempotencyConflict():
            return Problem("idempotency-conflict", str(error))
        case InputError():
            return Problem("unusable-input", str(error))
        case SystemFault():
            # The cause is for operators only: it may name hosts and paths.
            log.error("the service is unavailable: %s", error)
            detail = "the service cannot answer right now; nothing is lost, try again"
            return Problem("unavailable", detail, {"Retry-After": str(RETRY_SECONDS)})
        case RequestValidationError():
            return _describe_invalid_values(error)
        case HTTPException():
            return _translate(error)
    raise TypeError(f"no handler was registered for {type(error).__name__}")


def _describe_invalid_values(error: RequestValidationError) -> Problem:
    errors = [
        {"where": ".".join(map(str, item["loc"])), "what": describe_invalid_value(item)} for item in error.errors()
    ]
    detail = "; ".join(f"{item['where']}: {item['what']}" for item in errors)
    return Problem("invalid-request", detail, errors=errors)


def _translate(error: HTTPException) -> Problem:
    """Return the problem for an error of the framework."""
    if error.status_code == PROBLEMS["not-found"].status:
        return not_found()
    slug = _SLUGS.get(error.status_code, "bad-request")
    return Problem(slug, str(error.detail), error.headers)
