"""A real Chromium before a real service; what the pages say, ask for and run is looked at from inside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, sync_playwright

from tests.api.conftest import Api, api, migrated, settings, started  # noqa: F401 - fixtures

__all__ = ["CHROMIUM", "Visitor"]

CHROMIUM = "/usr/bin/chromium"  # Debian's; nothing is downloaded
SECRET = "Bearer "


@dataclass
class Visitor:
    """Somebody in a browser, and what their pages asked for, said on the console, and popped up."""

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
        """Sign in as anybody does, and go on to a page."""
        self.page.goto(f"{self.url}{path}")
        self.page.get_by_label("Token").fill(secret)
        self.page.get_by_role("button", name="Sign in").click()
        return self.page

    def strangers(self) -> list[str]:
        """Return what was asked of anybody but the site."""
        return [each for each in self.asked if not each.startswith((f"{self.url}/", "data:"))]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-quic"])
        yield launched
        launched.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Visitor]]:
    """Open a browser of somebody's own before a site."""
    contexts: list[BrowserContext] = []

    def opened(url: str, **options: object) -> Visitor:
        context = browser.new_context(**options)  # type: ignore[arg-type]
        context.set_default_timeout(15_000)
        contexts.append(context)
        visitor = Visitor(context.new_page(), url)

        def asked(request: Request) -> None:
            visitor.asked.append(request.url)

        visitor.page.on("request", asked)
        visitor.page.on("console", lambda told: visitor.complaints.append(told.text))
        visitor.page.on("dialog", lambda dialog: (visitor.dialogs.append(dialog.message), dialog.dismiss()))
        return visitor

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture
def secrets(api: Api) -> dict[str, str]:  # noqa: F811 - the fixture
    """The secret of each of the service's people."""
    return {who: each.headers.get("Authorization", "").removeprefix(SECRET) for who, each in api.clients.items()}
