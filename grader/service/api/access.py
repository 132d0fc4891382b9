"""Who asks, and what they may: bearer tokens, roles, and how often."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import Depends, Path, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from grader.service.api.limits import ConcurrencyShare, find_network
from grader.service.api.problems import RETRY_SECONDS, Problem, not_found
from grader.service.api.service import Given, Service
from grader.service.store.queries.batches import BatchStatus, find_visible_batch
from grader.service.store.queries.submissions import SubmissionStatus, find_visible_submission
from grader.service.store.queries.tokens import Role, Token, find_token

__all__ = ["Anyone", "Id", "Staff", "Submitter", "Unnamed", "get_batch", "get_submission", "hold_share"]

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

_bearer = HTTPBearer(scheme_name="token", description="A token that `grader token create` printed.", auto_error=False)


def _caller(
    request: Request,
    service: Given,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
) -> Token:
    """Return whose token this is."""
    token = find_token(service.store, credentials.credentials) if credentials else None
    if token is None:
        _counted(service, _address(request))
        detail = "this token is not known, or was revoked" if credentials else "this request has no token"
        raise Problem("unauthorized", detail, {"WWW-Authenticate": 'Bearer realm="grader"'})
    _counted(service, f"token {token.id}")
    return token


def _unnamed(request: Request, service: Given) -> None:
    """Let somebody without a token ask, as often as a token may."""
    _counted(service, _address(request))


def _counted(service: Service, caller: str) -> None:
    if seconds := service.limits.wait(caller):
        detail = f"more than {service.settings.requests_per_minute} requests in a minute; wait {seconds} seconds"
        raise Problem("too-many-requests", detail, {"Retry-After": str(seconds)})


def _address(request: Request) -> str:
    return f"address {find_network(request.client.host) if request.client else ''}"


Anyone = Annotated[Token, Depends(_caller)]
Unnamed = Depends(_unnamed)


def _only(*roles: Role) -> Callable[[Token], Token]:
    def check(token: Anyone) -> Token:
        if token.role not in roles:
            allowed = " or ".join(role.value for role in roles)
            raise Problem("forbidden", f"this is for {allowed}; the token's role is {token.role.value}")
        return token

    return check


Staff = Annotated[Token, Depends(_only(Role.INSTRUCTOR))]
Submitter = Annotated[Token, Depends(_only(Role.INSTRUCTOR, Role.CI))]

Id = Annotated[str, Path(description="An id that the service gave.", examples=["0a7c9a3e-5f0e-4f43-9d1f-0d7f6f0b8c55"])]


@contextmanager
def hold_share(share: ConcurrencyShare, token: Token, what: str) -> Iterator[None]:
    """Have one more of something going on for this token.

    Raises:
        Problem: it has as many already as one token may.
    """
    with share.taken(token.id) as within:
        if not within:
            detail = f"this token has as many {what} going on as one may at once; wait for one to end"
            raise Problem("too-many-requests", detail, {"Retry-After": str(RETRY_SECONDS)})
        yield


def get_batch(service: Service, token: Token, batch: str) -> BatchStatus:
    """Return a batch that this token may see.

    Raises:
        Problem: there is none; what is somebody else's is none.
    """
    found = find_visible_batch(service.store, token, batch) if _ID.fullmatch(batch) else None
    if found is None:
        raise not_found()
    return found


def get_submission(service: Service, token: Token, submission: str) -> SubmissionStatus:
    """Return a submission that this token may see.

    Raises:
        Problem: there is none; what is somebody else's is none.
    """
    found = find_visible_submission(service.store, token, submission) if _ID.fullmatch(submission) else None
    if found is None:
        raise not_found()
    return found
