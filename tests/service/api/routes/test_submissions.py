"""Reports are sent in the requested format, and only if they are published."""

from __future__ import annotations

import json

import jsonschema
import pytest

from grader.results.report import load_report_schema
from grader.service.store.queries.leases import finish_job
from tests.support.api_batches import claimed, graded, hand_in, hand_in_own, report
from tests.support.api_server import Api

HOSTILE = "<script>alert(1)</script> \x1b[31m \ud800"


def submitted(api: Api) -> str:
    own: str = hand_in_own(api["kim"]).json()["submission"]
    return own


@pytest.mark.parametrize(
    ("query", "accept", "media_type"),
    [
        ("", "", "application/json"),
        ("?format=html", "application/json", "text/html; charset=utf-8"),
        ("?format=text", "", "text/plain; charset=utf-8"),
        ("", "text/html", "text/html; charset=utf-8"),
        ("", "text/plain", "text/plain; charset=utf-8"),
    ],
)
def test_a_report_comes_in_the_format_that_was_asked_for(api: Api, query: str, accept: str, media_type: str) -> None:
    own = submitted(api)
    graded(api.store)
    headers = {"Accept": accept} if accept else {}
    answer = api["kim"].get(f"/v1/submissions/{own}/report{query}", headers=headers)
    assert answer.headers["content-type"] == media_type
    assert "corr2d" in answer.text
    assert answer.headers["Vary"] == "Accept"


def test_the_report_is_what_was_graded(api: Api) -> None:
    own = submitted(api)
    (lease,) = claimed(api.store)
    finish_job(api.store, lease, made := report(lease))
    answer = api["kim"].get(f"/v1/submissions/{own}/report")
    assert answer.text == made.to_json()
    jsonschema.validate(answer.json(), load_report_schema())


def test_what_a_student_wrote_commands_no_browser(api: Api) -> None:
    own = submitted(api)
    (lease,) = claimed(api.store)
    finish_job(api.store, lease, report(lease, message=HOSTILE))
    page = api["kim"].get(f"/v1/submissions/{own}/report?format=html")
    assert "<script" not in page.text
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "sandbox" in policy
    assert "script-src" not in policy
    assert "\x1b" not in api["kim"].get(f"/v1/submissions/{own}/report?format=text").text
    assert "script" in json.loads(api["kim"].get(f"/v1/submissions/{own}/report").text)["items"][0]["message"]


def test_an_unknown_format_is_refused(api: Api) -> None:
    own = submitted(api)
    assert api["kim"].get(f"/v1/submissions/{own}/report?format=pdf").status_code == 422
    answer = api["kim"].get(f"/v1/submissions/{own}/report", headers={"Accept": "application/pdf"})
    assert answer.status_code == 406


def test_a_report_that_is_not_there_yet_says_where_it_stands(api: Api) -> None:
    own = submitted(api)
    problem = api["kim"].get(f"/v1/submissions/{own}/report").json()
    assert problem["type"] == "/problems/no-report"
    assert "waiting" in problem["detail"]
    api["kim"].post(f"/v1/submissions/{own}/cancel")
    assert "cancelled" in api["kim"].get(f"/v1/submissions/{own}/report").json()["detail"]


def test_points_are_shown_once_they_are_published(api: Api) -> None:
    own = submitted(api)
    assert api["kim"].get(f"/v1/submissions/{own}").json()["points"] is None
    graded(api.store)
    found = api["kim"].get(f"/v1/submissions/{own}").json()
    assert (found["state"], found["points"]["score"], found["points"]["max_score"]) == ("graded", 4, 6)


def test_staff_see_attempts(api: Api) -> None:
    own = submitted(api)
    graded(api.store)
    (attempt,) = api["staff"].get(f"/v1/submissions/{own}/attempts").json()["items"]
    assert (attempt["number"], attempt["stage"], attempt["outcome"]) == (1, "definitions", "reported")


def test_lists_come_in_pages(api: Api) -> None:
    batches = [hand_in(api["staff"], "b", "a", "c").json()["batch"] for _ in range(3)]
    for path, expected in (
        ("/v1/batches", batches[::-1]),
        (f"/v1/batches/{batches[0]}/submissions", ["a", "b", "c"]),
    ):
        found, after = [], ""
        while after is not None:
            page = api["staff"].get(path, params={"limit": 2, "after": after}).json()
            found += [item.get("key", item["id"]) for item in page["items"]]
            after = page["next"]
        assert found == expected
    for wrong in ({"limit": 0}, {"limit": 501}, {"after": "\0"}):
        assert api["staff"].get("/v1/batches", params=wrong).status_code == 422
    assert api["staff"].get(f"/v1/batches/{batches[0]}/submissions", params={"after": "\0"}).status_code == 200
