"""A connection to a grading server: one method for each thing that its API offers, with retries and plain errors."""

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
    "LOOKED",
    "PAGE",
    "TIMEOUTS",
    "Client",
    "ServerEvent",
    "server_address",
    "strip_token",
]

ATTEMPTS = 5
FIRST_PAUSE = 0.5  # seconds before the second attempt; each further one waits twice as long
LONGEST_PAUSE = 30.0  # seconds, also where the server asks for more
LOOKED = 2.0  # seconds between two looks at a submission
# Seconds. The API sends a heartbeat on streams of events well within the time for reading.
TIMEOUTS = httpx.Timeout(60.0, connect=10.0)
PAGE = 200  # entries asked for at once

_TRY_AGAIN = frozenset({429, 502, 503, 504})
_SHOWN_DETAILS = 3
# A host's name or address, a port, and a path where the server is below one; no password, no question.
_ADDRESS = re.compile(r"https?://([\w.-]+|\[[0-9A-Fa-f:.]+])(:\d{1,5})?(/[^\s?#@]*)?")
_Json = Mapping[str, Any]


@dataclass(frozen=True)
class ServerEvent:
    """Something that happened to a batch, and the `data` that the server tells of it; `done` is the last one."""

    id: int
    kind: str
    data: _Json


class Client:
    """A connection to a grading server, for one token.

    Args:
        server: where it is, e.g. `https://grader.example.org`.
        token: the secret that `grader token create` showed.
        origin: where the token is from, said when the server does not know it.
        attempts: how often something is asked before the server counts as down.
        first_pause: seconds before the second attempt.

    Raises:
        InputError: this is no address of a server, or no token.
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
        self.server = server_address(server)
        self.token = strip_token(token, origin)
        self._origin = origin
        self._attempts = attempts
        self._first_pause = first_pause
        # Redirects are not followed: the token is for this server.
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

    def assignments(self) -> list[_Json]:
        """Return the assignments that the server offers."""
        return list(_json(self._get("/v1/assignments"))["items"])

    def whoami(self) -> _Json:
        """Return what the server knows the token as: `name`, `role`, and a student's `person`."""
        return _json(self._get("/v1/token"))

    def submit(
        self, files: Sequence[tuple[str, Path]], *, assignment: str, training: str = "", title: str = ""
    ) -> _Json:
        """Hand in a zip, or notebooks; they are read while they are sent.

        The same files for the same assignment are the same batch: a second attempt after an answer that was lost, or a
        second call, makes no second one. Another title does.

        Args:
            files: what the server shall call each file, and where it is.
            assignment: the assignment's name.
            training: none, quick or full; the server's default where empty.
            title: what the batch is called.

        Returns:
            What was accepted: `batch` is its id, `new` whether it was not known before, `notices` what was left aside.
        """
        return self._hand_in("/v1/batches", files, {"assignment": assignment, "training": training, "title": title})

    def submit_own(
        self, files: Sequence[tuple[str, Path]], *, assignment: str, training: str = "", title: str = ""
    ) -> _Json:
        """Hand in all of these notebooks as one submission, the token's person's; else as `submit`.

        Returns:
            What was accepted: `submission` is its id, `new` and `notices` are as of a batch.
        """
        return self._hand_in("/v1/submissions", files, {"assignment": assignment, "training": training, "title": title})

    def batches(self) -> Iterator[_Json]:
        """Yield the batches that this token may see, newest first."""
        return self._pages("/v1/batches")

    def batch(self, batch: str) -> _Json:
        """Return a batch with its counts."""
        return _json(self._get(_path("batches", batch)))

    def submissions(self, batch: str) -> Iterator[_Json]:
        """Yield a batch's submissions."""
        return self._pages(_path("batches", batch, "submissions"))

    def own_submissions(self) -> Iterator[_Json]:
        """Yield the submissions of the token's person, newest first."""
        return self._pages("/v1/token/submissions")

    def submission(self, submission: str) -> _Json:
        """Return a submission and where it stands."""
        return _json(self._get(_path("submissions", submission)))

    def until_ended(self, submission: str, pause: float = LOOKED) -> Iterator[_Json]:
        """Yield a submission at once and then as often as its state has changed, up to the one that it ends in.

        Events are told of batches, and what staff handed in for a student is in none that the student may see.

        Args:
            submission: its id.
            pause: seconds between two looks.
        """
        known = None
        while True:
            found = self.submission(submission)
            if found["state"] != known:
                known = found["state"]
                yield found
            if found["ended_at"]:
                return
            time.sleep(pause)

    def report(self, submission: str, form: str = "json") -> bytes:
        """Return a submission's report: json, html or text."""
        return self._get(_path("submissions", submission, "report"), format=form).content

    def gradebook(self, batch: str) -> bytes:
        """Return a batch's grades as CSV."""
        return self._get(_path("batches", batch, "gradebook")).content

    def overview(self, batch: str, form: str = "json") -> bytes:
        """Return what a batch came to: json or html."""
        return self._get(_path("batches", batch, "overview"), format=form).content

    def cancel(self, batch: str) -> _Json:
        """Grade nothing more of a batch."""
        return _json(self._post(_path("batches", batch, "cancel")))

    def cancel_own(self, submission: str) -> _Json:
        """End the grading of one submission, where it has not ended."""
        return _json(self._post(_path("submissions", submission, "cancel")))

    def regrade(self, batch: str) -> _Json:
        """Grade a batch once more under the rubric of today; its reports are drafts until they are published."""
        return _json(self._post(_path("batches", batch, "regrade")))

    def preview(self, batch: str) -> _Json:
        """Return how many `drafts` there are, and as `changes` whose points publishing them would change."""
        return _json(self._get(_path("batches", batch, "regrade")))

    def publish(self, batch: str) -> _Json:
        """Make the drafts of a batch its reports."""
        return _json(self._post(_path("batches", batch, "publish")))

    def events(self, batch: str, after: int = 0) -> Iterator[ServerEvent]:
        """Yield what happens to a batch as it happens, up to `done`; a connection that breaks is taken up again.

        Args:
            batch: the batch's id.
            after: the id of the last event that is known already.
        """
        failures = 0
        while True:
            try:
                with self._stream(batch, after) as answer:
                    for event in _events(answer):
                        failures, after = 0, max(after, event.id)
                        yield event
                        if event.kind == "done":
                            return
                problem = "the stream of events ended early"
            except httpx.RequestError as error:
                problem = _reason(error)
            failures += 1  # also where the server ended the stream, as it does when it is shut down
            if failures >= self._attempts:
                raise SystemFault(f"{self.server}: {problem}; tried {failures} times")
            self._pause(failures)

    def _hand_in(self, path: str, files: Sequence[tuple[str, Path]], fields: Mapping[str, str]) -> _Json:
        fields = {name: value for name, value in fields.items() if value}
        key = compute_content_key(files, fields)

        def send() -> httpx.Response:
            with ExitStack() as stack:  # opened for each attempt, because the one before read some of it
                parts = [("files", (name, stack.enter_context(open_file(file)))) for name, file in files]
                return self._http.post(path, data=fields, files=parts, headers={"Idempotency-Key": key})

        return _json(self._attempt(send))

    @contextmanager
    def _stream(self, batch: str, after: int) -> Iterator[httpx.Response]:
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
        request = self._http.build_request("GET", _path("batches", batch, "events"), headers=headers)
        answer = self._attempt(lambda: self._http.send(request, stream=True))
        try:
            yield answer
        finally:
            answer.close()

    def _pages(self, path: str) -> Iterator[_Json]:
        after: str | None = None
        while True:
            page = _json(self._get(path, after=after, limit=PAGE))
            yield from page["items"]
            after = page.get("next")
            if not after:
                return

    def _get(self, path: str, **query: str | int | None) -> httpx.Response:
        wanted = {name: value for name, value in query.items() if value is not None}
        return self._attempt(lambda: self._http.get(path, params=wanted))

    def _post(self, path: str) -> httpx.Response:
        # All of these do nothing the second time, so they may be asked for again after an answer that was lost.
        return self._attempt(lambda: self._http.post(path))

    def _attempt(self, send: Callable[[], httpx.Response]) -> httpx.Response:
        """Send until there is an answer that another attempt would not change; what is no success is an error."""
        problem, asked = "", 0.0
        for attempt in range(1, self._attempts + 1):
            if attempt > 1:
                self._pause(attempt - 1, asked)
            try:
                answer = send()
            except httpx.RequestError as error:
                problem, asked = _reason(error), 0.0
                continue
            if answer.status_code not in _TRY_AGAIN:
                return self._succeeded(answer)
            problem, asked = _problem(answer), _seconds_asked_for(answer)
        raise SystemFault(f"{self.server}: {problem}; tried {self._attempts} times")

    def _pause(self, failures: int, asked: float = 0.0) -> None:
        time.sleep(min(max(self._first_pause * 2 ** (failures - 1), asked), LONGEST_PAUSE))

    def _succeeded(self, answer: httpx.Response) -> httpx.Response:
        if answer.is_success:
            return answer
        if answer.is_redirect:
            location = answer.headers.get("location", "another place")
            raise InputError(f"{self.server} points to {location}; give the address of the grading server itself")
        problem = _problem(answer)
        if answer.status_code == 401:
            raise InputError(f"{self.server} does not know the token from {self._origin}: {problem}; ask staff for one")
        kind: type[GraderError] = SystemFault if answer.is_server_error else InputError
        raise kind(f"{self.server}{answer.request.url.path}: {problem}")


