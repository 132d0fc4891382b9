"""Overviews, gradebooks and regrading: published points, as tables, and after a change of the rubric."""

from __future__ import annotations

import csv
import io

import httpx
import pytest

from grader.assignment import Assignment
from grader.service.store.queries.leases import finish_job, give_back_lease
from tests.support.api_batches import claimed, graded, hand_in, notebook, zipped
from tests.support.api_server import Api
from tests.support.store_content import unreadable_report

CANVAS = "Student,ID,SIS User ID,SIS Login ID,Section,HW2 (7)\n    Points Possible,,,,,6\n{rows}"
MOODLE = "Identifier,Full name,Status,Grade,Maximum Grade,Feedback comments\nParticipant 11,Kim,Submitted,-,6,\n"


@pytest.fixture
def batch(api: Api) -> str:
    """A batch of kim, who was graded, lee, whose file is not a notebook, and park, who got a system error."""
    batch: str = hand_in(api["staff"]).json()["batch"]
    for lease in claimed(api.store):
        key = key_of(api, lease.submission)
        if key == "lee":
            finish_job(api.store, lease, unreadable_report(file="hw2.ipynb"))
        elif key == "park":
            give_back_lease(api.store, lease, "no space left on /secret", attempts=1)
        else:
            give_back_lease(api.store, lease, "again", attempts=9)
    graded(api.store, points=4.5)
    return batch


def key_of(api: Api, submission: str) -> str:
    key: str = api["staff"].get(f"/v1/submissions/{submission}").json()["key"]
    return key


def test_an_overview_sums_up_what_has_ended(api: Api, batch: str) -> None:
    found = api["staff"].get(f"/v1/batches/{batch}/overview").json()
    assert found["counts"] == {"graded": 1, "unreadable": 1, "failed": 1}
    assert found["scores"]["mean"] == 75
    assert [each["message"] for each in found["failed"]] == ["no space left on /secret"]
    page = api["staff"].get(f"/v1/batches/{batch}/overview", headers={"Accept": "text/html"})
    assert page.headers["content-type"].startswith("text/html")
    assert "sandbox" in page.headers["Content-Security-Policy"]
    assert "./reports/kim.html" in page.text


def test_a_machine_s_overview_has_no_insides(api: Api) -> None:
    batch = hand_in(api["ci"], "kim").json()["batch"]
    (lease,) = claimed(api.store)
    give_back_lease(api.store, lease, "no space left on /secret", attempts=1)
    for path in ("overview", "overview?format=html", "gradebook"):
        answer = api["ci"].get(f"/v1/batches/{batch}/{path}")
        assert answer.status_code == 200
        assert "/secret" not in answer.text


def test_a_gradebook_has_a_row_for_everybody(api: Api, batch: str) -> None:
    answer = api["staff"].get(f"/v1/batches/{batch}/gradebook")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [(row["key"], row["score"]) for row in rows] == [("kim", "4.5"), ("lee", ""), ("park", "")]
    assert rows[1]["problem"] == "hw2.ipynb: this is no notebook"


def fill_in(api: Api, batch: str, text: str | bytes, accept: str = "", **fields: str) -> httpx.Response:
    files = {"files": ("export.csv", text)}
    headers = {"Accept": accept} if accept else {}
    return api["staff"].post(f"/v1/batches/{batch}/gradebook", files=files, data=fields, headers=headers)


def from_moodle(api: Api) -> str:
    files = {"files": ("a.zip", zipped({"Kim_11_assignsubmission_file/hw2.ipynb": notebook()}))}
    batch: str = api["staff"].post("/v1/batches", files=files).json()["batch"]
    graded(api.store)
    return batch


def test_moodle_s_worksheet_is_filled_in(api: Api) -> None:
    batch = from_moodle(api)
    filled = fill_in(api, batch, MOODLE, form="moodle")
    assert filled.headers["content-type"] == "text/csv; charset=utf-8"
    assert "Participant 11,Kim,Submitted,4,6," in filled.text
    told = fill_in(api, batch, MOODLE, "application/json", form="moodle").json()
    assert told["text"] == filled.text
    assert (told["not_found"], told["without_grade"]) == ([], [])


def test_canvas_export_is_filled_in(api: Api) -> None:
    files = {
        "files": ("a.zip", zipped({"kimha_501_9001_hw2.ipynb": notebook(), "leeso_502_9002_hw2.ipynb": notebook()}))
    }
    batch = api["staff"].post("/v1/batches", files=files).json()["batch"]
    graded(api.store)
    export = CANVAS.format(rows='"Kim, Ha",501,,,1,\n')
    filled = fill_in(api, batch, export, form="canvas", title="HW2")
    assert '"Kim, Ha",501,,,1,4' in filled.text
    told = fill_in(api, batch, export, "application/json", form="canvas", title="HW2").json()
    assert len(told["not_found"]) == 1


@pytest.mark.parametrize(
    ("text", "form", "status"),
    [("nothing", "canvas", 422), (b"\xff\xfe\x00", "moodle", 422), (MOODLE, "blackboard", 422)],
)
def test_what_cannot_be_filled_in_is_refused(api: Api, text: str | bytes, form: str, status: int) -> None:
    batch = from_moodle(api)
    answer = fill_in(api, batch, text, form=form)
    assert answer.status_code == status
    assert answer.json()["detail"]


def test_a_regrade_is_looked_at_before_it_is_published(api: Api, batch: str, hw2: Assignment) -> None:
    started = api["staff"].post(f"/v1/batches/{batch}/regrade")
    assert started.status_code == 202
    assert started.json() == {"gradings": 3, "revision": hw2.revision}
    assert api["staff"].post(f"/v1/batches/{batch}/regrade").json()["gradings"] == 0
    graded(api.store, points=6, revision=hw2.revision)
    submissions = api["staff"].get(f"/v1/batches/{batch}/submissions").json()["items"]
    kim = submissions[0]
    assert (kim["points"]["score"], kim["draft"]) == (4.5, True)
    assert api["kim"].get(f"/v1/submissions/{kim['id']}").json()["draft"] is False
    report = f"/v1/submissions/{kim['id']}/report"
    assert api["kim"].get(report).json()["score"] == 4.5
    assert api["kim"].get(f"{report}?draft=true").status_code == 403
    assert api["staff"].get(f"{report}?draft=true").json()["score"] == 6
    change = {"submission": kim["id"], "key": "kim", "name": "kim", "old": 4.5, "new": 6.0}
    preview = api["staff"].get(f"/v1/batches/{batch}/regrade").json()
    # The one that could not be read has a report already, too.
    assert (preview["drafts"], [row["key"] for row in preview["changes"]]) == (2, ["kim", "lee"])
    assert preview["changes"][0] == change
    assert api["staff"].post(f"/v1/batches/{batch}/publish").json() == {"published": 2}
    assert api["kim"].get(report).json()["score"] == 6
    assert api["staff"].get(f"/v1/batches/{batch}/regrade").json() == {"drafts": 0, "changes": []}


def test_drafts_with_the_same_points_are_shown_on_demand(api: Api, hw2: Assignment) -> None:
    batch = hand_in(api["staff"], "kim").json()["batch"]
    graded(api.store)
    api["staff"].post(f"/v1/batches/{batch}/regrade?training=quick")
    graded(api.store, revision=hw2.revision)
    assert api["staff"].get(f"/v1/batches/{batch}/regrade").json() == {"drafts": 1, "changes": []}
    assert len(api["staff"].get(f"/v1/batches/{batch}/regrade?all=true").json()["changes"]) == 1
