"""Reports in a browser: what lost points comes first, beside its code, which is one click away, at any width."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import FloatRect, Locator, Page, expect

from grader.place import Place
from grader.render import render_html
from grader.results.report import File, ItemResult, Report, Verdict
from grader.results.source_cells import SourceCell
from grader.sandbox.protocol.layers import LayerStatus
from grader.service.store.queries.leases import Lease
from tests.support.html_pages import EVIDENCE
from tests.support.web_pages import Class, Visitor, as_written, taught

pytestmark = pytest.mark.slow

WIDE, PHONE = {"width": 1280, "height": 800}, {"width": 375, "height": 800}
LONG = "$$" + "x_i + " * 40 + "y$$\n\n" + "|" + "long_name | " * 12 + "\n" + "|---" * 12 + "|\n\n"
FORMULA = "$$y = \\frac{a}{b}$$\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n[a link](https://example.org)\n\n" + LONG
WORDS = [["X", "the input (row, column)"], ["found", "the output"]]
ITEMS = (
    ItemResult("right", "7.1", "Right", 1, 1, Verdict.PASSED, "right", "hw2.ipynb", 0),
    ItemResult(
        *("discussion.7.1", "7.1", "Discussion", 0, 1, Verdict.PENDING, "waits for a person", "hw2.ipynb", 0),
        evidence={"kind": "discussion", "text": FORMULA, "cells": [{"file": "hw2.ipynb", "cell": 0}]},
    ),
    ItemResult(
        *("corr2d_multi_in", "7.4", "Channels", 0, 4, Verdict.FAILED, "because of corr2d (corr2d.values)"),
        because_of="corr2d.values",
        would_earn=4,
    ),
    ItemResult(
        *("corr2d.values", "7.2.1", "Values", 0, 6, Verdict.FAILED, "wrong in 8 of 11 cases", "hw2.ipynb", 0),
        evidence={**EVIDENCE, "symbols": WORDS},
        line=1,
        code="mine = 'kim'",
    ),
)
CELLS = (
    *(SourceCell("code", f"x{number} = {number}\n" * 8) for number in range(20)),
    SourceCell("code", "# " + "a long line " * 40 + "\ndef corr2d(X, K):\n    return Y\n"),
    SourceCell("markdown", FORMULA),
)


def report_with_code() -> Report:
    place = Place("hw2.ipynb", 20, 3, "return Y")
    items = tuple(item.stand_at(place) if item.id == "corr2d.values" else item for item in ITEMS)
    return Report("hw2", "Homework 2", "revision", (File("hw2.ipynb", "0" * 64, len(CELLS)),), items)


@pytest.fixture
def open_report(visit: Callable[..., Visitor], tmp_path: Path) -> Callable[..., Page]:
    """Open a report as the file that a student gets."""
    file = tmp_path / "report.html"
    file.write_text(render_html(report_with_code(), {"hw2.ipynb": CELLS}), encoding="utf-8")

    def opened(**options: object) -> Page:
        return visit(file.as_uri(), **options).open("")

    return opened


@pytest.fixture(scope="module")
def course(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Class]:
    """A class whose reports name lines, and say how the sandbox held."""

    def made(lease: Lease) -> Report:
        layers = (LayerStatus("seccomp", True), LayerStatus("cgroup", False, "not delegated"))
        return replace(as_written(lease), items=ITEMS, layers=layers)

    with taught(migrated, tmp_path_factory.mktemp("reports"), made) as course:
        yield course


def box(found: Locator) -> FloatRect:
    measured = found.bounding_box()
    assert measured
    return measured


def is_beside(page: Page) -> bool:
    """Return whether an item's code stands at the right of its message and evidence, and not below them."""
    item = page.locator("details", has_text="wrong in 8 of 11 cases")
    told, source, shown = (box(item.locator(part)) for part in (".told", ".source", ".shown"))
    below = source["y"] >= told["y"] + told["height"] - 1 and shown["y"] >= source["y"] + source["height"] - 1
    beside = source["x"] >= told["x"] + told["width"] - 1 and source["y"] < told["y"] + told["height"]
    assert beside != below
    return beside


