"""Visitors of the pages in a real browser, and a graded class for them to look at."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Page

from grader.results.report import Report
from grader.service.store.queries.leases import Lease, finish_job
from grader.service.store.queries.submissions import find_submissions
from tests.support.api_batches import claimed, hand_in, report
from tests.support.api_server import Api, running, settings_in

__all__ = ["TITLE", "Class", "Visitor", "as_written", "taught"]

TITLE = "과제 2 <b>"


@dataclass
class Visitor:
    """Somebody in a browser of their own, and what their pages asked for, complained of, and popped up."""

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
        """Sign in as anybody does, on the way to a page."""
        self.open(path)
        self.page.get_by_label("Token").fill(secret)
        with self.page.expect_navigation():
            self.page.get_by_role("button", name="Sign in").click()
        return self.page

    def strangers(self) -> list[str]:
        """Return what was asked of anybody but the site."""
        return [each for each in self.asked if not each.startswith((f"{self.url}/", "data:"))]


@dataclass(frozen=True)
class Class:
    """A class of kim, lee and park that was graded, each with an item that waits for a person."""

    api: Api
    batch: str
    ids: dict[str, str]

    @property
    def url(self) -> str:
        """Of the site."""
        return self.api.url

    def secret(self, who: str) -> str:
        """Return somebody's token."""
        return str(self.api[who].headers["Authorization"]).removeprefix("Bearer ")


def as_written(lease: Lease) -> Report:
    return report(lease, written=True)


@contextmanager
def taught(migrated: Path, folder: Path, made: Callable[[Lease], Report] = as_written) -> Iterator[Class]:
    """Serve a class that was graded, with the reports that are made of it."""
    shutil.copy(migrated, folder / "grader.sqlite")
    with running(settings_in(folder)) as api:
        batch = hand_in(api["staff"], title=TITLE).json()["batch"]
        for lease in claimed(api.store):
            finish_job(api.store, lease, made(lease))
        yield Class(api, batch, {each.key: each.id for each in find_submissions(api.store, batch)})
