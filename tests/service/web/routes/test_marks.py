"""Marking by keyboard: digits, Enter, c, Escape and n."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from grader.service.store.queries.marks import find_marks, find_unmarked
from grader.service.web.routes.marks import list_steps
from tests.support.web_pages import Class, Visitor

pytestmark = pytest.mark.slow

ITEM = "discussion.7.2"


def heading(page: Page, name: str) -> None:
    expect(page.get_by_role("heading", level=2)).to_have_text(f"{name} Report")
    page.wait_for_load_state()  # of the script that hears keys


def test_a_class_is_marked_by_keyboard_alone(own_course: Class, visit: Callable[..., Visitor]) -> None:
    staff = visit(own_course.url)
    page = staff.sign_in(own_course.secret("staff"), f"/batches/{own_course.batch}/marking")
    expect(page.get_by_text("0 of 3 marked")).to_be_visible()
    page.get_by_role("link", name="Mark next answer").focus()
    page.keyboard.press("Enter")
    heading(page, "kim")
    expect(page.get_by_text("because")).to_be_visible()
    page.keyboard.press("n")  # skipped
    heading(page, "lee")
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    heading(page, "park")
    page.keyboard.press("1")
    page.keyboard.press("c")
    page.keyboard.type("왜 그런가? 1\nn")
    page.keyboard.press("Escape")
    expect(page.get_by_role("radio", name="1 1")).to_be_focused()
    page.keyboard.press("c")
    page.keyboard.press("Control+Enter")
    heading(page, "kim")
    expect(page.get_by_text("2 of 3 marked")).to_be_visible()
    page.keyboard.press("0")
    page.keyboard.press("Enter")
    expect(page.get_by_text("All 3 marked")).to_be_visible()
    given = {who: find_marks(own_course.api.store, id_) for who, id_ in own_course.ids.items()}
    assert {who: (mark.points, mark.comment, mark.by) for who, (mark,) in given.items()} == {
        "kim": (0, "", "staff"),
        "lee": (2, "", "staff"),
        "park": (1, "왜 그런가? 1\nn", "staff"),
    }
    assert staff.complaints == staff.dialogs == []


def test_a_mark_can_be_changed_and_taken_back(own_course: Class, visit: Callable[..., Visitor]) -> None:
    place = f"/batches/{own_course.batch}/marking/{own_course.ids['lee']}/{ITEM}"
    page = visit(own_course.url).sign_in(own_course.secret("staff"), place)
    page.get_by_role("radio", name="2 2").check()
    page.get_by_label("Comment").fill("</textarea><script>1</script>")
    page.get_by_role("button", name="Save").click()
    heading(page, "park")
    page.goto(own_course.url + place)
    expect(page.get_by_role("radio", name="2 2")).to_be_checked()
    expect(page.get_by_label("Comment")).to_have_value("</textarea><script>1</script>")
    page.get_by_role("button", name="Remove the mark").click()
    expect(page.get_by_role("button", name="Remove the mark")).to_have_count(0)
    assert len(find_unmarked(own_course.api.store, own_course.batch)) == 3


def test_marks_work_without_a_script(own_course: Class, visit: Callable[..., Visitor]) -> None:
    staff = visit(own_course.url, java_script_enabled=False)
    page = staff.sign_in(own_course.secret("staff"), f"/batches/{own_course.batch}/marking")
    page.get_by_role("link", name="Mark next answer").click()
    page.get_by_role("radio", name="1 1").check()
    page.get_by_role("button", name="Save and continue").click()
    heading(page, "lee")


def test_publishing_shows_marks_to_students(own_course: Class, visit: Callable[..., Visitor]) -> None:
    place = f"/batches/{own_course.batch}/marking/{own_course.ids['kim']}/{ITEM}"
    page = visit(own_course.url).sign_in(own_course.secret("staff"), place)
    page.get_by_role("radio", name="1 1").check()
    page.get_by_label("Comment").fill("say why")
    page.get_by_role("button", name="Save").click()
    heading(page, "lee")
    kim = visit(own_course.url).sign_in(own_course.secret("kim"), f"/submissions/{own_course.ids['kim']}")
    expect(kim.get_by_text("2 points still to be decided")).to_be_visible()
    assert "say why" not in kim.content()
    page.goto(f"{own_course.url}/batches/{own_course.batch}/regrade")
    expect(page.get_by_role("row", name="kim")).to_have_text("kim45+1")
    page.get_by_role("button", name="Publish 1 submission").click()
    expect(page.get_by_role("status")).to_have_text("Published: 1.")
    kim.reload()
    assert "say why" in kim.content()
    assert "staff" not in kim.content()


@pytest.mark.parametrize(
    ("most", "steps"),
    [
        (0.75, [0, 0.25, 0.5, 0.75]),
        (2, [0, 1, 2]),
        (2.5, [0, 0.5, 1, 1.5, 2, 2.5]),
        (9, list(range(10))),
        (10, [0, 2.5, 5, 7.5, 10]),
        (0.3, [0, 0.075, 0.15, 0.225, 0.3]),
        (0, [0]),
    ],
)
def test_every_key_is_a_step_to_all_points(most: float, steps: list[float]) -> None:
    assert list_steps(most) == steps
