"""Marking over HTTP: for instructors only; students and CI see nothing that is not published."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import pytest

from tests.support.api_batches import WRITTEN, graded, hand_in
from tests.support.api_server import Api

MISSING = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def batch(api: Api) -> str:
    """A batch of kim and lee, handed in by CI, each with 4 of 6 points and 2 to be marked by hand."""
    made: str = hand_in(api["ci"], "kim", "lee").json()["batch"]
    graded(api.store, written=True)
    return made


@pytest.fixture
def kim(api: Api, batch: str) -> str:
    rows = api["staff"].get(f"/v1/batches/{batch}/submissions").json()["items"]
    return next(str(row["id"]) for row in rows if row["key"] == "kim")


def place(submission: str, item: str = WRITTEN) -> str:
    return f"/v1/submissions/{submission}/marks/{item}"


def points_everywhere(api: Api, who: str, batch: str, kim: str) -> Iterator[tuple[float, float]]:
    """Return kim's points and pending points, from every resource that this token can read."""
    client = api[who]
    shown = client.get(f"/v1/submissions/{kim}").json()["points"]
    yield shown["score"], shown["pending_points"]
    report = client.get(f"/v1/submissions/{kim}/report").json()
    yield report["score"], report["pending_points"]
    text = client.get(f"/v1/submissions/{kim}/report?format=text").text
    assert f"{report['score']} / 8 points" in text
    assert f"{report['score']}</b> <span" in client.get(f"/v1/submissions/{kim}/report?format=html").text
    if who == "kim":
        (own,) = client.get("/v1/token/submissions").json()["items"]
        yield own["points"]["score"], own["points"]["pending_points"]
        return
    rows = client.get(f"/v1/batches/{batch}/submissions").json()["items"]
    (row,) = (row["points"] for row in rows if row["key"] == "kim")
    yield row["score"], row["pending_points"]
    table = csv.DictReader(io.StringIO(client.get(f"/v1/batches/{batch}/gradebook").content.decode("utf-8-sig")))
    (entry,) = (entry for entry in table if entry["key"] == "kim")
    yield float(entry["score"]), float(entry["pending"])
    overview = client.get(f"/v1/batches/{batch}/overview").json()["submissions"]
    (summed_up,) = (each for each in overview if each["key"] == "kim")
    yield summed_up["points"], summed_up["pending_points"]


@pytest.mark.slow
def test_a_mark_is_everywhere_for_staff_and_nowhere_for_others_until_it_is_published(
    api: Api, batch: str, kim: str
) -> None:
    made = api["staff"].put(place(kim), json={"points": 1.5, "comment": "why?"})
    assert made.status_code == 200
    assert {**made.json(), "at": ""} == {"item": WRITTEN, "points": 1.5, "comment": "why?", "by": "staff", "at": ""}
    assert api["staff"].get(f"/v1/submissions/{kim}/marks").json() == {"items": [made.json()]}
    seen = {who: set(points_everywhere(api, who, batch, kim)) for who in ("staff", "ci", "kim")}
    assert seen == {"staff": {(5.5, 0)}, "ci": {(4, 2)}, "kim": {(4, 2)}}
    assert "why?" not in api["kim"].get(f"/v1/submissions/{kim}/report").text

    (change,) = api["staff"].get(f"/v1/batches/{batch}/regrade").json()["changes"]
    assert (change["key"], change["old"], change["new"]) == ("kim", 4, 5.5)
    assert api["staff"].post(f"/v1/batches/{batch}/publish").json() == {"published": 1}
    for who in ("staff", "ci", "kim"):
        assert set(points_everywhere(api, who, batch, kim)) == {(5.5, 0)}
    assert "why?" in api["kim"].get(f"/v1/submissions/{kim}/report").text


def test_a_mark_that_is_taken_back_waits_again(api: Api, batch: str, kim: str) -> None:
    api["staff"].put(place(kim), json={"points": 2})
    assert [each["key"] for each in api["staff"].get(f"/v1/batches/{batch}/unmarked").json()["items"]] == ["lee"]
    for _ in range(2):
        assert api["staff"].delete(place(kim)).status_code == 204
    found = api["staff"].get(f"/v1/batches/{batch}/unmarked?limit=1").json()
    assert found["count"] == 2
    assert [(each["key"], each["submission"], each["item"]) for each in found["items"]] == [("kim", kim, WRITTEN)]
    assert api["staff"].get(f"/v1/submissions/{kim}/marks").json() == {"items": []}


@pytest.mark.parametrize(
    ("item", "body", "kind"),
    [
        (WRITTEN, {"points": 2.5}, "unusable-input"),
        ("corr2d.values", {"points": 1}, "unusable-input"),
        ("nothing", {"points": 1}, "unusable-input"),
        (WRITTEN, {"points": -1}, "invalid-request"),
        (WRITTEN, {"points": 1, "comment": "a" * 2001}, "invalid-request"),
        (WRITTEN, {"points": 1, "by": "somebody else"}, "invalid-request"),
        (WRITTEN, {"comment": "no points"}, "invalid-request"),
        (WRITTEN, {"points": "1"}, "invalid-request"),
        (WRITTEN, [], "invalid-request"),
    ],
)
def test_what_does_not_fit_is_refused(api: Api, batch: str, kim: str, item: str, body: object, kind: str) -> None:
    answer = api["staff"].put(place(kim, item), json=body)
    assert (answer.status_code, answer.json()["type"]) == (422, f"/problems/{kind}")
    assert api["staff"].get(f"/v1/submissions/{kim}/marks").json() == {"items": []}


def test_a_body_that_is_large_or_no_json_is_refused_and_one_of_a_stranger_is_not_read(
    api: Api, batch: str, kim: str
) -> None:
    assert api["staff"].put(place(kim), content=b"[" * 70_000).status_code == 413
    for content in (b"", b"{", b"\xff", b'{"points": NaN}'):
        assert api["staff"].put(place(kim), content=content).json()["type"] == "/problems/invalid-request"
    assert api["kim"].put(place(kim), content=b"[" * 70_000).status_code == 403


def test_marking_is_for_instructors(api: Api, batch: str, kim: str) -> None:
    for who, status in (("kim", 403), ("ci", 403), ("nobody", 401)):
        assert api[who].put(place(kim), json={"points": 2}).status_code == status
        assert api[who].delete(place(kim)).status_code == status
        assert api[who].get(f"/v1/submissions/{kim}/marks").status_code == status
        assert api[who].get(f"/v1/batches/{batch}/unmarked").status_code == status
    for method, path in (
        ("PUT", place(MISSING)),
        ("DELETE", place(MISSING)),
        ("GET", f"/v1/batches/{MISSING}/unmarked"),
    ):
        assert api["staff"].request(method, path, json={"points": 1}).status_code == 404


def test_a_comment_is_text(api: Api, batch: str, kim: str) -> None:
    comment = "<script>alert(1)</script>\x00\ud800\u202e".encode("utf-8", "replace").decode()
    assert api["staff"].put(place(kim), json={"points": 2, "comment": comment}).status_code == 200
    page = api["staff"].get(f"/v1/submissions/{kim}/report?format=html").text
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)" in page
