"""The application as a whole: its imports, its OpenAPI document, and its answers to unknown paths."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from grader.errors import InputError
from grader.service.application import make_application
from grader.service.settings import Settings
from tests.support.api_server import Api, bearer, free_port, served

GRADES = (
    "torch",
    "numpy",
    "grader.grading",
    "grader.judging",
    "grader.sandbox.guest",
    "grader.sandbox.host",
    "grader.sandbox.jail",
    "grader.testing",
    "grader.training",
)


def test_it_imports_nothing_that_grades(tmp_path: Path) -> None:
    code = (
        "import sys, json\n"
        "from grader.service.application import make_application\n"
        "from grader.service.settings import Settings\n"
        f"make_application(Settings(database='sqlite:///{tmp_path}/x', blobs='memory://x')).openapi()\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(GRADES) & set(json.loads(run.stdout))


def test_the_description_names_errors_roles_and_examples(api: Api) -> None:
    document = api["nobody"].get("/openapi.json").json()
    assert "HTTPValidationError" not in document["components"]["schemas"]
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation["tags"], path
            assert operation["summary"], path
            for status, response in operation["responses"].items():
                if status >= "400" and path != "/health/ready":
                    assert list(response["content"]) == ["application/problem+json"], (path, status)
    body = document["paths"]["/v1/batches"]["post"]["requestBody"]["content"]["multipart/form-data"]
    assert body["schema"]["required"] == ["files"]
    assert body["schema"]["properties"]["training"]["enum"] == ["none", "quick", "full"]


@pytest.mark.parametrize(
    ("method", "path", "slug"),
    [
        ("GET", "/nowhere", "not-found"),
        ("DELETE", "/v1/batches", "method-not-allowed"),
        ("GET", "/v1/batches?limit=many", "invalid-request"),
        ("POST", "/v1/batches", "unsupported-media-type"),
    ],
)
def test_every_error_is_a_problem(api: Api, method: str, path: str, slug: str) -> None:
    answer = api["staff"].request(method, path)
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["type"] == f"/problems/{slug}"
    assert problem["status"] == answer.status_code
    assert problem["instance"] == path.partition("?")[0]
    assert problem["detail"]
    explained = api["nobody"].get(problem["type"]).json()
    assert explained["title"] == problem["title"]
    assert explained["advice"]


def test_a_value_that_is_not_allowed_is_named(api: Api) -> None:
    problem = api["staff"].get("/v1/batches?limit=many").json()
    assert [error["where"] for error in problem["errors"]] == ["query.limit"]


def test_every_response_has_an_id_and_security_headers(api: Api) -> None:
    for path in ("/health/live", "/v1/batches", "/nowhere", "/metrics"):
        headers = api["staff"].get(path, headers={"X-Request-ID": "mine-1"}).headers
        assert headers["X-Request-ID"] == "mine-1"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["Cache-Control"] == "no-store"
    assert len(api["nobody"].get("/health/live", headers={"X-Request-ID": "<b>"}).headers["X-Request-ID"]) == 36


def test_a_bug_is_told_without_its_insides(started: Callable[[Settings], Api], settings: Settings) -> None:
    api = started(settings)
    with api.store.session() as session:  # what no code of ours would write
        session.connection().exec_driver_sql("UPDATE token SET role = 'nonsense' WHERE name = 'kim'")
    answer = api["kim"].get("/v1/batches")
    assert answer.status_code == 500
    assert answer.json()["type"] == "/problems/internal-error"
    assert "nonsense" not in answer.text
    assert answer.headers["X-Request-ID"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_database_that_is_away_is_no_bug_and_tells_no_secrets(settings: Settings) -> None:
    away = f"postgresql+psycopg://grader:secret@127.0.0.1:{free_port()}/grader"
    with served(replace(settings, database=away)) as url:
        answer = httpx.get(f"{url}/v1/batches", headers=bearer("any"))
        assert answer.status_code == 503
        assert answer.json()["type"] == "/problems/unavailable"
        assert int(answer.headers["Retry-After"]) > 0
        assert "127.0.0.1" not in answer.text
        assert httpx.get(f"{url}/health/live").status_code == 200
        ready = httpx.get(f"{url}/health/ready")
        assert (ready.status_code, ready.json()["status"]) == (503, "unready")
        assert ready.json()["checks"] == {"database": "down", "blobs": "ok", "broker": "down"}
        assert "grader_database_up 0.0" in httpx.get(f"{url}/metrics").text


def test_a_database_that_is_not_migrated_is_not_ready(settings: Settings) -> None:
    with served(settings) as url:
        assert httpx.get(f"{url}/health/ready").json()["checks"]["database"] == "down"


def test_health_tells_what_works(api: Api) -> None:
    assert api["nobody"].get("/health/live").json()["status"] == "alive"
    ready = api["nobody"].get("/health/ready")
    assert ready.status_code == 200
    expected = {"database": "ok", "blobs": "ok", "broker": "down"}
    assert ready.json() == {"status": "degraded", "checks": expected}


def test_with_a_broker_it_is_ready(started: Callable[[Settings], Api], settings: Settings, redis_url: str) -> None:
    api = started(replace(settings, broker=redis_url))
    assert api["nobody"].get("/health/ready").json()["status"] == "ready"


def test_metrics_have_what_the_database_has(api: Api) -> None:
    api["staff"].get("/v1/batches/made-up")
    text = api["nobody"].get("/metrics").text
    assert 'grader_gradings{state="waiting"} 0.0' in text
    assert 'grader_jobs_waiting{queue="gpu"} 0.0' in text
    assert 'grader_jobs_oldest_waiting_seconds{queue="cpu"} 0.0' in text
    assert "grader_database_up 1.0" in text
    assert 'grader_request_seconds_count{method="GET",route="/v1/batches/{batch}",status="404"} 1.0' in text
    assert "made-up" not in text


def test_assignments_show_points_and_nothing_of_how_they_are_judged(api: Api) -> None:
    (found,) = api["kim"].get("/v1/assignments").json()["items"]
    assert found == api["kim"].get("/v1/assignments/hw2").json()
    assert sum(item["points"] for item in found["items"]) == found["points"] == 100
    assert set(found["items"][0]) == {"id", "section", "title", "points"}
    assert found["modes"] == ["none", "quick", "full"]
    assert "/" not in found["name"]
    assert api["kim"].get("/v1/assignments/hw3").status_code == 404


def test_settings_that_cannot_be_used_are_refused_at_the_start(settings: Settings) -> None:
    with pytest.raises(InputError, match="GRADER_ASSIGNMENTS"):
        make_application(replace(settings, assignments=" , "))
