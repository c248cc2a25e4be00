"""The console in a real browser: every page at two widths, light and dark, and one story from link to report."""

import re
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from scim_bridge.console.lists import LISTINGS
from tests.browser.conftest import Visit
from tests.browser.stage import Stage
from tests.hang_guard import HANG_SECONDS

Visiting = Callable[..., AbstractContextManager[Visit]]

PAGES = ["", "/connections/okta", "/plan", *(f"/{path}" for path in LISTINGS)]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_every_page_has_no_barrier(visit: Visiting, played: Stage, width: int, dark: bool) -> None:
    """Those of the console and the emulator's own: axe finds no violation of WCAG 2.2 AA, nobody complains."""
    with visit("operator", width=width, dark=dark) as one:
        for path in PAGES:
            one.open(f"/console{path}")
            one.is_in_order()
        one.open("/console/people")
        one.page.get_by_role("link", name="ada@example.com").click()
        one.page.get_by_role("heading", name="ada@example.com", level=1).wait_for()
        one.is_in_order()
        if dark and width == 390:
            one.picture("person-390")
        one.host = urlsplit(played.remote).netloc
        one.open("/")
        for closed in one.page.locator("summary").all():
            closed.click()
        one.is_in_order()


def test_the_story_from_a_link_to_the_report(visit: Visiting, played: Stage) -> None:  # noqa: PLR0915 - one story
    """Why somebody has a set, a held push, going live, a failed request, a check, a token, the leavers' report."""
    with visit("operator") as one:
        page = one.page
        expect(page.get_by_text("held changes wait for you (1).")).to_be_visible()
        one.picture("overview")

        page.get_by_role("link", name="People", exact=True).click()
        page.get_by_label("Name", exact=True).fill("ada")
        page.get_by_role("button", name="Show").click()
        assert "ada" not in page.url.partition("view=")[0]
        page.get_by_role("link", name="ada@example.com").click()
        expect(page.locator(".sentence")).to_have_text("ada@example.com has access, in Sales.")
        one.picture("person")

        page.get_by_role("link", name=re.compile("^[0-9a-f]{32}$")).first.click()  # from the person to the request
        expect(page.get_by_role("heading", name="Request", level=1)).to_be_visible()
        expect(page.get_by_role("table", name="Calls to the remote system")).to_contain_text("PUT")
        one.is_in_order()
        one.picture("request")

        page.get_by_role("link", name="Held", exact=True).click()
        assert played.held_in_hubspot("cleo") == []
        expect(page.get_by_label("cleo@example.com: joins Marketing")).to_be_checked()
        one.picture("held")
        page.get_by_role("button", name="Approve these").click()  # without a reason: the browser asks for one
        expect(page.get_by_text("Nothing is held.")).not_to_be_visible()
        page.get_by_label("Reason").fill("asked her manager")
        page.get_by_role("button", name="Approve these").click()
        expect(page.get_by_role("status")).to_have_text("approved in okta: 1.")
        expect(page.get_by_text("Nothing is held.")).to_be_visible()

        page.get_by_role("link", name="People", exact=True).click()
        page.get_by_role("link", name="cleo@example.com").click()
        deadline = time.monotonic() + HANG_SECONDS  # a guard against a hang, not a measure
        while "has access, in Marketing." not in (page.locator(".sentence").text_content() or ""):
            assert time.monotonic() < deadline
            page.reload()  # a page is of the moment in which it was loaded
        assert played.held_in_hubspot("cleo") == ["Marketing"]
        expect(page.get_by_text("asked her manager")).to_be_visible()

        page.get_by_role("link", name="Plan", exact=True).click()
        page.get_by_role("button", name="Hold okta, and plan").click()
        expect(page.get_by_role("status")).to_have_text("okta plans: nothing is sent.")
        assert played.leave("bob") == 200
        page.get_by_role("button", name="Compare okta now").click()
        expect(page.get_by_role("status")).to_contain_text("okta was compared at")
        expect(page.get_by_role("table", name="Taken away")).to_contain_text("bob@example.com")
        one.is_in_order()
        one.picture("plan")
        assert played.is_in_hubspot("bob")
        page.get_by_label("How many removals do you accept?").fill("1")
        page.get_by_role("button", name="Let okta go live").click()
        expect(page.get_by_role("status")).to_have_text("okta is live.")
        while played.is_in_hubspot("bob"):
            assert time.monotonic() < deadline
            page.wait_for_timeout(100)

        played.fault(kind="edge", method="POST", status=400, times=9)
        refused = played.join("gus")
        assert refused >= 400
        page.get_by_role("link", name="Requests", exact=True).click()
        while str(refused) not in (page.get_by_role("row").nth(1).text_content() or ""):
            assert time.monotonic() < deadline
            page.reload()  # a request is kept a moment after its answer
        page.get_by_role("row").nth(1).get_by_role("link").click()
        expect(page.get_by_role("table", name="Calls to the remote system")).to_contain_text("400")
        one.picture("failed")

        one.open("/console/connections/okta")
        page.get_by_role("button", name="Check now").click()
        expect(page.get_by_role("table", name="What was checked just now")).to_be_visible()
        one.is_in_order()

        page.get_by_role("link", name="Tokens", exact=True).first.click()
        page.get_by_label("Name", exact=True).fill("the new one")
        page.get_by_role("button", name="Make it").click()
        assert re.fullmatch(r"scb_live_\w+", page.locator(".secret").text_content() or "")
        page.get_by_text("okta, demo: used").click()
        page.get_by_role("button", name=re.compile("Revoke")).click()
        expect(page.get_by_role("status")).to_contain_text("is revoked.")

        page.get_by_role("link", name="Departures", exact=True).click()
        expect(page.get_by_text("2 asked, 2 confirmed, 0 not ended")).to_be_visible()
        one.picture("departures")
        with page.expect_download() as taken:
            page.get_by_role("link", name="CSV").click()
        assert taken.value.path().read_text() == played.command("departures", "--csv")
        assert "dan@example.com" in taken.value.path().read_text()
        page.get_by_role("link", name="Audit", exact=True).click()
        page.get_by_role("button", name="Verify okta").click()
        expect(page.get_by_role("status")).to_contain_text("is unbroken")
        expect(page.get_by_text("operator Grace").first).to_be_visible()
        one.is_in_order()