def server_address(text: str) -> str:
    """Return a server's address without the slash at its end.

    Raises:
        InputError: it is none.
    """
    if not _ADDRESS.fullmatch(text.strip()):
        shown = text.rpartition("@")[2]  # without the password that may stand before it
        raise InputError(f"{shown!r} is no address of a server; give one like https://grader.example.org")
    return text.strip().rstrip("/")


def strip_token(text: str, origin: str) -> str:
    """Return a token without what surrounds it.

    Raises:
        InputError: it is none; the message does not show it.
    """
    token = text.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise InputError(f"{origin}: this is no token; give the one that `grader token create` showed")
    return token


def _path(*parts: str) -> str:
    # Quoted, because an id is whatever somebody typed.
    return "/v1/" + "/".join(quote(part, safe="") for part in parts)


def _json(answer: httpx.Response) -> _Json:
    try:
        values = answer.json()
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise InputError(f"{answer.url} does not answer as a grading server does; check the server's address")
    return values


def _reason(error: httpx.RequestError) -> str:
    return "does not answer in time" if isinstance(error, httpx.TimeoutException) else f"cannot be reached ({error})"


def _problem(answer: httpx.Response) -> str:
    """Return what problem details (RFC 9457) say, or the status where there are none."""
    try:
        answer.read()
        values = answer.json()
        text = values.get("detail") or values.get("title") or ""
        errors = [f"{each['where']}: {each['what']}" for each in values.get("errors") or ()][:_SHOWN_DETAILS]
    except (httpx.RequestError, ValueError, KeyError, TypeError, AttributeError):
        text, errors = "", []
    return "; ".join([str(text) or f"it answers {answer.status_code} {answer.reason_phrase}", *errors])


def _seconds_asked_for(answer: httpx.Response) -> float:
    asked = answer.headers.get("retry-after", "")
    return float(asked) if asked.isdecimal() else 0.0


def _events(answer: httpx.Response) -> Iterator[ServerEvent]:
    """Read a stream of events (WHATWG HTML, 9.2.6), as far as this API uses the format."""
    fields: dict[str, str] = {}
    for line in _lines(answer):
        if not line:
            if "data" in fields:
                yield _event(fields)
            fields = {}
        elif not line.startswith(":"):  # a heartbeat
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            fields[name] = f"{fields[name]}\n{value}" if name == "data" and name in fields else value


def _event(fields: Mapping[str, str]) -> ServerEvent:
    try:
        return ServerEvent(int(fields.get("id", 0)), fields.get("event", "message"), json.loads(fields["data"]))
    except ValueError as error:
        raise SystemFault(f"the server sends an event that cannot be read: {error}") from None


def _lines(answer: httpx.Response) -> Iterator[str]:
    """Yield lines; by bytes, because text of students may hold separators that only Unicode takes for line ends."""
    rest = b""
    for chunk in answer.iter_bytes():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.removesuffix(b"\r").decode("utf-8", "replace")
