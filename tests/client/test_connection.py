"""A connection to a scripted server: retries, errors as sentences, broken streams.

tests/cli/test_remote.py uses the real API.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from grader.client.connection import Client, ServerEvent
from grader.errors import InputError, SystemFault

Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Script:
    """The answers, one for each request, and the received requests."""

    address: str = ""
    answers: list[Answer] = field(default_factory=list)
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def script() -> Iterator[Script]:
    """A server that sends the answers of a list."""
    script = Script()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            script.requests.append((self.command, self.path, headers, body))
            script.answers.pop(0)(self)

        do_GET = do_POST = answer  # noqa: N815 - the names that http.server looks for

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    script.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield script
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def client(script: Script) -> Iterator[Client]:
    """A client of that server with short pauses."""
    with Client(script.address, "secret-token", origin="the test", attempts=3, first_pause=0.001) as made:
        yield made


def says(status: int, body: object, **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def hangs_up(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


def streams(*chunks: bytes) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Connection", "close")
        handler.end_headers()
        for chunk in chunks:
            handler.wfile.write(chunk)
            handler.wfile.flush()
        handler.close_connection = True

    return answer


def test_the_token_is_sent_and_ids_are_quoted(script: Script, client: Client) -> None:
    script.answers = [says(200, {"id": "b"})]
    assert client.get_batch("../../admin?x=1#y") == {"id": "b"}
    _, path, headers, _ = script.requests[0]
    assert path == "/v1/batches/..%2F..%2Fadmin%3Fx%3D1%23y"
    assert headers["authorization"] == "Bearer secret-token"


@pytest.mark.parametrize("broken", [hangs_up, says(503, {}), says(502, b"<html>"), says(429, {}, Retry_After="0")])
def test_temporary_failures_are_retried(script: Script, client: Client, broken: Answer) -> None:
    script.answers = [broken, broken, says(200, {"id": "b"})]
    assert client.get_batch("b") == {"id": "b"}


def test_a_submission_with_a_lost_answer_is_sent_again_completely_with_the_same_key(
    script: Script, client: Client, tmp_path: Path
) -> None:
    notebook = tmp_path / "과제.ipynb"
    notebook.write_text('{"cells": []}', encoding="utf-8")
    script.answers = [hangs_up, says(503, {}), says(202, {"id": "b"})]
    assert client.submit([("과제.ipynb", notebook)], assignment="hw2", title="Week 3") == {"id": "b"}
    bodies = [body for *_, body in script.requests]
    assert all(b'{"cells": []}' in body and "과제.ipynb".encode() in body and b"Week 3" in body for body in bodies)
    assert all(b"training" not in body for body in bodies)
    assert len({headers["idempotency-key"] for _, _, headers, _ in script.requests}) == 1


def test_a_student_s_notebooks_are_sent_to_their_own_route(script: Script, client: Client, tmp_path: Path) -> None:
    notebook = tmp_path / "hw2.ipynb"
    notebook.write_text('{"cells": []}', encoding="utf-8")
    script.answers = [hangs_up, says(202, {"submission": "s"})]
    assert client.submit_own([("hw2.ipynb", notebook)], assignment="hw2") == {"submission": "s"}
    assert {path for _, path, _, _ in script.requests} == {"/v1/submissions"}
    assert len({headers["idempotency-key"] for _, _, headers, _ in script.requests}) == 1


def test_a_submission_is_yielded_at_each_change_until_it_has_ended(script: Script, client: Client) -> None:
    def stands(state: str, ended_at: str | None = None) -> Answer:
        return says(200, {"state": state, "ended_at": ended_at})

    script.answers = [stands("waiting"), stands("waiting"), hangs_up, stands("leased"), stands("graded", "2026-11-25")]
    found = list(client.follow_submission("s/1", pause=0.001))
    assert [each["state"] for each in found] == ["waiting", "leased", "graded"]
    assert script.answers == []
    assert {path for _, path, _, _ in script.requests} == {"/v1/submissions/s%2F1"}


def test_a_server_that_stays_down_is_a_system_fault_that_names_it(script: Script, client: Client) -> None:
    script.answers = [says(503, {"detail": "the database is away"})] * 3
    with pytest.raises(SystemFault, match=rf"{script.address}: the database is away; tried 3 times"):
        client.get_batch("b")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    absent = Client(f"http://127.0.0.1:{port}", "t", attempts=2, first_pause=0.001)
    with absent, pytest.raises(SystemFault, match=rf"127.0.0.1:{port}: cannot be reached .*; tried 2 times"):
        absent.get_batch("b")


@pytest.mark.parametrize("status", [400, 403, 404, 409, 413, 415, 422])
def test_problem_details_become_one_sentence(script: Script, client: Client, status: int) -> None:
    problem = {"title": "No", "detail": "do it otherwise", "errors": [{"where": "body.mode", "what": "is none"}]}
    script.answers = [says(status, problem)]
    with pytest.raises(InputError, match=r"do it otherwise; body\.mode: is none"):
        client.get_batch("b")
    assert len(script.requests) == 1


def test_an_unknown_token_is_reported_with_its_origin_and_not_shown(script: Script, client: Client) -> None:
    script.answers = [says(401, {"detail": "this token is not valid"})]
    with pytest.raises(InputError, match="does not know the token from the test") as caught:
        client.get_batch("b")
    assert "secret-token" not in str(caught.value)


def test_the_token_does_not_follow_a_redirect(script: Script, client: Client) -> None:
    script.answers = [says(307, {}, Location="http://elsewhere.example.org/")]
    with pytest.raises(InputError, match=r"redirects to http://elsewhere"):
        client.get_batch("b")


@pytest.mark.parametrize("body", [b"<html>welcome</html>", b"[1]", b"\xff"])
def test_a_page_of_another_server_is_refused(script: Script, client: Client, body: bytes) -> None:
    script.answers = [says(200, body)]
    with pytest.raises(InputError, match="does not answer like a grading server"):
        client.get_batch("b")


def test_a_failure_without_details_is_reported_with_its_status(script: Script, client: Client) -> None:
    script.answers = [says(500, b"oops")]
    with pytest.raises(SystemFault, match="500 Internal Server Error"):
        client.get_batch("b")
    script.answers = [says(418, ["no", "details"])]
    with pytest.raises(InputError, match="it answers 418"):
        client.get_batch("b")


def test_pages_are_joined(script: Script, client: Client) -> None:
    script.answers = [
        says(200, {"items": [{"id": 1}], "next": "c+/="}),
        says(200, {"items": [{"id": 2}], "next": None}),
    ]
    assert [each["id"] for each in client.list_submissions("b")] == [1, 2]
    assert "after=c%2B%2F%3D" in script.requests[1][1]


def test_events_do_not_depend_on_chunks(script: Script, client: Client) -> None:
    text = (
        ': ping\r\n\r\nid: 4\r\nevent: graded\r\ndata: {"detail":\r\ndata: {"name": "과\\u2028제\u2028"}}\r\n\r\n'
        "id: 5\nevent: done\ndata: {}\n\n"
    ).encode()
    script.answers = [streams(*(text[place : place + 1] for place in range(len(text))))]
    assert list(client.follow_events("b")) == [
        ServerEvent(4, "graded", {"detail": {"name": "과\u2028제\u2028"}}),
        ServerEvent(5, "done", {}),
    ]


def test_a_stream_that_breaks_goes_on_after_the_last_event(script: Script, client: Client) -> None:
    script.answers = [
        streams(b"id: 7\nevent: claimed\ndata: {}\n\nid: 8\nevent: gra"),
        hangs_up,
        says(503, {}),
        streams(b"id: 8\nevent: graded\ndata: {}\n\nid: 8\nevent: done\ndata: {}\n\n"),
    ]
    assert [(event.id, event.kind) for event in client.follow_events("b", after=3)] == [
        (7, "claimed"),
        (8, "graded"),
        (8, "done"),
    ]
    assert [headers["last-event-id"] for _, _, headers, _ in script.requests] == ["3", "7", "7", "7"]


def test_a_stream_without_events_is_given_up(script: Script, client: Client) -> None:
    script.answers = [streams(b": ping\n\n")] * 3
    with pytest.raises(SystemFault, match="ended early; tried 3 times"):
        list(client.follow_events("b"))


def test_an_event_that_cannot_be_read_is_a_system_fault(script: Script, client: Client) -> None:
    script.answers = [streams(b"id: 1\ndata: {\n\n")]
    with pytest.raises(SystemFault, match="cannot be read"):
        list(client.follow_events("b"))
