"""Holding a connection and letting it go live from the page Plan: what is stored, and what reaches the other side."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from scim_bridge.errors import RemoteForbiddenError, RemoteUnavailableError
from scim_bridge.provisioning import observing
from scim_bridge.testing.memory_remote import MemoryRemote
from tests.http.consoles import Browser, Site, used
from tests.http.test_console import words
from tests.unit.cli.test_looking import Operator, inactive, person

BETA = {"connection": "beta"}


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    """A bridge that has been used; nothing happened in its connection beta."""
    with used(tmp_path) as made:
        yield made


@dataclass
class Planning:
    """The connection beta, which plans to deactivate ada, and an operator's browser."""

    site: Site
    browser: Browser
    ada: str
    bob: str

    @property
    def remote(self) -> MemoryRemote:
        """What stands behind it."""
        return MemoryRemote.named(f"{self.site.operator.file.parent.name}-too")

    @property
    def has_access(self) -> bool:
        """Whether ada has, there."""
        account = self.remote.find("ada@x.example")
        return account is not None and account.active

    async def leave(self, id_: str) -> None:
        """Deactivate somebody."""
        await self.site.bridge.provisioning("beta").modify_user(id_, inactive, lambda _etag: None)

    async def form(self) -> dict[str, Any]:
        """Return what the page has in the form that lets beta go live; nothing: there is no such form."""
        page = (await self.browser.get("/console/plan")).text
        (part,) = re.findall(r'<section aria-labelledby="of-beta">.*?</section>', page, re.DOTALL)
        return dict(re.findall(r'name="(shown)" value="([^"]+)"', part))

    async def compare(self) -> str:
        """Have it compared; return what the page says then."""
        answer = await self.browser.post("/console/plan/compare", BETA)
        return words((await self.browser.get(answer.headers["location"])).text)

    async def go_live(self, **fields: Any) -> httpx2.Response:
        """Send the form."""
        return await self.browser.post("/console/plan/go-live", BETA | fields)

    async def observes(self) -> bool:
        """Whether nothing is sent."""
        found = await self.site.bridge.store.read(lambda tx: observing.current(tx, "beta"))
        return found is not None

    async def decisions(self) -> list[tuple[str, str, Any]]:
        """Return who held it and let it go live, with the number of removals they saw."""
        entries = [one for one in await self.site.entries("beta") if one["event"] == "observing"]
        return [(one["decision"], one["actor"], one.get("removed")) for one in entries]


@pytest.fixture
async def planning(open_site: Site, grace: Browser) -> Planning:
    """Return beta after an operator held it, and its client said that ada leaves."""
    provisioning = open_site.bridge.provisioning("beta")
    ada, bob = [(await provisioning.create_user(person(name))).row.id for name in ("ada", "bob")]
    made = Planning(open_site, grace, ada, bob)
    assert (await grace.post("/console/plan/hold", BETA | {"reason": "plan"})).status_code == 303
    await made.leave(ada)
    return made


async def test_a_plan_goes_live_with_its_removals_accepted(planning: Planning) -> None:
    """What was held is done once the number of removals is typed: person and numbers stand in the chain."""
    assert "Let beta go live" not in words((await planning.browser.get("/console/plan")).text)  # not compared yet
    assert "beta was compared at" in await planning.compare()
    form = await planning.form()
    for typed in ("", "0", "2"):
        answer = await planning.go_live(**form, removed=typed)
        assert answer.status_code == 400
        assert "this plan has 1 removals" in words(answer.text)
        assert await planning.observes()
        assert planning.has_access
    answer = await planning.go_live(**form, removed="1")
    assert "beta is live." in words((await planning.browser.get(answer.headers["location"])).text)
    await planning.site.bridge.provisioning("beta").driver.idle()
    assert not planning.has_access
    assert await planning.decisions() == [("plan", "operator Grace", None), ("live", "operator Grace", 1)]


