"""Who reads a page: the token in a cookie, which no script sees and no other site can use."""

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

# Pages run our own scripts and load what is ours; pictures of students' notebooks stand in the page.
SITE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_COOKIE = "grader_token"
_SECRET = re.compile(r"[\x21-\x3a\x3c-\x7e]{1,200}")
_CHANGES_NOTHING = {"GET", "HEAD"}
_HEADERS = {
    "Content-Security-Policy": SITE_POLICY,
    # Browsers that send no referrer at all send no origin with a form either.
    "Referrer-Policy": "same-origin",
}

log = logging.getLogger("grader.service.web")


class SessionMiddleware:
    """ASGI middleware around the pages: takes the token out of the cookie, and refuses what other sites send."""

    def __init__(self, app: ASGIApp, answer: Callable[[Request, Problem], Response]) -> None:
        """Wrap an application.

        Args:
            app: the pages.
            answer: makes a response of a problem.
        """
        self.app = app
        self.answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        started = False

        async def send_dressed(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        if scope["method"] not in _CHANGES_NOTHING and _is_from_elsewhere(request.headers):
            detail = "this was sent by another site; open the page here, and send it again"
            await self.answer(request, Problem("forbidden", detail))(scope, receive, send_dressed)
            return
        # The API's own way to tell who asks; whoever has a header of their own asks the API.
        bearer = [(b"authorization", f"Bearer {secret}".encode())] if (secret := read_secret(request)) else []
        scope["headers"] = [each for each in scope["headers"] if each[0] != b"authorization"] + bearer
        try:
            await self.app(scope, receive, send_dressed)
        except Exception:
            if started:
                raise
            log.exception("a page failed: %s %s", scope["method"], scope["path"])
            failed = Problem("internal-error", "the grader failed; tell staff what you did, and when")
            await self.answer(request, failed)(scope, receive, send_dressed)


def read_secret(request: Request) -> str:
    """Return the secret that a browser sends, "" where it sends none."""
    secret = request.cookies.get(_COOKIE, "")
    return secret if _SECRET.fullmatch(secret) else ""


def sign_in(request: Request, response: Response, secret: str) -> None:
    """Have the browser send this secret from now on, until it is closed."""
    secure = request.url.scheme == "https"
    response.set_cookie(_COOKIE, secret, httponly=True, samesite="strict", secure=secure)


def sign_out(response: Response) -> None:
    """Have the browser forget the secret."""
    response.delete_cookie(_COOKIE, httponly=True, samesite="strict")


def _is_from_elsewhere(headers: Headers) -> bool:
    """Tell whether another site's page, or no page at all, sends this."""
    if (origin := headers.get("origin")) is not None:
        # A proxy that ends TLS changes the scheme, not the host.
        return urlsplit(origin).netloc != headers.get("host")
    return headers.get("sec-fetch-site") != "same-origin"
