"""Middleware for every response: a request id, security headers, metrics, and a problem if all else fails."""

from __future__ import annotations

import logging
import re
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from grader.service.api.metrics import Metrics
from grader.service.api.problems import Problem, make_problem_response

__all__ = ["ResponseMiddleware"]

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SECURITY = {
    # For data: nothing in it may load, run or be framed. Pages set their own policy.
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

log = logging.getLogger("grader.service.api")


class ResponseMiddleware:
    """The outermost ASGI middleware of the application."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        received = Headers(scope=scope).get("x-request-id", "")
        request_id = received if _REQUEST_ID.fullmatch(received) else str(uuid.uuid4())
        started = time.monotonic()
        status = 0  # no response was started

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                for name, value in _SECURITY.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        except Exception:
            log.exception("request %s failed: %s %s", request_id, scope["method"], scope["path"])
            if status:
                raise  # part of the response was sent; the server has to break the connection
            failed = Problem("internal-error", "the grader failed; staff can find this request by its id")
            await make_problem_response(failed, scope["path"])(scope, receive, send_with_headers)
        finally:
            # The pattern of the path, not the path itself: made-up paths must not create metrics.
            route = getattr(scope.get("route"), "path", "none")
            self.metrics.observe(scope["method"], route, status, time.monotonic() - started)
