"""The page of a notebook shows the executed notebook, and nothing of its outputs runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from grader.models.recipe import Mode
from grader.service.store.queries.hand_ins import NewSubmission, accept_batch
from grader.service.store.queries.leases import finish_job
from grader.service.store.queries.tokens import find_token
from grader.submission.executed_notebook import ExecutedNotebook
from tests.support.api_batches import claimed
from tests.support.html_pages import MARK, hostile
from tests.support.web_pages import Class, Visitor, as_written, taught

pytestmark = pytest.mark.slow

STRANGER = "http://127.0.0.1:9"
# One point.
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SCRIPT = f"document.documentElement.setAttribute('{MARK}', 1)"
DRAWING = (
    f'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9" onload="{SCRIPT}"><script>{SCRIPT}</script>'
    f'<image href="{STRANGER}/image" width="9" height="9"/></svg>'
)
HOSTILE = hostile(STRANGER).replace("\ud800", "")
OUTPUTS: list[dict[str, Any]] = [
    {"output_type": "stream", "name": "stdout", "text": "shown here\n"},
    {"output_type": "display_data", "data": {"text/plain": "a plot", "image/png": PNG}, "metadata": {}},
    {
        "output_type": "display_data",
        "data": {"text/html": "<table><tr><td>of a table</td></tr></table>"},
        "metadata": {},
    },
    {"output_type": "display_data", "data": {"text/markdown": "**strong words**"}, "metadata": {}},
]
FORGED: list[dict[str, Any]] = [
    {"output_type": "stream", "name": "stdout", "text": HOSTILE},
    {"output_type": "display_data", "data": {"text/html": HOSTILE, "text/plain": HOSTILE}, "metadata": {}},
    {"output_type": "display_data", "data": {"text/html": f"<td>{HOSTILE}</td></div><h1>over"}, "metadata": {}},
    {"output_type": "display_data", "data": {"text/markdown": HOSTILE}, "metadata": {}},
    {"output_type": "display_data", "data": {"image/svg+xml": DRAWING, "text/plain": "a drawing"}, "metadata": {}},
    {"output_type": "display_data", "data": {"image/svg+xml": f"<svg>{HOSTILE}</svg>"}, "metadata": {}},
    {"output_type": "display_data", "data": {"image/png": f'x" onerror="{MARK}'}, "metadata": {}},
    {"output_type": "error", "ename": HOSTILE, "evalue": HOSTILE, "traceback": [HOSTILE]},
]


@pytest.fixture(scope="module")
def course(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Class]:
    """A class in which one notebook displayed text and an image, and another one active content."""
    with taught(migrated, tmp_path_factory.mktemp("executed")) as made:
        store = made.api.store
        token = find_token(store, made.secret("staff"))
        assert token
        ids = {}
        for who, outputs in (("kim", OUTPUTS), ("lee", FORGED)):
            cell: dict[str, Any] = {
                "cell_type": "code",
                "source": "plot()",
                "metadata": {},
                "execution_count": None,
                "outputs": [],
            }
            text: dict[str, Any] = {"cell_type": "markdown", "source": "# Mine", "metadata": {}}
            file = {"cells": [text, cell], "nbformat": 4, "nbformat_minor": 5, "metadata": {}}
            new = NewSubmission(who, who, {}, [("hw2.ipynb", json.dumps(file).encode())], who)
            accept_batch(store, token, "hw2", Mode.NONE, who, [new])
            (lease,) = claimed(store)
            ran: tuple[Mapping[str, Any], ...] = (text, {**cell, "outputs": outputs})
            finish_job(store, lease, as_written(lease), [ExecutedNotebook("hw2.ipynb", ran)])
            ids[who] = lease.submission
        yield Class(made.api, made.batch, ids)


def test_a_notebook_is_shown_as_it_ran(course: Class, visit: Callable[..., Visitor]) -> None:
    visitor = visit(course.url)
    place = f"/submissions/{course.ids['kim']}/notebooks/0"
    page = visitor.sign_in(course.secret("kim"), place)
    expect(page.get_by_text("Outputs are from the grading run")).to_be_visible()
    expect(page.get_by_role("heading", name="Mine")).to_be_visible()
    expect(page.get_by_text("shown here")).to_be_visible()
    expect(page.get_by_role("cell", name="of a table")).to_be_visible()
    expect(page.locator("strong", has_text="strong words")).to_be_visible()
    picture = page.get_by_role("img", name="a plot")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.naturalWidth") > 0
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as executed").click()
    saved = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
    assert saved["cells"][1]["outputs"] == OUTPUTS


def test_what_a_notebook_showed_is_inert(course: Class, visit: Callable[..., Visitor]) -> None:
    visitor = visit(course.url)
    page = visitor.sign_in(course.secret("lee"), f"/submissions/{course.ids['lee']}/notebooks/0")
    expect(page.get_by_text("Outputs are from the grading run")).to_be_visible()
    expect(page.get_by_role("img", name="a drawing")).to_be_visible()
    page.wait_for_load_state("networkidle")
    assert not page.evaluate(f"document.documentElement.hasAttribute('{MARK}')")
    assert page.evaluate("document.querySelectorAll('script, iframe, form, svg, [onerror], [onload]').length") == 0
    assert (visitor.strangers(), visitor.dialogs) == ([], [])
    assert page.title() == "hw2.ipynb · Grader"


def test_where_nothing_was_kept_the_notebook_is_shown_as_it_was_handed_in(
    migrated: Path, tmp_path: Path, visit: Callable[..., Visitor]
) -> None:
    with taught(migrated, tmp_path) as made:
        page = visit(made.url).sign_in(made.secret("kim"), f"/submissions/{made.ids['kim']}/notebooks/0")
        expect(page.get_by_text("As handed in")).to_be_visible()
        expect(page.get_by_role("link", name="Download as executed")).to_have_count(0)