async def test_privileged_grants_are_accepted_as_typed(open_site: Site, grace: Browser) -> None:
    """In acme eve joins Admins, which is held, too, and dan leaves: both numbers are asked for."""
    await grace.post("/console/plan/hold", {"connection": "acme", "reason": "hold"})
    await grace.post("/console/plan/compare", {"connection": "acme"})
    page = (await grace.get("/console/plan")).text
    (shown,) = re.findall(r'name="shown" value="([^"]+)"', page)
    fields = {"connection": "acme", "shown": shown}
    (removed,) = re.findall(
        r"The plan has (\d+); type", page.partition("removals do you accept")[2].partition("</p>")[0]
    )
    answer = await grace.post("/console/plan/go-live", fields | {"removed": removed})
    assert answer.status_code == 400
    assert "this plan has 1 privileged grants" in words(answer.text)
    assert (
        await grace.post("/console/plan/go-live", fields | {"removed": removed, "privileged": "1"})
    ).status_code == 303


async def test_what_nobody_saw_does_not_happen(planning: Planning) -> None:
    """A client takes more away after the page was shown: it stays held, until that was seen, too."""
    await planning.compare()
    form = await planning.form()
    await planning.leave(planning.bob)
    assert (await planning.go_live(**form, removed="1")).status_code == 409
    assert await planning.observes()
    assert planning.has_access
    assert (await planning.go_live(**await planning.form(), removed="2")).status_code == 303
    assert not await planning.observes()


async def test_an_old_comparison_lets_nothing_happen(planning: Planning, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an hour somebody may have changed the remote system: it is compared again first."""
    await planning.compare()
    form = await planning.form()
    monkeypatch.setattr("scim_bridge.console.standing.FRESH", timedelta(0))
    assert await planning.form() == {}
    assert (await planning.go_live(**form, removed="1")).status_code == 409
    assert await planning.observes()
    assert planning.has_access


async def test_a_comparison_that_fails_is_told(planning: Planning) -> None:
    """In words, on the page; nothing goes live by it."""
    planning.remote.fail("list_groups", RemoteUnavailableError("it is down"))
    assert "could not be compared now" in await planning.compare()
    assert await planning.form() == {}


async def test_a_form_of_another_run_is_refused(planning: Planning) -> None:
    """What it says was shown cannot be opened."""
    assert (await planning.go_live(shown="nothing of ours", removed="1")).status_code == 400
    assert (await planning.go_live(removed="1")).status_code == 400
    assert await planning.observes()


@pytest.mark.parametrize("role", ["viewer", "auditor"])
async def test_only_an_operator_switches(planning: Planning, role: Any) -> None:
    """Whoever else sends a form: nothing changes, and the page has none."""
    await planning.compare()
    form = await planning.form()
    async with planning.site.browser(role) as browser:
        for path in ("plan/hold", "plan/compare", "plan/go-live", "connections/beta/check"):
            sent = BETA | form | {"removed": "1", "reason": "hold"}
            assert (await browser.post(f"/console/{path}", sent)).status_code == 403
        assert "/console/plan/" not in (await browser.get("/console/plan")).text
    strange = await planning.browser.post("/console/plan/go-live", BETA | form, **{"Sec-Fetch-Site": "cross-site"})
    assert strange.status_code == 403
    assert await planning.observes()
    assert len(await planning.decisions()) == 1


async def test_a_check_shows_what_to_do(planning: Planning) -> None:
    """Each finding with its remedy, errors of the remote system among them."""
    planning.remote.fail("check_connection", RemoteForbiddenError("the key may not write users"))
    answer = await planning.browser.post("/console/connections/beta/check")
    assert answer.status_code == 200
    page = words(answer.text)
    assert re.search(r"✕ error *preflight *the key may not write users", page)
    assert "observing" in page
    assert "see the plan, then let it go live" in page
    assert (await planning.browser.post("/console/connections/nowhere/check")).status_code == 404
