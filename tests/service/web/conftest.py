"""A real Chromium in front of a real service. The tests inspect what pages show, request and run."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, expect, sync_playwright

from grader.results.report import Report
from grader.service.store.queries.leases import Lease, finish_job
from grader.service.store.queries.submissions import find_submissions
from tests.service.api.conftest import Api, migrated, running, settings_in  # noqa: F401 - a fixture
from tests.support.api_work import claimed, hand_in, report

__all__ = ["TITLE", "Class", "Visitor", "as_written", "taught"]

# An assignment is run by the grader's own pytest, inside a job.

TITLE = "과제 2 <b>"
SECONDS = 30  # after which a test gives up; nothing is decided by how long it takes
CHROMIUM = "/usr/bin/chromium"  # Debian's; nothing is downloaded


@dataclass
class Visitor:
    """A person with their own browser, and the requests, console errors and dialogs of their pages."""

    page: Page
    url: str
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def open(self, path: str) -> Page:
        """Go to a page of the site."""
        self.page.goto(f"{self.url}{path}")
        return self.page

    def sign_in(self, secret: str, path: str = "/") -> Page:
        """Sign in on the way to a page."""
        self.open(path)
        self.page.get_by_label("Token").fill(secret)
        with self.page.expect_navigation():
            self.page.get_by_role("button", name="Sign in").click()
        return self.page

    def strangers(self) -> list[str]:
        """Return requests to other sites."""
        return [each for each in self.asked if not each.startswith((f"{self.url}/", "data:"))]


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


@dataclass(frozen=True)
class Class:
    """A graded class of kim, lee and park, each with an item to be marked by hand."""

    api: Api
    batch: str
    ids: dict[str, str]

    @property
    def url(self) -> str:
        """The URL of the site."""
        return self.api.url

    def secret(self, who: str) -> str:
        """Return the secret of a person's token."""
        return str(self.api[who].headers["Authorization"]).removeprefix("Bearer ")


@pytest.fixture(scope="module")
def course(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Class]:  # noqa: F811 - the fixture
    """A class that tests only read."""
    with taught(migrated, tmp_path_factory.mktemp("course")) as made:
        yield made


@pytest.fixture
def own_course(migrated: Path, tmp_path: Path) -> Iterator[Class]:  # noqa: F811 - the fixture
    """A class that a test may change."""
    with taught(migrated, tmp_path) as made:
        yield made


def as_written(lease: Lease) -> Report:
    return report(lease, written=True)


@contextmanager
def taught(migrated: Path, folder: Path, made: Callable[[Lease], Report] = as_written) -> Iterator[Class]:  # noqa: F811
    """Serve a graded class with these reports."""
    shutil.copy(migrated, folder / "grader.sqlite")
    with running(settings_in(folder)) as api:
        batch = hand_in(api["staff"], title=TITLE).json()["batch"]
        for lease in claimed(api.store):
            finish_job(api.store, lease, made(lease))
        yield Class(api, batch, {each.key: each.id for each in find_submissions(api.store, batch)})
