"""A course from the upload to the published grade, in a browser, with a real worker behind the pages."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from grader.service.store.queries.tokens import Role, create_token
from tests.support.api_batches import zipped
from tests.support.paths import ASSIGNMENTS
from tests.support.running_service import RunningService, until
from tests.support.web_pages import Visitor

REFLECTED = str(ASSIGNMENTS / "reflected")
SECONDS = 90_000  # milliseconds after which a test gives up; nothing is decided by how long it takes
RIGHT, WRONG = "def square(X): return X * X", "def square(X): return X + X"
# What no page may run, in what students hand in.
EVIL = "<script>document.title = 'evil'</script><img src=x onerror=\"document.title = 'evil'\">"


def notebook(code: str, written: str) -> bytes:
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": f"# 1 Functions\n\n{EVIL}"},
        {"cell_type": "code", "metadata": {}, "source": code, "outputs": [], "execution_count": None},
        {"cell_type": "markdown", "metadata": {}, "source": f"## Discussion\n\n{written}"},
    ]
    return json.dumps({"cells": cells, "nbformat": 4, "nbformat_minor": 5, "metadata": {}}).encode()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[RunningService]:
    with RunningService(tmp_path, assignments=REFLECTED) as made:
        made.worker()
        made.serve()
        url = f"http://127.0.0.1:{made.api_port}/health/live"

        def answers() -> bool:
            try:
                return httpx.get(url, trust_env=False).status_code == 200
            except httpx.TransportError:
                return False

        until(answers, last_words=made.last_words)
        yield made


@pytest.mark.slow
def test_a_course_from_upload_to_published_grades(service: RunningService, visit: Callable[..., Visitor]) -> None:
    kims = create_token(service.store, "kim", Role.STUDENT, "kim")
    staff, kim = (visit(f"http://127.0.0.1:{service.api_port}") for _ in range(2))

    # A class is handed in, watched, and looked at.
    page = staff.sign_in(service.secret)
    written = f"제곱은 **곱셈**이다. {EVIL}"
    data = zipped({"kim/hw.ipynb": notebook(WRONG, written), "lee/hw.ipynb": notebook(RIGHT, "because")})
    upload = {"name": "class.zip", "mimeType": "application/zip", "buffer": data}
    page.get_by_label("A zip file").set_input_files(upload)  # type: ignore[arg-type]
    page.get_by_label("Title").fill("가을 과제")
    page.get_by_label("Trainings").select_option("none")
    page.get_by_role("button", name="Hand in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("가을 과제")
    expect(page.get_by_role("status")).to_contain_text("All 2 done", timeout=SECONDS)
    expect(page.get_by_role("row", name="lee")).to_contain_text("3 of 6 (3 not marked yet)")
    page.get_by_role("link", name="Overview").click()
    expect(page.get_by_role("img", name="Number of submissions by score")).to_be_visible()

    # What was written is marked.
    page.get_by_role("link", name="Marking").click()
    page.get_by_role("link", name="Mark next answer").click()
    expect(page.get_by_text("제곱은 곱셈이다.")).to_be_visible()
    page.wait_for_load_state()  # of the script that hears keys
    page.keyboard.press("2")
    page.keyboard.press("c")
    page.keyboard.type("좋다")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("because")).to_be_visible()
    page.wait_for_load_state()
    page.keyboard.press("3")
    page.keyboard.press("Enter")
    expect(page.get_by_text("All 2 marked")).to_be_visible()

    # Before it is published its student sees no mark, and then does.
    own = kim.sign_in(kims)
    own.get_by_role("link", name="hw.ipynb").click()
    expect(own.get_by_text("0 of 6 points", exact=True)).to_be_visible()
    assert "좋다" not in own.content()
    assert "test_square" not in own.content()
    page.get_by_role("link", name="Review and publish").click()
    expect(page.get_by_role("row", name="kim")).to_have_text("kim02+2")
    page.get_by_role("button", name="Publish 2 submissions").click()
    expect(page.get_by_text("Nothing to publish")).to_be_visible()
    own.reload()
    expect(own.get_by_text("2 of 6 points", exact=True)).to_be_visible()
    expect(own.get_by_text("좋다")).to_be_attached()
    own.get_by_role("link", name="hw.ipynb", exact=True).click()
    expect(own.get_by_text("return X + X")).to_be_visible()

    for visitor in (staff, kim):
        assert visitor.strangers() == visitor.complaints == visitor.dialogs == []
        assert "evil" not in visitor.page.title()
        assert not [url for url in visitor.asked if "grader_" in url]
