"""The pages in a browser: accessible, at any width, in Korean, and inert whatever students write."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Page, expect

from grader.models.recipe import Mode
from grader.results.report import Report
from grader.service.store.queries.hand_ins import NewSubmission, accept_batch
from grader.service.store.queries.leases import Lease, finish_job
from grader.service.store.queries.regrades import create_regrade
from grader.service.store.queries.tokens import find_token
from tests.support.api_batches import claimed, graded, hand_in, zipped
from tests.support.html_pages import EVIDENCE, FULL, MARK, TRAINING, hostile, hostile_report
from tests.support.notebooks import notebook_bytes
from tests.support.web_pages import TITLE, Class, Visitor, as_written, taught

pytestmark = pytest.mark.slow

STRANGER = "http://127.0.0.1:9"  # no server listens there; requests to it are noticed
NARROW = {"width": 320, "height": 800}  # 1,280 pixels at 400 %


def paths(course: Class, who: str = "kim") -> list[str]:
    batch, submission = f"/batches/{course.batch}", f"/submissions/{course.ids[who]}"
    marking = f"{batch}/marking/{course.ids[who]}/discussion.7.2"
    parts = ("", "/overview", "/marking", "/regrade", "/export")
    return ["/", *(batch + part for part in parts), marking, submission, f"{submission}/notebooks/0", "/nowhere"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_the_pages(rich_course: Class, visit: Callable[..., Visitor], scheme: str) -> None:
    # Where no script may run, that of the test may not either.
    staff = visit(rich_course.url, color_scheme=scheme, bypass_csp=True)
    found = {"/sign-in": violations(staff.open("/sign-in"))}
    staff.sign_in(rich_course.secret("staff"))
    for path in paths(rich_course):
        found[path] = violations(staff.open(path))
    kim = visit(rich_course.url, color_scheme=scheme, bypass_csp=True)
    found["own"] = violations(kim.sign_in(rich_course.secret("kim")))
    assert {path: problems for path, problems in found.items() if problems} == {}


def test_a_page_that_some_cannot_read_would_have_been_noticed(visit: Callable[..., Visitor]) -> None:
    page = visit("").page
    page.set_content("<!doctype html><html lang=en><title>x</title><main><h1>x</h1><p style='color: #aaa'>pale")
    assert violations(page) == ['color-contrast: <p style="color: #aaa">pale</p>']


def violations(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{each['id']}: {node['html'][:200]}" for each in found for node in each["nodes"]]


def test_no_page_is_wider_than_a_phone(rich_course: Class, visit: Callable[..., Visitor]) -> None:
    staff = visit(rich_course.url, viewport=NARROW)
    staff.sign_in(rich_course.secret("staff"))
    assert {path: width for path in paths(rich_course) if (width := width_of(staff.open(path))) > NARROW["width"]} == {}
    kim = visit(rich_course.url, viewport=NARROW)
    assert width_of(kim.sign_in(rich_course.secret("kim"))) <= NARROW["width"]


def width_of(page: Page) -> int:
    width: int = page.evaluate("document.documentElement.scrollWidth")
    return width


def test_the_first_key_leads_past_what_all_pages_have(course: Class, visit: Callable[..., Visitor]) -> None:
    page = visit(course.url).sign_in(course.secret("staff"))
    expect(page.get_by_role("heading", name="Batches")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"


def test_korean_is_whole_and_a_title_is_text(course: Class, visit: Callable[..., Visitor]) -> None:
    page = visit(course.url).sign_in(course.secret("staff"), f"/batches/{course.batch}")
    expect(page.get_by_role("heading", level=1)).to_have_text(TITLE)
    assert page.title() == f"{TITLE} · Grader"


def test_submissions_are_searched_by_name_and_state(course: Class, visit: Callable[..., Visitor]) -> None:
    page = visit(course.url).sign_in(course.secret("staff"), f"/batches/{course.batch}")
    page.get_by_label("Name").fill("E")
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 of 3")).to_be_visible()
    assert page.get_by_role("rowheader").all_inner_texts() == ["lee"]
    page.get_by_label("State").select_option("failed")
    page.get_by_role("button", name="Filter").click()
    page.get_by_role("link", name="Show all").click()
    assert page.get_by_role("rowheader").all_inner_texts() == ["kim", "lee", "park"]


def test_a_batch_is_watched_live(own_course: Class, visit: Callable[..., Visitor]) -> None:
    batch = hand_in(own_course.api["staff"], "kim", "lee").json()["batch"]
    staff = visit(own_course.url)
    page = staff.sign_in(own_course.secret("staff"), f"/batches/{batch}")
    expect(page.get_by_role("status")).to_contain_text("0 of 2 done, 2 waiting")
    graded(own_course.api.store)
    expect(page.get_by_role("status")).to_contain_text("All 2 done")
    expect(page.get_by_role("row", name="kim")).to_contain_text("4 of 6")
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
    assert staff.complaints == []


def test_a_report_appears_while_its_student_waits(own_course: Class, visit: Callable[..., Visitor]) -> None:
    kim = visit(own_course.url)
    page = kim.sign_in(own_course.secret("kim"))
    upload = {"name": "내 과제.ipynb", "mimeType": "", "buffer": notebook_bytes("x = 1")}
    page.get_by_label("Your notebooks").set_input_files(upload)  # type: ignore[arg-type]
    page.get_by_role("button", name="Hand in").click()
    expect(page.get_by_role("status")).to_contain_text("waiting")
    graded(own_course.api.store)
    expect(page.get_by_text("4 of 6 points")).to_be_visible()
    expect(page.get_by_role("link", name="내 과제.ipynb", exact=True)).to_be_visible()
    page.get_by_role("link", name="Your submissions").click()
    assert page.get_by_role("rowheader").all_inner_texts() == ["내 과제.ipynb", "hw2.ipynb"]
    assert kim.strangers() == kim.complaints == []


def test_what_a_reader_opened_stays_open_while_the_page_is_kept_up(
    own_course: Class, visit: Callable[..., Visitor]
) -> None:
    assert create_regrade(own_course.api.store, own_course.batch, "r2", Mode.NONE) == 3
    page = visit(own_course.url).sign_in(own_course.secret("staff"), f"/submissions/{own_course.ids['kim']}")
    page.locator("summary", has_text="Discussion").click()
    for _ in range(2):
        with page.expect_response("**/submissions/*"):
            pass
    expect(page.get_by_text("because")).to_be_visible()
    graded(own_course.api.store, points=6, revision="r2", written=True)
    expect(page.get_by_text("There is a newer report that is not published")).to_be_visible()


def test_a_class_is_dropped_onto_the_page(own_course: Class, visit: Callable[..., Visitor]) -> None:
    page = visit(own_course.url).sign_in(own_course.secret("staff"))
    data = zipped({"kim/hw2.ipynb": notebook_bytes("x = 1"), "notes.txt": b"x"})
    dropped = page.evaluate_handle(
        "bytes => { const dropped = new DataTransfer();"
        "dropped.items.add(new File([new Uint8Array(bytes)], 'class.zip')); return dropped; }",
        list(data),
    )
    form = page.locator("form[data-drop]")
    form.dispatch_event("dragover", {"dataTransfer": dropped})
    form.dispatch_event("drop", {"dataTransfer": dropped})
    expect(page.get_by_text("class.zip, 0.0 MB")).to_be_visible()
    page.get_by_label("Title").fill("가을")
    page.get_by_role("button", name="Hand in").click()
    expect(page.get_by_role("heading", name="Accepted")).to_be_visible()
    expect(page.get_by_role("listitem").filter(has_text="notes.txt")).to_be_visible()
    page.get_by_role("link", name="Continue").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("가을")


def test_points_are_exported(course: Class, visit: Callable[..., Visitor]) -> None:
    page = visit(course.url).sign_in(course.secret("staff"), f"/batches/{course.batch}/export")
    with page.expect_download() as downloaded:
        page.get_by_role("link", name="Download CSV").click()
    assert "kim" in Path(downloaded.value.path()).read_text("utf-8")
    sheet = "Identifier,Full name,Status,Grade,Maximum Grade,Feedback comments\nParticipant 1,Kim,Submitted,-,8,\n"
    upload = {"name": "sheet.csv", "mimeType": "text/csv", "buffer": sheet.encode()}
    page.get_by_label("Moodle's grading worksheet").set_input_files(upload)  # type: ignore[arg-type]
    with page.expect_download() as downloaded:
        page.get_by_role("button", name="Fill in").last.click()
    assert "Participant 1" in Path(downloaded.value.path()).read_text("utf-8")


def test_hostile_work_runs_nothing_and_asks_nobody(hostile_course: Class, visit: Callable[..., Visitor]) -> None:
    for who in ("staff", "kim"):
        visitor = visit(hostile_course.url)
        visitor.sign_in(hostile_course.secret(who))
        for path in paths(hostile_course):
            page = visitor.open(path)
            assert page.url == hostile_course.url + path  # nothing led elsewhere
            assert not page.evaluate(f"document.documentElement.hasAttribute('{MARK}')"), path
            scripts = page.evaluate("[...document.scripts].map(script => script.getAttribute('src'))")
            assert set(scripts) <= {"/static/upload.js", "/static/live.js", "/static/marking.js"}
            foreign = "document.querySelectorAll('iframe, object, embed, base, [onerror], [onload], [ontoggle]').length"
            assert page.evaluate(foreign) == 0, path
        assert visitor.strangers() == visitor.dialogs == []
        # A refused script, style or picture would be told here.
        assert [each for each in visitor.complaints if "Content Security Policy" in each] == []


def test_the_same_text_unescaped_would_have_been_noticed(course: Class, visit: Callable[..., Visitor]) -> None:
    visitor = visit(course.url)
    page = visitor.page
    page.set_content(f"<!doctype html><body>{hostile(STRANGER).replace(chr(0xD800), '')}")
    page.wait_for_timeout(200)
    assert visitor.strangers()


def test_a_submission_shows_what_the_report_does(rich_course: Class, visit: Callable[..., Visitor]) -> None:
    page = visit(rich_course.url).sign_in(rich_course.secret("kim"), f"/submissions/{rich_course.ids['kim']}")
    expect(page.get_by_role("table", name="found, (2, 2) float32, 1 of 4 entries differ").first).to_be_visible()
    curves = page.get_by_role("img", name="accuracy by epoch")
    expect(curves).to_be_visible()
    expect(page.locator(".bar .earned").first).to_have_css("background-color", "rgb(20, 113, 58)")
    assert page.locator(".bar .earned").first.evaluate("bar => bar.clientWidth / bar.parentElement.clientWidth") > 0.2
    page.get_by_role("link", name="hw2.ipynb", exact=True).click()
    expect(page.get_by_text("mine = 'kim'")).to_be_visible()
    expect(page.locator(".notebook pre").first).to_have_css("white-space-collapse", "preserve")  # our style is loaded


@pytest.fixture(scope="module")
def rich_course(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Class]:
    """A class whose reports use every feature of a report."""

    def made(lease: Lease) -> Report:
        plain = as_written(lease)
        trained = replace(FULL.items[1], id="lenet.training", evidence={**EVIDENCE, "training": TRAINING})
        return replace(FULL, files=plain.files, items=(*FULL.items, trained, *plain.items))

    with taught(migrated, tmp_path_factory.mktemp("rich"), made) as course:
        yield course


@pytest.fixture(scope="module")
def hostile_course(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Class]:
    """A class of one student who writes active content into every field."""
    text = hostile(STRANGER)
    cells: list[dict[str, object]] = [
        {"cell_type": kind, "source": text, "metadata": {}} for kind in ("markdown", "code", "raw")
    ]
    cells[0]["attachments"] = {"x": {"image/svg+xml": f"<svg xmlns='http://www.w3.org/2000/svg'>{text}</svg>"}}
    notebook = json.dumps({"cells": cells, "nbformat": 4, "nbformat_minor": 5, "metadata": {}}).encode()
    with taught(migrated, tmp_path_factory.mktemp("hostile")) as course:
        store, names = course.api.store, {"canvas_id": text, text: text}
        token = find_token(store, course.secret("staff"))
        assert token
        new = NewSubmission("kim", text, names, [(f"{text}.ipynb", notebook)], "kim")
        batch = accept_batch(store, token, "hw2", Mode.NONE, text, [new]).batch
        (lease,) = claimed(store)
        evidence = {"kind": "discussion", "text": text, "cells": [0], "words": 3}
        written = replace(as_written(lease).items[1], title=text, message=text, evidence=evidence)
        finish_job(store, lease, replace(hostile_report(text), items=(*hostile_report(text).items, written)))
        yield Class(course.api, batch, {"kim": lease.submission})
