"""A real Chromium before a real service; tests look from inside it at what the pages say, ask for and run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, expect, sync_playwright

from tests.support.web_pages import Class, Visitor, taught

# Assignments are run by the grader's own pytest, inside a job.

SECONDS = 30  # after which a test gives up; nothing is decided by how long it takes
CHROMIUM = "/usr/bin/chromium"  # Debian's; nothing is downloaded


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    assert Path(CHROMIUM).exists(), "no chromium on this machine: sudo apt-get install chromium"
    expect.set_options(timeout=SECONDS * 1000)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-quic"])
        yield launched
        launched.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Visitor]]:
    """Open a new browser on a site."""
    contexts: list[BrowserContext] = []

    def opened(url: str, **options: object) -> Visitor:
        context = browser.new_context(**options)  # type: ignore[arg-type]
        context.set_default_timeout(SECONDS * 1000)
        contexts.append(context)
        visitor = Visitor(context.new_page(), url)

        def popped_up(dialog: Dialog) -> None:
            visitor.dialogs.append(dialog.message)
            dialog.dismiss()

        visitor.page.on("request", lambda request: visitor.asked.append(request.url))
        visitor.page.on(
            "console",
            lambda told: visitor.complaints.append(told.text) if told.type in ("error", "warning") else None,
        )
        visitor.page.on("dialog", popped_up)
        return visitor

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def course(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Class]:
    """A class that tests only look at."""
    with taught(migrated, tmp_path_factory.mktemp("course")) as made:
        yield made


@pytest.fixture
def own_course(migrated: Path, tmp_path: Path) -> Iterator[Class]:
    """A class that a test may change."""
    with taught(migrated, tmp_path) as made:
        yield made