def require_no_scrolling(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_a_link_leads_from_an_item_to_its_cell(open_report: Callable[..., Page]) -> None:
    page = open_report(viewport=WIDE)
    link = page.get_by_role("link", name="hw2.ipynb, cell 21 of 22, line 3", exact=True)
    cell = page.locator("#cell-21")
    expect(cell).not_to_be_in_viewport()
    link.click()
    expect(cell).to_be_in_viewport()
    expect(cell).to_contain_text("def corr2d(X, K):")
    expect(cell).not_to_have_css("outline-style", "none")


def test_the_line_is_marked_in_the_code_beside_the_result(open_report: Callable[..., Page]) -> None:
    page = open_report(viewport=WIDE)
    marked = page.locator(".source .marked")
    expect(marked).to_have_count(1)
    expect(marked).to_contain_text("return Y")
    other = page.locator(".source .row").first
    assert marked.evaluate("row => getComputedStyle(row, '::before').content") == '"3"'
    colours = [each.evaluate("row => getComputedStyle(row).backgroundColor") for each in (marked, other)]
    assert colours[0] != colours[1]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_code_and_result_stand_side_by_side_and_on_a_phone_one_below_the_other(
    open_report: Callable[..., Page], scheme: str
) -> None:
    for viewport, beside in ((WIDE, True), (PHONE, False)):
        page = open_report(viewport=viewport, color_scheme=scheme, bypass_csp=True)
        assert is_beside(page) == beside
        page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
        require_no_scrolling(page)
        problems = Axe().run(page).response["violations"]
        assert [f"{each['id']}: {node['html'][:200]}" for each in problems for node in each["nodes"]] == []


def test_items_that_lost_points_come_first_and_their_cause_before_them(open_report: Callable[..., Page]) -> None:
    page = open_report(viewport=WIDE)
    tops = [box(page.locator(f"[id='item-{name}']"))["y"] for name in ("corr2d.values", "corr2d_multi_in", "right")]
    assert tops == sorted(tops)
    mend = page.get_by_text("Mend first: corr2d, 1 item hangs on it")
    assert box(mend)["y"] < tops[0]
    assert [
        page.locator(f"[id='item-{name}']").get_attribute("open") is None for name in ("corr2d.values", "right")
    ] == [
        False,
        True,
    ]
    expect(page.get_by_text("4 of 4 with a right corr2d")).to_be_visible()
    expect(page.locator("figure", has_text="the input").first).to_be_visible()


def test_formulas_of_answers_are_drawn(open_report: Callable[..., Page]) -> None:
    page = open_report(viewport=WIDE)
    page.locator("summary", has_text="Discussion").click()
    require_formula(page.locator(".written"))
    expect(page.locator(".written td")).to_have_text(["1", "2"])


def require_formula(text: Locator) -> None:
    """Require that a fraction is drawn as one: its two parts below each other."""
    above, under = text.locator("mfrac > *").all()
    assert box(above)["y"] + box(above)["height"] <= box(under)["y"] + 1
    assert box(above)["height"] > 3


def test_the_page_of_a_submission_shows_the_same(course: Class, visit: Callable[..., Visitor]) -> None:
    path = f"/submissions/{course.ids['kim']}"
    for viewport, beside in ((WIDE, True), (PHONE, False)):
        visitor = visit(course.url, viewport=viewport)
        page = visitor.sign_in(course.secret("kim"), path)
        assert is_beside(page) == beside
        require_no_scrolling(page)
        expect(page.locator(".source .marked")).to_contain_text("mine = 'kim'")
        expect(page.get_by_text("not delegated")).to_have_count(0)
        expect(page.get_by_text("Sandbox, without")).to_have_count(0)
        page.get_by_role("link", name="hw2.ipynb, cell 1, line 1", exact=True).click()
        expect(page.locator("#cell-1")).to_be_in_viewport()
        assert page.url.endswith(f"{path}/notebooks/0#cell-1")
        assert visitor.complaints == visitor.strangers() == []


def test_staff_see_the_sandbox_folded_at_the_end_and_mark_formulas(
    course: Class, visit: Callable[..., Visitor]
) -> None:
    visitor = visit(course.url, viewport=PHONE)
    page = visitor.sign_in(course.secret("staff"), f"/submissions/{course.ids['kim']}")
    expect(page.get_by_text("Sandbox, without 1 of 2 layers")).to_be_visible()
    expect(page.get_by_text("not delegated")).to_be_hidden()
    visitor.open(f"/batches/{course.batch}/marking/{course.ids['kim']}/discussion.7.1")
    require_formula(page.locator(".markdown"))
    require_no_scrolling(page)
    page.get_by_role("link", name="cell 1").click()
    expect(page.locator("#cell-1")).to_be_in_viewport()
    assert visitor.complaints == visitor.strangers() == []
