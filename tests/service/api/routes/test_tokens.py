"""The caller's token, and the list of the person's own submissions."""

from __future__ import annotations

import pytest

from grader.service.store.queries.leases import give_back_lease
from tests.support.api_batches import claimed, graded, hand_in, hand_in_own
from tests.support.api_server import Api


@pytest.mark.parametrize(
    ("who", "role", "person"), [("staff", "instructor", ""), ("ci", "ci", ""), ("kim", "student", "kim")]
)
def test_a_token_tells_who_it_is_and_nothing_more(api: Api, who: str, role: str, person: str) -> None:
    assert api[who].get("/v1/token").json() == {"name": who, "role": role, "person": person}


@pytest.mark.parametrize("who", ["nobody", "bad"])
def test_nobody_is_told_of_without_a_token_that_holds(api: Api, who: str) -> None:
    for path in ("/v1/token", "/v1/token/submissions"):
        assert api[who].get(path).status_code == 401


def test_a_student_sees_their_own_whoever_handed_it_in_and_nobody_else_s(api: Api) -> None:
    hand_in(api["staff"], "kim", "lee", "park")
    own = hand_in_own(api["kim"]).json()["submission"]
    hand_in_own(api["lee"])
    graded(api.store, own, points=5)
    newest, earlier = api["kim"].get("/v1/token/submissions").json()["items"]
    assert (newest["id"], newest["state"], newest["points"]["score"]) == (own, "graded", 5)
    assert (earlier["key"], earlier["state"], earlier["points"]) == ("kim", "waiting", None)
    told = api["kim"].get("/v1/token/submissions").text
    assert "lee" not in told
    assert "park" not in told


@pytest.mark.parametrize("who", ["staff", "ci"])
def test_who_is_no_student_has_none(api: Api, who: str) -> None:
    hand_in(api["staff"])
    hand_in_own(api[who])
    assert api[who].get("/v1/token/submissions").json() == {"items": [], "next": None}


def test_a_system_error_stays_brief_in_the_list(api: Api) -> None:
    hand_in_own(api["kim"])
    (lease,) = claimed(api.store)
    give_back_lease(api.store, lease, "no space left on /var/lib/secret", attempts=1)
    (item,) = api["kim"].get("/v1/token/submissions").json()["items"]
    assert (item["state"], item["message"]) == ("failed", "a system error; course staff can see the details")


def test_pages_hold_each_submission_once_newest_first(api: Api) -> None:
    ids = [hand_in_own(api["kim"], f"x = {number}").json()["submission"] for number in range(5)]
    hand_in_own(api["lee"])
    found, after = [], ""
    while after is not None:
        answer = api["kim"].get("/v1/token/submissions", params={"limit": 2, "after": after}).json()
        found += [item["id"] for item in answer["items"]]
        after = answer["next"]
    assert found == ids[::-1]
    assert api["kim"].get("/v1/token/submissions", params={"after": "\0"}).status_code == 422


def test_somebody_else_s_id_leads_as_far_as_one_that_does_not_exist(api: Api) -> None:
    hand_in_own(api["kim"])
    lee = hand_in_own(api["lee"]).json()["submission"]
    for after in (lee, "0a7c9a3e-5f0e-4f43-9d1f-0d7f6f0b8c55"):
        answer = api["kim"].get("/v1/token/submissions", params={"after": after})
        assert (answer.status_code, answer.json()) == (200, {"items": [], "next": None})
