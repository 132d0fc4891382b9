"""What every response gets: a request id, security headers, a measured time, and an answer whatever happens."""

from __future__ import annotations

import logging
import re
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from grader.service.api.metrics import Metrics
from grader.service.api.problems import Problem, problem_response

__all__ = ["ResponseMiddleware"]

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SECURITY = {
    # Data is no page: nothing of it may load, run or be framed. Pages bring a policy of their own.
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

log = logging.getLogger("grader.service.api")


class ResponseMiddleware:
    """ASGI middleware around everything else."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else str(uuid.uuid4())
        started = time.monotonic()
        status = 0  # none was sent

        async def send_dressed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                for name, value in _SECURITY.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self.app(scope, receive, send_dressed)
        except Exception:
            log.exception("request %s failed: %s %s", request_id, scope["method"], scope["path"])
            if status:
                raise  # half of an answer is out; the server has to break the connection
            failed = Problem("internal-error", "the grader failed; staff can look for this request by its id")
            await problem_response(failed, scope["path"])(scope, receive, send_dressed)
        finally:
            # The pattern of a path, not the path: whoever makes paths up must not make metrics up.
            route = getattr(scope.get("route"), "path", "none")
            self.metrics.observe(scope["method"], route, status, time.monotonic() - started)
