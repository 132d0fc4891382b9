"""Errors as problem details (RFC 9457): one table of what can go wrong, and the one way to say it."""

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
    "not_found",
    "problem_response",
    "router",
]

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 5

log = logging.getLogger("grader.service.api")


@dataclass(frozen=True)
class ProblemType:
    """One kind of problem: its status, its title, and what to do about it."""

    status: int
    title: str
    advice: str


PROBLEMS: Mapping[str, ProblemType] = {
    "bad-request": ProblemType(400, "The request is malformed", "Compare it with /openapi.json."),
    "unauthorized": ProblemType(401, "No valid token", "Send `Authorization: Bearer <token>` with a token that holds."),
    "forbidden": ProblemType(403, "Not for this role", "Ask staff for a token whose role may do this."),
    "not-found": ProblemType(404, "No such thing", "Check the address; what is not yours answers in the same way."),
    "method-not-allowed": ProblemType(
        405, "No such method here", "Use one of the methods that the header Allow names."
    ),
    "no-report": ProblemType(
        404, "There is no report", "Wait until the grading has ended; the detail says where it stands."
    ),
    "not-acceptable": ProblemType(406, "No such format", "Ask for one of the formats that /openapi.json names."),
    "timeout": ProblemType(408, "The upload took too long", "Send it again over a faster line, or in parts."),
    "idempotency-conflict": ProblemType(
        409, "The key was used before", "Give each different request a key of its own."
    ),
    "too-large": ProblemType(
        413, "The body is too large", "Send fewer submissions in one batch, or without data sets."
    ),
    "unsupported-media-type": ProblemType(415, "No such upload", "Send multipart/form-data."),
    "invalid-request": ProblemType(422, "A value is not allowed", "Correct the values that `errors` names."),
    "unusable-input": ProblemType(422, "The input cannot be used", "Do what the detail says."),
    "too-many-requests": ProblemType(429, "Too many requests", "Wait as many seconds as the header Retry-After says."),
    "internal-error": ProblemType(500, "The grader failed", "Tell staff the X-Request-ID of this answer."),
    "unavailable": ProblemType(503, "The service is away", "Try again after as many seconds as Retry-After says."),
}
_OF_STATUS = {PROBLEMS[slug].status: slug for slug in reversed(list(PROBLEMS))}  # the first of a status


class Problem(Exception):
    """A request that gets no answer but a reason."""

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
    """One value that is not allowed."""

    where: str = Field(description="Where the value stands.", examples=["query.limit"])
    what: str = Field(description="What is wrong with it.")


class ProblemDetails(BaseModel):
    """Why a request got no answer (RFC 9457)."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": "/problems/not-found",
                "title": PROBLEMS["not-found"].title,
                "status": 404,
                "detail": "there is no such thing, or it is not yours",
                "instance": "/v1/batches/0a7c9a3e-5f0e-4f43-9d1f-0d7f6f0b8c55",
            }
        }
    )

    type: str = Field(description="Which kind of problem: an address that tells more.")
    title: str = Field(description="The kind in words.")
    status: int = Field(description="The HTTP status again.")
    detail: str = Field(description="What is wrong this time, and what to do next.")
    instance: str = Field(description="The path that was asked for.")
    errors: list[ValueProblem] | None = Field(default=None, description="Values that are not allowed, one by one.")


class ProblemKind(BaseModel):
    """One kind of problem, explained."""

    type: str
    title: str
    status: int
    advice: str = Field(description="What to do about it.")


def not_found() -> Problem:
    """Return the answer to what does not exist, and to what is not the caller's."""
    return Problem("not-found", "there is no such thing, or it is not yours")


def problem_response(problem: Problem, path: str) -> JSONResponse:
    """Return a problem as a response."""
    kind = PROBLEMS[problem.slug]
    content: dict[str, Any] = {
        "type": f"/problems/{problem.slug}",
        "title": kind.title,
        "status": kind.status,
        # A name in a message may hold half of a surrogate pair, which has no UTF-8.
        "detail": problem.detail.encode("utf-8", "replace").decode(),
        "instance": path,
    }
    if problem.errors:
        content["errors"] = problem.errors
    return JSONResponse(content, kind.status, problem.headers, MEDIA_TYPE)


def handle_problems(
    application: FastAPI,
    answer: Callable[[Request, Problem], Response] = lambda request, told: problem_response(told, request.url.path),
) -> None:
    """Make the application answer every error with problem details, its framework's own included.

    Args:
        application: whose routes may raise.
        answer: makes a response of a problem.
    """

    async def respond(request: Request, error: Exception) -> Response:
        return answer(request, _problem(error))

    for kind in (Problem, InputError, SystemFault, RequestValidationError, HTTPException):
        application.add_exception_handler(kind, respond)


def document_problems(*slugs: str) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI says of these problems."""
    found: dict[int | str, dict[str, Any]] = {}
    for slug in slugs:
        kind = PROBLEMS[slug]
        titles = [PROBLEMS[each].title for each in slugs if PROBLEMS[each].status == kind.status]
        schema = {"$ref": "#/components/schemas/ProblemDetails"}
        found[kind.status] = {"description": "; ".join(titles), "content": {MEDIA_TYPE: {"schema": schema}}}
    return found


router = APIRouter(tags=["about"])


@router.get(
    "/problems/{slug}",
    summary="What a kind of problem means",
    responses=document_problems("not-found", "invalid-request"),
)
def show_problem_kind(slug: str) -> ProblemKind:
    """Tell what the address in `type` of a problem stands for."""
    if (kind := PROBLEMS.get(slug)) is None:
        raise not_found()
    return ProblemKind(type=f"/problems/{slug}", title=kind.title, status=kind.status, advice=kind.advice)


def _problem(error: Exception) -> Problem:
    match error:
        case Problem():
            return error
        case IdempotencyConflict():
            return Problem("idempotency-conflict", str(error))
        case InputError():
            return Problem("unusable-input", str(error))
        case SystemFault():
            # What broke is for whoever runs the service; it may name hosts and paths.
            log.error("the service is away: %s", error)
            detail = "the service cannot answer just now; nothing is lost, try again"
            return Problem("unavailable", detail, {"Retry-After": str(RETRY_SECONDS)})
        case RequestValidationError():
            return _invalid(error)
        case HTTPException():
            return _of_framework(error)
    raise TypeError(f"no handler was registered for {type(error).__name__}")


def _invalid(error: RequestValidationError) -> Problem:
    errors = [{"where": ".".join(map(str, each["loc"])), "what": str(each["msg"])} for each in error.errors()]
    told = "; ".join(f"{each['where']}: {each['what']}" for each in errors)
    return Problem("invalid-request", told, errors=errors)


def _of_framework(error: HTTPException) -> Problem:
    if error.status_code == PROBLEMS["not-found"].status:
        return not_found()
    slug = _OF_STATUS.get(error.status_code, "bad-request")
    return Problem(slug, str(error.detail), error.headers)
