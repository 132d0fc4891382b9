"""Signing in: the token is in a cookie that no script can read and no other site can use."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from urllib.parse import urlsplit

from fastapi import Request, Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from grader.service.api.problems import Problem

__all__ = ["SITE_POLICY", "SessionMiddleware", "read_secret", "sign_in", "sign_out"]

# Pages run and load our own files only. Images of students' notebooks are inline.
SITE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_COOKIE = "grader_token"
_SECRET = re.compile(r"[\x21-\x3a\x3c-\x7e]{1,200}")
_SAFE_METHODS = {"GET", "HEAD"}
_HEADERS = {
    "Content-Security-Policy": SITE_POLICY,
    # Browsers that send no referrer at all do not send an origin with forms either.
    "Referrer-Policy": "same-origin",
}

log = logging.getLogger("grader.service.web")


class SessionMiddleware:
    """ASGI middleware around the pages: reads the token from the cookie, and refuses forms of other sites."""

    def __init__(self, app: ASGIApp, make_response: Callable[[Request, Problem], Response]) -> None:
        """Wrap an application.

        Args:
            app: the pages.
            make_response: returns the response for a problem.
        """
        self.app = app
        self.make_response = make_response

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        if scope["method"] not in _SAFE_METHODS and _is_cross_site(request.headers):
            detail = "this form was sent from another site; open the page here and send it again"
            await self.make_response(request, Problem("forbidden", detail))(scope, receive, send_with_headers)
            return
        # Routes authenticate as those of the API do. A client's own header counts for the API only, so it is replaced.
        bearer = [(b"authorization", f"Bearer {secret}".encode())] if (secret := read_secret(request)) else []
        scope["headers"] = [item for item in scope["headers"] if item[0] != b"authorization"] + bearer
        try:
            await self.app(scope, receive, send_with_headers)
        except Exception:
            if started:
                raise
            log.exception("a page failed: %s %s", scope["method"], scope["path"])
            failed = Problem("internal-error", "the grader failed; tell course staff what you did and when")
            await self.make_response(request, failed)(scope, receive, send_with_headers)


def read_secret(request: Request) -> str:
    """Return the secret in the cookie; "" if there is none."""
    secret = request.cookies.get(_COOKIE, "")
    return secret if _SECRET.fullmatch(secret) else ""


def sign_in(request: Request, response: Response, secret: str) -> None:
    """Set the cookie. The browser sends it until it is closed."""
    secure = request.url.scheme == "https"
    response.set_cookie(_COOKIE, secret, httponly=True, samesite="strict", secure=secure)


def sign_out(response: Response) -> None:
    """Delete the cookie."""
    response.delete_cookie(_COOKIE, httponly=True, samesite="strict")


def _is_cross_site(headers: Headers) -> bool:
    """Return whether a request comes from a page of another site, or from no page."""
    if (origin := headers.get("origin")) is not None:
        # A proxy that terminates TLS changes the scheme, but not the host.
        return urlsplit(origin).netloc != headers.get("host")
    return headers.get("sec-fetch-site") != "same-origin"
