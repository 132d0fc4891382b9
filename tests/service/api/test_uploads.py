"""Bodies are received within limits, and only from callers who may send them."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest

from grader.service.api.service import UPLOADS, UPLOADS_PER_TOKEN
from tests.support.api_batches import hand_in, hand_in_own, notebook
from tests.support.api_server import Api
from tests.support.running_service import until

BOUNDARY = "the-boundary"
HEADERS = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
START = (
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="a.ipynb"\r\n'
    "Content-Type: application/octet-stream\r\n\r\n"
).encode()
END = f"\r\n--{BOUNDARY}--\r\n".encode()


def body(content: bytes) -> bytes:
    return START + content + END


def in_chunks(whole: bytes, size: int = 2**16) -> Iterator[bytes]:
    for at in range(0, len(whole), size):
        yield whole[at : at + size]


def begun(api: Api, who: str, length: int, sent: bytes, path: str = "/v1/batches", *headers: str) -> socket.socket:
    """Begin a request and send only part of the announced body."""
    url = urlsplit(api.url)
    assert url.hostname
    assert url.port
    connection = socket.create_connection((url.hostname, url.port), timeout=30)
    token = api[who].headers.get("Authorization", "")
    lines = (
        f"POST {path} HTTP/1.1",
        "Host: grader",
        f"Authorization: {token}",
        f"Content-Type: {HEADERS['Content-Type']}",
        f"Content-Length: {length}",
        *headers,
    )
    connection.sendall("\r\n".join((*lines, "", "")).encode() + sent)
    return connection


def held(api: Api, who: str, path: str) -> socket.socket:
    """Begin an upload and wait until the server reads its body, so that it occupies a slot."""
    connection = begun(api, who, 10_000, b"", path, "Expect: 100-continue")
    answer = connection.recv(1000)
    assert answer.startswith(b"HTTP/1.1 100"), answer
    connection.sendall(START)
    return connection


@pytest.mark.parametrize("whole", [True, False], ids=["with its length", "in chunks"])
def test_a_body_past_the_limit_is_refused(api: Api, whole: bool) -> None:
    large = body(b" " * api.settings.upload_bytes)
    content = large if whole else in_chunks(large)
    answer = api["staff"].post("/v1/batches", content=content, headers=HEADERS)
    assert answer.status_code == 413
    assert answer.json()["type"] == "/problems/too-large"
    assert api["staff"].get("/v1/batches").json()["items"] == []


def test_a_body_within_the_limit_is_taken_in_chunks(api: Api) -> None:
    small = body(notebook().ljust(api.settings.upload_bytes - len(body(b""))))
    assert api["staff"].post("/v1/batches", content=in_chunks(small), headers=HEADERS).status_code == 202


@pytest.mark.parametrize(("who", "status"), [("nobody", b"401"), ("bad", b"401"), ("kim", b"403")])
def test_nobody_without_the_right_to_it_sends_a_body(api: Api, who: str, status: bytes) -> None:
    with begun(api, who, api.settings.upload_bytes, START) as connection:
        # The answer is there while the body is not.
        assert connection.recv(1000).startswith(b"HTTP/1.1 " + status)


def test_an_upload_that_breaks_off_leaves_nothing(api: Api) -> None:
    for _ in range(2 * UPLOADS):
        begun(api, "staff", 10_000, START).close()
    assert hand_in(api["staff"]).status_code == 202
    assert len(api["staff"].get("/v1/batches").json()["items"]) == 1


def test_uploads_at_once_are_few(api: Api) -> None:
    with ExitStack() as waiting:
        for who in ("ci", "kim"):
            for _ in range(UPLOADS // 2):
                waiting.enter_context(held(api, who, "/v1/submissions"))
        answer = hand_in(api["staff"])
        assert answer.json()["type"] == "/problems/unavailable"
        assert int(answer.headers["Retry-After"]) > 0
        assert api["staff"].get("/v1/batches").status_code == 200
    until(lambda: hand_in(api["staff"]).status_code == 202)  # once the server has noticed that they broke off


@pytest.mark.parametrize("charset", ["undefined", "punycode", "unicode_escape"])
def test_names_are_utf_8_and_in_no_other_codec_of_python_s(api: Api, charset: str) -> None:
    headers = {"Content-Type": f"{HEADERS['Content-Type']}; charset={charset}"}
    answer = api["staff"].post("/v1/batches", content=body(notebook()), headers=headers)
    assert answer.status_code == 415
    assert answer.json()["type"] == "/problems/unsupported-media-type"
    headers = {"Content-Type": f'{HEADERS["Content-Type"]}; charset="UTF-8"'}
    assert api["staff"].post("/v1/batches", content=body(notebook()), headers=headers).status_code == 202


def test_one_token_leaves_others_room_to_upload(api: Api) -> None:
    with ExitStack() as waiting:
        slow = [
            waiting.enter_context(begun(api, "kim", 10_000, START, "/v1/submissions"))
            for _ in range(UPLOADS_PER_TOKEN + 1)
        ]
        (refused,), _, _ = select.select(slow, [], [], 30)
        assert refused.recv(1000).startswith(b"HTTP/1.1 429")
        assert hand_in_own(api["kim"]).json()["type"] == "/problems/too-many-requests"
        assert hand_in_own(api["lee"]).status_code == 202
    until(lambda: hand_in_own(api["kim"]).status_code == 202)  # once the server has noticed that they broke off


def test_a_body_has_few_fields(api: Api) -> None:
    fields = "".join(f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="f{n}"\r\n\r\n1\r\n' for n in range(100))
    answer = api["staff"].post("/v1/batches", content=fields.encode() + body(b"{}"), headers=HEADERS)
    assert answer.status_code == 400
    assert answer.json()["type"] == "/problems/bad-request"
