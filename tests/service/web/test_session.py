"""Signing in, the cookie, and what other sites cannot do with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.support.api_server import client
from tests.support.web_pages import Class

HTML = {"Accept": "text/html,*/*;q=0.8"}


@contextmanager
def signed_in(course: Class, who: str) -> Iterator[httpx.Client]:
    headers = {**HTML, "Cookie": f"grader_token={course.secret(who)}", "Origin": course.url}
    with client(course.url, headers) as made:
        yield made


def paths(course: Class) -> list[str]:
    batch, submission = f"/batches/{course.batch}", f"/submissions/{course.ids['kim']}"
    marking = f"{batch}/marking/{course.ids['kim']}/discussion.7.2"
    parts = ("", "/overview", "/marking", "/regrade", "/export")
    return ["/", *(batch + part for part in parts), marking, submission, f"{submission}/notebooks/0"]


def test_whoever_is_not_signed_in_is_asked_for_a_token_first(course: Class) -> None:
    with client(course.url, HTML) as nobody:
        for path in paths(course):
            answer = nobody.get(path)
            assert answer.status_code == 303, path
            assert answer.headers["Location"] == str(httpx.URL("/sign-in", params={"next": path}))


def test_the_cookie_is_for_this_site_alone_and_no_script_sees_it(course: Class) -> None:
    secret = course.secret("kim")
    with client(course.url, {**HTML, "Origin": course.url}) as browser:
        answer = browser.post("/sign-in", data={"token": f" {secret}\n", "next": "/submissions/1"})
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/submissions/1"
    name, *flags = answer.headers["Set-Cookie"].split("; ")
    assert name == f"grader_token={secret}"
    assert {flag.lower() for flag in flags} == {"httponly", "samesite=strict", "path=/"}


def test_the_cookie_is_secure_where_the_site_is(course: Class) -> None:
    headers = {**HTML, "Origin": course.url, "X-Forwarded-Proto": "https"}
    with client(course.url, headers) as browser:
        answer = browser.post("/sign-in", data={"token": course.secret("kim")})
    assert "secure" in answer.headers["Set-Cookie"].lower().split("; ")


def test_a_wrong_token_gets_no_cookie_and_is_told_what_to_do(course: Class) -> None:
    with client(course.url, {**HTML, "Origin": course.url}) as browser:
        answer = browser.post("/sign-in", data={"token": "grader_wrong"})
    assert answer.status_code == 401
    assert "Set-Cookie" not in answer.headers
    assert "ask course staff for a new one" in answer.text
    assert "grader_wrong" not in answer.text


@pytest.mark.parametrize("then", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:x", "x", ""])
def test_signing_in_leads_to_no_other_site(course: Class, then: str) -> None:
    with client(course.url, {**HTML, "Origin": course.url}) as browser:
        answer = browser.post("/sign-in", data={"token": course.secret("kim"), "next": then})
    assert answer.headers["Location"] == "/"


def test_signing_out_forgets_the_token(course: Class) -> None:
    with signed_in(course, "kim") as kim:
        answer = kim.post("/sign-out")
    assert answer.headers["Location"] == "/sign-in"
    assert 'grader_token=""' in answer.headers["Set-Cookie"]
    assert "Max-Age=0" in answer.headers["Set-Cookie"]


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": ""}])
def test_what_another_site_sends_is_refused(course: Class, headers: dict[str, str]) -> None:
    with signed_in(course, "staff") as staff:
        answer = staff.post(f"/batches/{course.batch}/publish", headers=headers)
    assert answer.status_code == 403
    assert "sent from another site" in answer.text


def test_what_says_nothing_of_where_it_is_from_is_refused(course: Class) -> None:
    with client(course.url, {**HTML, "Cookie": f"grader_token={course.secret('staff')}"}) as staff:
        assert staff.post(f"/batches/{course.batch}/cancel").status_code == 403
        same = {"Sec-Fetch-Site": "same-origin"}
        assert staff.post(f"/batches/{course.batch}/cancel", headers=same).status_code == 303


def test_the_cookie_opens_no_door_of_the_api_and_the_api_s_token_none_of_the_pages(course: Class) -> None:
    with signed_in(course, "staff") as staff:
        assert staff.get("/v1/batches").status_code == 401
    assert course.api["staff"].get("/", headers=HTML).status_code == 303


def test_every_page_has_a_strict_policy_and_no_token_in_it(course: Class) -> None:
    with signed_in(course, "staff") as staff:
        for path in [*paths(course), "/nowhere", "/batches/nothing"]:
            answer = staff.get(path)
            policy = answer.headers["Content-Security-Policy"]
            assert policy.startswith("default-src 'none'"), path
            assert "unsafe" not in policy, path
            assert "frame-ancestors 'none'" in policy, path
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["Referrer-Policy"] == "same-origin"
            assert course.secret("staff") not in answer.text
            assert "style=" not in answer.text
            assert "<style" not in answer.text


def test_a_notebook_s_page_runs_nothing_at_all(course: Class) -> None:
    with signed_in(course, "kim") as kim:
        answer = kim.get(f"/submissions/{course.ids['kim']}/notebooks/0")
    policy = answer.headers["Content-Security-Policy"].split("; ")
    assert "script-src 'self'" not in policy
    assert "sandbox allow-same-origin allow-downloads" in policy


def test_a_student_sees_what_is_theirs_and_nothing_else(course: Class) -> None:
    with signed_in(course, "kim") as kim:
        assert kim.get(f"/submissions/{course.ids['kim']}").status_code == 200
        others = [
            f"/submissions/{course.ids['lee']}",
            f"/submissions/{course.ids['lee']}/notebooks/0",
            f"/submissions/{course.ids['lee']}/notebooks/0/file",
            f"/batches/{course.batch}",
            "/submissions/00000000-0000-0000-0000-000000000000",
        ]
        answers = [kim.get(path) for path in others]
        assert {answer.status_code for answer in answers} == {404}
        assert len({answer.text for answer in answers}) == 1  # pages that are hidden look like pages that do not exist
        for part in ("overview", "marking", "regrade", "export", "gradebook"):
            assert kim.get(f"/batches/{course.batch}/{part}").status_code in {403, 404}
        for part in ("regrade", "publish", f"marking/{course.ids['kim']}/discussion.7.2"):
            sent = {"training": "none", "points": "2"}
            assert kim.post(f"/batches/{course.batch}/{part}", data=sent).status_code in {403, 404}


def test_a_notebook_is_sent_as_it_was_handed_in(course: Class) -> None:
    with signed_in(course, "kim") as kim:
        answer = kim.get(f"/submissions/{course.ids['kim']}/notebooks/0/file")
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert b"mine = 'kim'" in answer.content
    with signed_in(course, "kim") as kim:
        assert kim.get(f"/submissions/{course.ids['kim']}/notebooks/1").status_code == 404


@pytest.mark.parametrize("path", ["/nowhere", "/batches/nothing", "/submissions/1/notebooks/many", "/static/none.css"])
def test_an_error_is_a_page_for_people_and_problem_details_for_programs(course: Class, path: str) -> None:
    with signed_in(course, "staff") as staff:
        page = staff.get(path)
        problem = staff.get(path, headers={"Accept": "*/*"})
    assert page.status_code == problem.status_code
    assert page.status_code in {404, 422}
    assert page.headers["content-type"].startswith("text/html")
    assert problem.headers["content-type"] == "application/problem+json"


def test_a_bug_is_a_page_without_its_insides(own_course: Class) -> None:
    with own_course.api.store.session() as session:  # what no code of ours would write
        session.connection().exec_driver_sql("UPDATE token SET role = 'nonsense' WHERE name = 'kim'")
    with signed_in(own_course, "kim") as kim:
        answer = kim.get("/")
    assert answer.status_code == 500
    assert "tell course staff" in answer.text
    assert "nonsense" not in answer.text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_an_upload_that_cannot_be_used_says_why(course: Class) -> None:
    with signed_in(course, "kim") as kim:
        answer = kim.post("/submissions", files={"files": ("essay.docx", b"x")}, data={"training": "none"})
    assert answer.status_code == 200
    assert "essay.docx: this is a Word document, not a notebook; hand in the notebook itself" in answer.text


def test_a_form_that_is_sent_twice_is_one_batch(course: Class) -> None:
    files = {"files": ("hw2.ipynb", b'{"cells": [], "nbformat": 4, "metadata": {}}')}
    places = set()
    with signed_in(course, "kim") as kim:
        for _ in range(2):
            once = {"once": "0a7c9a3e-5f0e-4f43-9d1f-0d7f6f0b8c55"}
            answer = kim.post("/submissions", params=once, files=files, data={"training": "none"})
            places.add(answer.headers.get("Location"))
    assert len(places) == 1


def test_a_body_that_is_too_large_is_not_read(course: Class) -> None:
    with signed_in(course, "staff") as staff:
        answer = staff.post(f"/batches/{course.batch}/regrade", data={"training": "x" * 2**18})
    assert answer.status_code == 413


def test_pages_are_counted_by_their_patterns(course: Class) -> None:
    with signed_in(course, "staff") as staff:
        staff.get(f"/batches/{course.batch}/export")
        staff.get("/nowhere/at/all")
        metrics = staff.get("/metrics").text
    assert 'route="/batches/{batch}/export"' in metrics
    assert course.batch not in metrics
    assert "/nowhere" not in metrics
