"""The API follows its OpenAPI description for every role: no 5xx, no undocumented response."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import httpx
import hypothesis
import pytest
import schemathesis
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from grader.service.settings import Settings
from grader.service.store.database import migrate
from tests.support.api_batches import WRITTEN, graded, hand_in, hand_in_own, notebook, zipped
from tests.support.api_server import Api
from tests.support.postgresql import PostgresServer, server

EXAMPLES = 8  # of each operation, role, and kind of request
# Left out is what asks for more than a description can tell: which files hold notebooks, and who may do what.
CHECKS = [
    schemathesis.checks.not_a_server_error,
    allow_header_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
]
# The tests set the token. The end of a body is between the client and uvicorn, which rejects nonsense itself.
NOT_DRAWN = {"authorization", "content-length", "transfer-encoding"}
NAMES = {"name": ["hw2.ipynb", "hw2"], "slug": ["not-found"], "item": [WRITTEN]}


def places(api: Api) -> dict[str, list[str]]:
    """Return existing ids by the names of path parameters: of a class's batch, and of a student's own."""
    batch = hand_in(api["staff"]).json()["batch"]
    own = hand_in_own(api["kim"]).json()
    graded(api.store, written=True)
    items = api["staff"].get(f"/v1/batches/{batch}/submissions").json()["items"]
    return {"batch": [batch, own["batch"]], "submission": [*(item["id"] for item in items), own["submission"]], **NAMES}


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgresServer]:
    with server() as running:
        yield running


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize(
    ("who", "kind"), [("staff", "postgresql"), ("ci", "sqlite"), ("kim", "postgresql"), ("nobody", "sqlite")]
)
def test_whatever_is_asked_is_answered_as_described(
    request: pytest.FixtureRequest,
    started: Callable[[Settings], Api],
    settings: Settings,
    who: str,
    kind: str,
    mode: schemathesis.GenerationMode,
) -> None:
    if kind == "postgresql":
        settings = replace(settings, database=request.getfixturevalue("postgresql").create())
        migrate(settings)
    api = started(settings)
    description = schemathesis.openapi.from_dict(api["nobody"].get("/openapi.json").json())
    still = places(api)  # what is streamed must have ended, so no test changes it
    changing = places(api)
    for found in description.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        known = still if operation.path.endswith("/events") else changing
        with suppress(Unsatisfiable):  # if everything is allowed, no request can be wrong
            _ask(api, who, operation, mode, known)


def _ask(
    api: Api, who: str, operation: Any, mode: schemathesis.GenerationMode, known: Mapping[str, Sequence[str]]
) -> None:
    @hypothesis.seed(5)
    @hypothesis.settings(
        max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(hypothesis.HealthCheck)
    )
    @hypothesis.given(operation.as_strategy(generation_mode=mode), st.data())
    def ask(case: Any, data: st.DataObject) -> None:
        for name in case.path_parameters or {}:
            if data.draw(st.booleans()):
                case.path_parameters[name] = data.draw(st.sampled_from(known[name]))
        case.headers = {name: value for name, value in (case.headers or {}).items() if name.lower() not in NOT_DRAWN}
        token = {name: value for name, value in api[who].headers.items() if name == "authorization"}
        answer = case.call(base_url=api.url, headers=token)
        case.validate_response(answer, checks=CHECKS)

    ask()


@pytest.mark.slow
@pytest.mark.parametrize("who", ["staff", "ci", "kim", "nobody"])
def test_uploads_are_answered_as_described(api: Api, who: str) -> None:
    document = api["nobody"].get("/openapi.json").json()
    description = schemathesis.openapi.from_dict(document)
    batch = places(api)["batch"][0]
    bodies: list[Any] = [
        {"files": ("a.zip", zipped({"kim/hw2.ipynb": notebook()}))},
        {"files": ("a.ipynb", notebook())},
        {"files": ("a.csv", "Student,ID\n")},
        {"files": ("a.zip", b"PK\x03\x04junk")},
        {"title": ("a", b"")},
    ]
    for path in ("/v1/batches", "/v1/submissions", "/v1/batches/{batch}/gradebook"):
        for files in bodies:
            for data in ({}, {"form": "moodle"}, {"form": "canvas"}):
                answer: httpx.Response = api[who].post(path.replace("{batch}", batch), files=files, data=data)
                assert answer.status_code < 500
                answer.request.read()  # for those who describe what did not validate
                assert str(answer.status_code) in document["paths"][path]["post"]["responses"]
                description[path]["POST"].validate_response(answer)
