"""A connection to a grading server, with one method for each operation of its API, retries and plain errors."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from grader.client.packing import compute_content_key, open_file
from grader.errors import GraderError, InputError, SystemFault

__all__ = [
    "ATTEMPTS",
    "FIRST_PAUSE",
    "LONGEST_PAUSE",
    "PAGE_SIZE",
    "POLL_SECONDS",
    "TIMEOUTS",
    "Client",
    "ServerEvent",
    "normalise_address",
    "strip_token",
]

ATTEMPTS = 5
FIRST_PAUSE = 0.5  # seconds before the second attempt; doubled for each further attempt
LONGEST_PAUSE = 30.0  # seconds, even if the server asks for more
POLL_SECONDS = 2.0  # between two requests for the state of a submission
# Seconds. On event streams the API sends heartbeats well within the read timeout.
TIMEOUTS = httpx.Timeout(60.0, connect=10.0)
PAGE_SIZE = 200  # entries per request

_RETRY_STATUSES = frozenset({429, 502, 503, 504})
_MAX_DETAILS = 3
# A host name or address, optionally a port and a path; no password and no query.
_ADDRESS = re.compile(r"https?://([\w.-]+|\[[0-9A-Fa-f:.]+])(:\d{1,5})?(/[^\s?#@]*)?")
_Json = Mapping[str, Any]


@dataclass(frozen=True)
class ServerEvent:
    """An event of a batch, with the server's `data`. The last event has the kind `done`."""

    id: int
    kind: str
    data: _Json


