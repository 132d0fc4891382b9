"""Access control: bearer tokens, roles and rate limits."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import Depends, Path, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from grader.service.api.limits import ConcurrencyLimit, find_network
from grader.service.api.problems import RETRY_SECONDS, Problem, not_found
from grader.service.api.service import Service, ServiceDep
from grader.service.store.queries.batches import BatchStatus, find_visible_batch
from grader.service.store.queries.submissions import SubmissionStatus, find_visible_submission
from grader.service.store.queries.tokens import Role, Token, find_token

__all__ = ["AnonymousLimit", "Anyone", "Id", "Staff", "Submitter", "get_batch", "get_submission", "hold_share"]

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

_bearer = HTTPBearer(scheme_name="token", description="A token that `grader token create` printed.", auto_error=False)


def _authenticate(
    request: Request,
    service: ServiceDep,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
) -> Token:
    """Return the token of a request."""
    token = find_token(service.store, credentials.credentials) if credentials else None
    if token is None:
        _limit_rate(service, _describe_address(request))
        detail = "this token is unknown or was revoked" if credentials else "this request has no token"
        raise Problem("unauthorized", detail, {"WWW-Authenticate": 'Bearer realm="grader"'})
    _limit_rate(service, f"token {token.id}")
    return token


def _limit_anonymous(request: Request, service: ServiceDep) -> None:
    """Accept a request without a token, at the rate of one token for each address."""
    _limit_rate(service, _describe_address(request))


def _limit_rate(service: Service, caller: str) -> None:
    if seconds := service.limits.count_request(caller):
        detail = f"more than {service.settings.requests_per_minute} requests in a minute; wait {seconds} seconds"
        raise Problem("too-many-requests", detail, {"Retry-After": str(seconds)})


def _describe_address(request: Request) -> str:
    return f"address {find_network(request.client.host) if request.client else ''}"


Anyone = Annotated[Token, Depends(_authenticate)]
AnonymousLimit = Depends(_limit_anonymous)


def _require_role(*roles: Role) -> Callable[[Token], Token]:
    def check(token: Anyone) -> Token:
        if token.role not in roles:
            allowed = " or ".join(role.value for role in roles)
            raise Problem("forbidden", f"this requires the role {allowed}; the token's role is {token.role.value}")
        return token

    return check


Staff = Annotated[Token, Depends(_require_role(Role.INSTRUCTOR))]
Submitter = Annotated[Token, Depends(_require_role(Role.INSTRUCTOR, Role.CI))]

Id = Annotated[
    str, Path(description="An id, as the API returns it.", examples=["0a7c9a3e-5f0e-4f43-9d1f-0d7f6f0b8c55"])
]


@contextmanager
def hold_share(limit: ConcurrencyLimit, token: Token, what: str) -> Iterator[None]:
    """Count one more concurrent operation of this token.

    Args:
        limit: the limit to count towards.
        token: the caller.
        what: plural name of the operations, for the problem's detail.

    Raises:
        Problem: the token has reached its limit.
    """
    with limit.acquire(token.id) as is_within:
        if not is_within:
            detail = f"this token has too many {what} at once; wait for one to end"
            raise Problem("too-many-requests", detail, {"Retry-After": str(RETRY_SECONDS)})
        yield


def get_batch(service: Service, token: Token, batch: str) -> BatchStatus:
    """Return a batch that this token may see.

    Raises:
        Problem: it does not exist, or this token may not see it.
    """
    status = find_visible_batch(service.store, token, batch) if _ID.fullmatch(batch) else None
    if status is None:
        raise not_found()
    return status


def get_submission(service: Service, token: Token, submission: str) -> SubmissionStatus:
    """Return a submission that this token may see.

    Raises:
        Problem: it does not exist, or this token may not see it.
    """
    status = find_visible_submission(service.store, token, submission) if _ID.fullmatch(submission) else None
    if status is None:
        raise not_found()
    return status
