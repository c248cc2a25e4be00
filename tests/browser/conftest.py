"""A real Chromium, and what it complained of."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.stage import Stage, stage

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs" / "pictures"
"""Where pictures go when ``SCIM_BRIDGE_PICTURES`` is set: ``make screenshots``."""


@dataclass
class Visit:
    """One person's browser window.

    :param complaints: What the browser's console had to say, and requests to another host.
    """

    page: Page
    host: str
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        """Open a page of the console."""
        answer = self.page.goto(f"http://{self.host}{path}")
        assert answer is not None
        assert answer.ok, f"{path}: {answer.status}"

    def is_in_order(self) -> None:
        """Assert that axe finds no barrier here, nothing is wider than the window, and nobody complained."""
        found = Axe().run(self.page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]})
        assert found.violations_count == 0, f"{self.page.url}\n{found.generate_report()}"
        overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert self.page.evaluate(overflow) <= 0, f"{self.page.url} is wider than the window"
        assert self.complaints == []

    def picture(self, name: str) -> None:
        """Take a picture of what is seen, if pictures are taken."""
        if os.environ.get("SCIM_BRIDGE_PICTURES"):
            PICTURES.mkdir(exist_ok=True)
            self.page.screenshot(path=PICTURES / f"{name}.png")


@pytest.fixture(scope="session")
def played() -> Iterator[Stage]:
    """A bridge after a day's work."""
    with stage() as made:
        yield made


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium: ``.ci/chromium`` installs it."""
    path = shutil.which("chromium")
    assert path is not None, "no chromium: .ci/chromium installs it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def visit(chromium: Browser, played: Stage) -> Callable[..., object]:
    """Return what opens a window in which somebody is signed in, for the length of a ``with`` block."""

    @contextmanager
    def visiting(role: str, *, width: int = 1280, dark: bool = False) -> Iterator[Visit]:
        link = played.link(role)
        context = chromium.new_context(
            viewport={"width": width, "height": 800},
            color_scheme="dark" if dark else "light",
            bypass_csp=True,  # axe is a script; that the pages keep to their policy is tests/http's matter
        )
        with context, context.new_page() as page:
            one = Visit(page, urlsplit(link).netloc)
            page.on("console", lambda said: one.complaints.append(said.text) if said.type == "error" else None)
            page.on("pageerror", lambda error: one.complaints.append(str(error)))
            page.on("request", lambda sent: _noted(one, sent.url))
            page.goto(link)
            page.get_by_role("button", name="Sign in").click()
            page.get_by_role("heading", name="Overview").wait_for()
            yield one

    return visiting


def _noted(one: Visit, url: str) -> None:
    if urlsplit(url).netloc != one.host:
        one.complaints.append(f"a request to {url}")