class Client:
    """A connection to a grading server, for one token.

    Args:
        server: the address, such as `https://grader.example.org`.
        token: the secret that `grader token create` printed.
        origin: where the token was found, for the error message if the server does not know it.
        attempts: the number of attempts before the server counts as down.
        first_pause: the pause before the second attempt, in seconds.

    Raises:
        InputError: the address or the token is not valid.
    """

    def __init__(
        self,
        server: str,
        token: str,
        *,
        origin: str = "GRADER_TOKEN",
        attempts: int = ATTEMPTS,
        first_pause: float = FIRST_PAUSE,
    ) -> None:
        self.server = normalise_address(server)
        self.token = strip_token(token, origin)
        self._origin = origin
        self._attempts = attempts
        self._first_pause = first_pause
        # Redirects are not followed, because the token is for this server only.
        self._http = httpx.Client(
            base_url=self.server,
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=TIMEOUTS,
            follow_redirects=False,
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def list_assignments(self) -> list[_Json]:
        """Return the assignments of the server."""
        return list(_json(self._get("/v1/assignments"))["items"])

    def whoami(self) -> _Json:
        """Return the `name` and the `role` of the token, and the `person` of a student's token."""
        return _json(self._get("/v1/token"))

    def submit(
        self, files: Sequence[tuple[str, Path]], *, assignment: str, training: str = "", title: str = ""
    ) -> _Json:
        """Submit a zip, or notebooks. The files are streamed.

        The same files for the same assignment are the same batch: another attempt after a lost answer, or another
        call, does not create a second one. Another title does.

        Args:
            files: a name for the server and a path for each file.
            assignment: the name of the assignment.
            training: none, quick or full; "" for the server's default.
            title: the title of the batch.

        Returns:
            The accepted batch: its id as `batch`, whether it is `new`, and the skipped files as `notices`.
        """
        return self._submit("/v1/batches", files, {"assignment": assignment, "training": training, "title": title})

    def submit_own(
        self, files: Sequence[tuple[str, Path]], *, assignment: str, training: str = "", title: str = ""
    ) -> _Json:
        """Submit all these notebooks as one submission of the token's person. See `submit`.

        Returns:
            The accepted submission: its id as `submission`, and `new` and `notices` as for a batch.
        """
        return self._submit("/v1/submissions", files, {"assignment": assignment, "training": training, "title": title})

    def list_batches(self) -> Iterator[_Json]:
        """Yield the batches visible to this token, newest first."""
        return self._list_pages("/v1/batches")

    def get_batch(self, batch: str) -> _Json:
        """Return a batch with its counts."""
        return _json(self._get(_path("batches", batch)))

    def list_submissions(self, batch: str) -> Iterator[_Json]:
        """Yield a batch's submissions."""
        return self._list_pages(_path("batches", batch, "submissions"))

    def list_own_submissions(self) -> Iterator[_Json]:
        """Yield the submissions of the token's person, newest first."""
        return self._list_pages("/v1/token/submissions")

    def get_submission(self, submission: str) -> _Json:
        """Return a submission and its state."""
        return _json(self._get(_path("submissions", submission)))

    def follow_submission(self, submission: str, pause: float = POLL_SECONDS) -> Iterator[_Json]:
        """Yield a submission now and after each change of its state, up to the final one.

        This polls, because event streams are per batch, and a student may not see the batch of a submission that staff
        submitted for them.

        Args:
            submission: the id of the submission.
            pause: the time between two requests, in seconds.
        """
        known = None
        while True:
            found = self.get_submission(submission)
            if found["state"] != known:
                known = found["state"]
                yield found
            if found["ended_at"]:
                return
            time.sleep(pause)

    def get_report(self, submission: str, form: str = "json") -> bytes:
        """Return a submission's report: json, html or text."""
        return self._get(_path("submissions", submission, "report"), format=form).content

    def get_gradebook(self, batch: str) -> bytes:
        """Return a batch's grades as CSV."""
        return self._get(_path("batches", batch, "gradebook")).content

    def get_overview(self, batch: str, form: str = "json") -> bytes:
        """Return the overview of a batch: json or html."""
        return self._get(_path("batches", batch, "overview"), format=form).content

    def cancel(self, batch: str) -> _Json:
        """Cancel the jobs of a batch that have not ended."""
        return _json(self._post(_path("batches", batch, "cancel")))

    def cancel_own(self, submission: str) -> _Json:
        """Cancel the job of one submission, if it has not ended."""
        return _json(self._post(_path("submissions", submission, "cancel")))

    def regrade(self, batch: str) -> _Json:
        """Grade a batch again with the current rubric. The reports are drafts until they are published."""
        return _json(self._post(_path("batches", batch, "regrade")))

    def preview_regrade(self, batch: str) -> _Json:
        """Return the number of `drafts`, and as `changes` the submissions whose points they would change."""
        return _json(self._get(_path("batches", batch, "regrade")))

    def publish(self, batch: str) -> _Json:
        """Publish the drafts of a batch."""
        return _json(self._post(_path("batches", batch, "publish")))

    def follow_events(self, batch: str, after: int = 0) -> Iterator[ServerEvent]:
        """Yield the events of a batch as they happen, up to `done`. Reconnect if the connection breaks.

        Args:
            batch: the id of the batch.
            after: the id of the last known event.
        """
        failures = 0
        while True:
            try:
                with self._open_stream(batch, after) as response:
                    for event in _read_events(response):
                        failures, after = 0, max(after, event.id)
                        yield event
                        if event.kind == "done":
                            return
                problem = "the stream of events ended early"
            except httpx.RequestError as error:
                problem = _describe_error(error)
            failures += 1  # also if the server ended the stream, as it does at shutdown
            if failures >= self._attempts:
                raise SystemFault(f"{self.server}: {problem}; tried {failures} times")
            self._pause(failures)

    def _submit(self, path: str, files: Sequence[tuple[str, Path]], fields: Mapping[str, str]) -> _Json:
        fields = {name: value for name, value in fields.items() if value}
        key = compute_content_key(files, fields)

        def send() -> httpx.Response:
            with ExitStack() as stack:  # opened for each attempt, because the last one has read parts
                parts = [("files", (name, stack.enter_context(open_file(file)))) for name, file in files]
                return self._http.post(path, data=fields, files=parts, headers={"Idempotency-Key": key})

        return _json(self._attempt(send))

    @contextmanager
    def _open_stream(self, batch: str, after: int) -> Iterator[httpx.Response]:
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
        request = self._http.build_request("GET", _path("batches", batch, "events"), headers=headers)
        response = self._attempt(lambda: self._http.send(request, stream=True))
        try:
            yield response
        finally:
            response.close()

    def _list_pages(self, path: str) -> Iterator[_Json]:
        after: str | None = None
        while True:
            page = _json(self._get(path, after=after, limit=PAGE_SIZE))
            yield from page["items"]
            after = page.get("next")
            if not after:
                return

    def _get(self, path: str, **query: str | int | None) -> httpx.Response:
        parameters = {name: value for name, value in query.items() if value is not None}
        return self._attempt(lambda: self._http.get(path, params=parameters))

    def _post(self, path: str) -> httpx.Response:
        # All these requests are idempotent, so they can be repeated after a lost answer.
        return self._attempt(lambda: self._http.post(path))

    def _attempt(self, send: Callable[[], httpx.Response]) -> httpx.Response:
        """Send a request, with retries if they may help, and return the successful response.

        Raises:
            InputError: the server refuses the request.
            SystemFault: the server is down or failed.
        """
        problem, seconds = "", 0.0
        for attempt in range(1, self._attempts + 1):
            if attempt > 1:
                self._pause(attempt - 1, seconds)
            try:
                response = send()
            except httpx.RequestError as error:
                problem, seconds = _describe_error(error), 0.0
                continue
            if response.status_code not in _RETRY_STATUSES:
                return self._require_success(response)
            problem, seconds = _describe_problem(response), _read_retry_after(response)
        raise SystemFault(f"{self.server}: {problem}; tried {self._attempts} times")

    def _pause(self, failures: int, seconds: float = 0.0) -> None:
        time.sleep(min(max(self._first_pause * 2 ** (failures - 1), seconds), LONGEST_PAUSE))

    def _require_success(self, response: httpx.Response) -> httpx.Response:
        if response.is_success:
            return response
        if response.is_redirect:
            location = response.headers.get("location", "another address")
            raise InputError(f"{self.server} redirects to {location}; give the address of the grading server itself")
        problem = _describe_problem(response)
        if response.status_code == 401:
            raise InputError(f"{self.server} does not know the token from {self._origin}: {problem}; ask staff for one")
        kind: type[GraderError] = SystemFault if response.is_server_error else InputError
        raise kind(f"{self.server}{response.request.url.path}: {problem}")


def normalise_address(text: str) -> str:
    """Return a server's address without surrounding blanks and without a slash at its end.

    Raises:
        InputError: it is not an address.
    """
    if not _ADDRESS.fullmatch(text.strip()):
        shown = text.rpartition("@")[2]  # without the password that may stand before it
        raise InputError(f"{shown!r} is not the address of a server; give one like https://grader.example.org")
    return text.strip().rstrip("/")


def strip_token(text: str, origin: str) -> str:
    """Return a token without surrounding blanks.

    Raises:
        InputError: it is not a token; the message does not show it.
    """
    token = text.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise InputError(f"{origin}: this is not a token; give the one that `grader token create` printed")
    return token


def _path(*parts: str) -> str:
    # Quoted, because an id is typed by a person.
    return "/v1/" + "/".join(quote(part, safe="") for part in parts)


def _json(response: httpx.Response) -> _Json:
    try:
        values = response.json()
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise InputError(f"{response.url} does not answer like a grading server; check the server's address")
    return values


def _describe_error(error: httpx.RequestError) -> str:
    return "does not answer in time" if isinstance(error, httpx.TimeoutException) else f"cannot be reached ({error})"


def _describe_problem(response: httpx.Response) -> str:
    """Return the text of problem details (RFC 9457), or the status if there are none."""
    try:
        response.read()
        values = response.json()
        text = values.get("detail") or values.get("title") or ""
        errors = [f"{error['where']}: {error['what']}" for error in values.get("errors") or ()][:_MAX_DETAILS]
    except (httpx.RequestError, ValueError, KeyError, TypeError, AttributeError):
        text, errors = "", []
    return "; ".join([str(text) or f"it answers {response.status_code} {response.reason_phrase}", *errors])


def _read_retry_after(response: httpx.Response) -> float:
    seconds = response.headers.get("retry-after", "")
    return float(seconds) if seconds.isdecimal() else 0.0


def _read_events(response: httpx.Response) -> Iterator[ServerEvent]:
    """Read a stream of events (WHATWG HTML, 9.2.6), as far as this API uses the format."""
    fields: dict[str, str] = {}
    for line in _read_lines(response):
        if not line:
            if "data" in fields:
                yield _make_event(fields)
            fields = {}
        elif not line.startswith(":"):  # a heartbeat
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            fields[name] = f"{fields[name]}\n{value}" if name == "data" and name in fields else value


def _make_event(fields: Mapping[str, str]) -> ServerEvent:
    try:
        return ServerEvent(int(fields.get("id", 0)), fields.get("event", "message"), json.loads(fields["data"]))
    except ValueError as error:
        raise SystemFault(f"the server sends an event that cannot be read: {error}") from None


def _read_lines(response: httpx.Response) -> Iterator[str]:
    """Yield lines, split at the byte level: students' texts may contain characters that Unicode takes for line ends."""
    rest = b""
    for chunk in response.iter_bytes():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.removesuffix(b"\r").decode("utf-8", "replace")
