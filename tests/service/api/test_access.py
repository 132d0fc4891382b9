"""What each role may see and do, and that hidden resources look like missing ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from grader.service.store.queries.leases import finish_job, give_back_lease
from grader.service.store.queries.tokens import revoke_token
from tests.support.api_batches import claimed, graded, hand_in, hand_in_own
from tests.support.api_server import Api
from tests.support.store_content import unreadable_report

MISSING = "0a7c9a3e-5f0e-4f43-9d1f-0d7f6f0b8c55"
OF_BATCHES = ("", "/submissions", "/events", "/overview", "/gradebook", "/regrade")
OF_SUBMISSIONS = ("", "/report", "/attempts", "/notebooks/hw2.ipynb")
DONE_TO_BATCHES = ("/cancel", "/regrade", "/publish")


def submissions_of(client: httpx.Client, batch: str) -> dict[str, str]:
    """Return each submission's id by its key."""
    items = client.get(f"/v1/batches/{batch}/submissions").json()["items"]
    return {item["key"]: item["id"] for item in items}


def told(answer: httpx.Response) -> dict[str, Any]:
    """Return a problem without the path of the request."""
    problem: dict[str, Any] = answer.json()
    del problem["instance"]
    return problem


@pytest.mark.parametrize("who", ["nobody", "bad"])
def test_without_a_token_that_holds_nothing_is_told(api: Api, who: str) -> None:
    batch = hand_in(api["staff"]).json()["batch"]
    for path in ("/v1/batches", f"/v1/batches/{batch}", "/v1/assignments", f"/v1/batches/{MISSING}"):
        answer = api[who].get(path)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_token_that_was_revoked_is_worth_nothing(api: Api) -> None:
    assert api["kim"].get("/v1/batches").status_code == 200
    revoke_token(api.store, "kim")
    assert api["kim"].get("/v1/batches").status_code == 401


@pytest.mark.parametrize("who", ["ci", "kim"])
def test_somebody_else_s_batch_answers_as_if_there_were_none(api: Api, who: str) -> None:
    batch = hand_in(api["staff"]).json()["batch"]
    paths = [("GET", path) for path in OF_BATCHES] + [("POST", path) for path in DONE_TO_BATCHES]
    for method, path in paths:
        theirs = api[who].request(method, f"/v1/batches/{batch}{path}")
        missing = api[who].request(method, f"/v1/batches/{MISSING}{path}")
        assert theirs.status_code in {403, 404}
        assert (theirs.status_code, told(theirs)) == (missing.status_code, told(missing))
    assert api[who].get("/v1/batches").json() == {"items": [], "next": None}
    assert api["staff"].get(f"/v1/batches/{batch}").json()["states"]["waiting"] == 3


@pytest.mark.parametrize("who", ["ci", "lee"])
def test_somebody_else_s_submission_answers_as_if_there_were_none(api: Api, who: str) -> None:
    batch = hand_in(api["staff"], "kim").json()["batch"]
    graded(api.store)
    kim = submissions_of(api["staff"], batch)["kim"]
    for method, path in [*(("GET", path) for path in OF_SUBMISSIONS), ("POST", "/cancel")]:
        theirs = api[who].request(method, f"/v1/submissions/{kim}{path}")
        missing = api[who].request(method, f"/v1/submissions/{MISSING}{path}")
        assert theirs.status_code in {403, 404}
        assert (theirs.status_code, told(theirs)) == (missing.status_code, told(missing))


@pytest.mark.parametrize("made_up", ["1", "..", "%00", "%F0%9F%98%80", "x" * 300, MISSING.upper()])
def test_an_id_that_can_be_none_answers_as_if_there_were_none(api: Api, made_up: str) -> None:
    assert api["staff"].get(f"/v1/submissions/{made_up}/report").status_code == 404


def test_a_student_reads_what_is_theirs_and_cancels_only_what_they_handed_in(api: Api) -> None:
    kim = submissions_of(api["staff"], hand_in(api["staff"]).json()["batch"])["kim"]
    assert api["kim"].get(f"/v1/submissions/{kim}").json()["name"] == "kim"
    assert api["kim"].post(f"/v1/submissions/{kim}/cancel").status_code == 403
    graded(api.store, kim)
    assert api["kim"].get(f"/v1/submissions/{kim}/report").json()["score"] == 4
    assert api["kim"].get(f"/v1/submissions/{kim}/notebooks/hw2.ipynb").status_code == 200
    assert api["kim"].get(f"/v1/submissions/{kim}/attempts").status_code == 403
    own = hand_in_own(api["kim"]).json()["submission"]
    assert api["kim"].post(f"/v1/submissions/{own}/cancel").json() == {"cancelled": 1}


def test_a_student_hands_in_for_themselves_only(api: Api) -> None:
    assert hand_in(api["kim"]).status_code == 403
    own = hand_in_own(api["kim"]).json()["submission"]
    assert api["kim"].get(f"/v1/submissions/{own}").status_code == 200
    assert api["staff"].get(f"/v1/submissions/{own}").status_code == 200
    assert api["lee"].get(f"/v1/submissions/{own}").status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "regrade"), ("POST", "regrade"), ("POST", "publish"), ("GET", "overview"), ("GET", "gradebook")],
)
def test_what_is_for_staff_is_for_no_student(api: Api, method: str, path: str) -> None:
    batch = hand_in_own(api["kim"]).json()["batch"]
    assert api["kim"].request(method, f"/v1/batches/{batch}/{path}").status_code == 403


@pytest.mark.parametrize(("path", "status"), [("overview", 200), ("gradebook", 200), ("regrade", 403)])
def test_a_machine_sums_up_what_it_handed_in(api: Api, path: str, status: int) -> None:
    batch = hand_in(api["ci"]).json()["batch"]
    assert api["ci"].get(f"/v1/batches/{batch}/{path}").status_code == status


def test_a_system_error_is_told_to_staff_in_full_and_to_others_in_brief(api: Api) -> None:
    own = hand_in_own(api["kim"]).json()["submission"]
    (lease,) = claimed(api.store)
    give_back_lease(api.store, lease, "no space left on /var/lib/secret", attempts=1)
    for path in ("", "/report"):
        told_to_kim = api["kim"].get(f"/v1/submissions/{own}{path}").text
        assert "a system error; course staff can see the details" in told_to_kim
        assert "secret" not in told_to_kim
        assert "no space left on /var/lib/secret" in api["staff"].get(f"/v1/submissions/{own}{path}").text
    events: Callable[[str], str] = lambda who: api[who].get(f"/v1/batches/{batch_of(api, own)}/events").text  # noqa: E731
    assert "secret" not in events("kim")


def test_what_a_student_can_repair_is_told_to_the_student(api: Api) -> None:
    own = hand_in_own(api["kim"]).json()["submission"]
    (lease,) = claimed(api.store)
    finish_job(api.store, lease, unreadable_report("this is no notebook; export it again", "hw2.ipynb"))
    found = api["kim"].get(f"/v1/submissions/{own}").json()
    assert (found["state"], found["refused"]) == ("graded", True)
    assert found["message"] == "hw2.ipynb: this is no notebook; export it again"
    for form in ("json", "html", "text"):
        assert "export it again" in api["kim"].get(f"/v1/submissions/{own}/report?format={form}").text


def batch_of(api: Api, submission: str) -> str:
    batch: str = api["staff"].get(f"/v1/submissions/{submission}").json()["batch"]
    return batch
