"""What is done from a page of the console: by whom, what is stored, and what reaches the remote system."""

import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, get_args

import httpx2
import pytest

from scim_bridge.app import desk_of, open_bridge, plans_of
from scim_bridge.config import load_settings
from scim_bridge.console.gate import Address, Proxied
from scim_bridge.console.opening import console_of
from scim_bridge.desk import Role
from scim_bridge.errors import ConfigurationError
from scim_bridge.store import departed, resources, tokens
from scim_bridge.store.rows import State
from scim_bridge.testing.memory_remote import MemoryRemote
from tests.http.consoles import ORIGIN, Browser, Site, used
from tests.http.test_console import told, words
from tests.unit.cli.test_looking import Operator


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    """A bridge that has been used: eve is held, since Admins are privileged."""
    with used(tmp_path) as made:
        yield made


async def eve(site: Site) -> tuple[State, set[str]]:
    """Return the state of eve's row, and what she has in the remote system."""
    id_ = site.operator.ids["eve"]
    row = await site.bridge.store.read(lambda tx: resources.get(tx, "acme", "User", id_))
    assert row is not None
    return row.state, remote_groups(site).get("eve@x.example", set())


def remote_groups(site: Site) -> dict[str, set[str]]:
    """Return the names of the groups of each account of the remote system."""
    remote = MemoryRemote.named(site.operator.file.parent.name)
    found: dict[str, set[str]] = {}
    for group, account in remote.members:
        name = str(remote.accounts[account].user.user_name)
        found.setdefault(name, set()).add(str(remote.groups[group].display_name))
    return found


async def choose(site: Site, browser: Browser, decision: str, changes: dict[str, Any] | None = None) -> httpx2.Response:
    """Send the form of the one card on the page Held."""
    page = (await browser.get("/console/held")).text
    ids = re.findall(r'name="id" value="([^"]+)"', page)
    fields = {"connection": "acme", "id": ids, "reason": "asked Ada", "decision": decision} | (changes or {})
    return await browser.post("/console/held/decide", fields)


async def test_what_is_held_is_told_by_name_with_its_cause_and_its_end(grace: Browser) -> None:
    """One card: who, why, by whom, and what happens without a decision."""
    page = words((await grace.get("/console/held")).text)
    assert "1 in acme" in page
    assert "eve@x.example: joins Admins" in page
    assert "more privileged grants than usual" in page
    assert "Without a decision it is let through in" in page


@pytest.mark.parametrize("role", get_args(Role))
async def test_only_an_operator_decides(open_site: Site, role: Role) -> None:
    """Whoever sends the form: an operator's counts, with name and reason in the chain and the grant in the system."""
    before = await eve(open_site)
    async with open_site.browser("operator") as seen, open_site.browser(role) as browser:
        page = (await seen.get("/console/held")).text
        ids = re.findall(r'name="id" value="([^"]+)"', page)
        fields = {"connection": "acme", "id": ids, "reason": "asked Ada", "decision": "approve"}
        answer = await browser.post("/console/held/decide", fields)
        if role != "operator":
            assert answer.status_code == 403
            assert await eve(open_site) == before == (State.HELD, set())
            assert ("Approve" in (await browser.get("/console/held")).text) is False
            return
        assert answer.status_code == 303
        assert "approved in acme: 1." in words((await browser.get(answer.headers["location"])).text)
    await open_site.bridge.provisioning("acme").driver.idle()
    assert await eve(open_site) == (State.SETTLED, {"Admins"})
    (entry,) = [one for one in await open_site.entries() if one.get("decision") == "approved"]
    assert (entry["actor"], entry["reason"], entry["id"]) == (
        "operator Grace",
        "asked Ada",
        open_site.operator.ids["eve"],
    )


async def test_what_is_rejected_is_wanted_no_longer(open_site: Site, grace: Browser) -> None:
    """And nothing of it reaches the remote system."""
    assert (await choose(open_site, grace, "reject")).status_code == 303
    await open_site.bridge.provisioning("acme").driver.idle()
    state, groups = await eve(open_site)
    assert (state is not State.HELD, groups) == (True, set())
    (entry,) = [one for one in await open_site.entries() if one.get("decision") == "rejected"]
    assert (entry["actor"], entry["reason"]) == ("operator Grace", "asked Ada")
    page = words((await grace.get(f"/console/people/acme/{open_site.operator.ids['eve']}")).text)
    assert "asked Ada" in page


@pytest.mark.parametrize(
    "changes", [{"reason": " "}, {"reason": "x" * 501}, {"id": []}, {"decision": "perhaps"}, {"connection": "nowhere"}]
)
async def test_a_decision_without_names_or_reason_is_none(
    open_site: Site, grace: Browser, changes: dict[str, Any]
) -> None:
    """Nothing is decided, and the page says what is missing."""
    assert (await choose(open_site, grace, "approve", changes)).status_code == 400
    assert (await eve(open_site))[0] is State.HELD


async def test_what_is_held_no_longer_is_said(open_site: Site, grace: Browser) -> None:
    """Two operators at once: the second is told."""
    first = await choose(open_site, grace, "approve")
    again = await grace.post(
        "/console/held/decide",
        {"connection": "acme", "id": [open_site.operator.ids["eve"]], "reason": "too", "decision": "reject"},
    )
    assert first.status_code == again.status_code == 303
    assert "No longer held, so not decided: 1." in words((await grace.get(again.headers["location"])).text)


async def test_a_token_is_made_shown_once_and_revoked(open_site: Site, grace: Browser) -> None:
    """It opens the connection until it is revoked; the chain has its id and the person."""
    page = await grace.post("/console/tokens/create", {"connection": "acme", "days": "90", "name": "okta <2>"})
    assert page.status_code == 200
    (clear,) = re.findall(r"scb_live_\w+", page.text)
    assert "okta &lt;2&gt;" in page.text
    assert clear not in (await grace.get("/console/tokens")).text
    lookup_id = tokens.parse(clear)
    assert lookup_id is not None
    record = await open_site.bridge.store.read(lambda tx: tokens.find(tx, lookup_id))
    assert tokens.verify(clear, record, open_site.bridge.provisioning("acme").clock())
    answer = await grace.post(f"/console/tokens/{lookup_id}/revoke")
    assert f"{lookup_id} is revoked." in words((await grace.get(answer.headers["location"])).text)
    record = await open_site.bridge.store.read(lambda tx: tokens.find(tx, lookup_id))
    assert not tokens.verify(clear, record, open_site.bridge.provisioning("acme").clock())
    made = [one for one in await open_site.entries() if one["event"] == "token"]
    assert [(one["operation"], one["token"], one["actor"]) for one in made] == [
        ("create", lookup_id, "operator Grace"),
        ("revoke", lookup_id, "operator Grace"),
    ]


@pytest.mark.parametrize("days", ["", "0", "-1", "3651", "9" * 5000])
async def test_a_token_of_no_such_length_is_refused(grace: Browser, days: str) -> None:
    """Also a number that Python reads none of."""
    answer = await grace.post("/console/tokens/create", {"connection": "acme", "days": days})
    assert (answer.status_code, "1 to 3650 days" in words(answer.text)) == (400, True)


@pytest.mark.parametrize("role", ["viewer", "auditor"])
async def test_nobody_else_makes_or_ends_a_token(open_site: Site, role: Role) -> None:
    """Neither is offered, nor done."""
    before = await open_site.bridge.store.read(tokens.list_tokens)
    async with open_site.browser(role) as browser:
        assert (await browser.post("/console/tokens/create", {"connection": "acme", "days": "9"})).status_code == 403
        assert (await browser.post("/console/tokens/any/revoke")).status_code == 403
        assert "Make it" not in (await browser.get("/console/tokens")).text
    assert await open_site.bridge.store.read(tokens.list_tokens) == before


async def test_the_chain_is_verified_and_exported(operator: Operator, open_site: Site, grace: Browser) -> None:
    """The page says what verify says, and hands over what export prints; a changed entry is named."""
    answer = await grace.post("/console/audit/verify", {"connection": "acme"})
    assert "is unbroken up to entry " in words((await grace.get(answer.headers["location"])).text)
    exported = (await grace.get("/console/audit/acme.jsonl")).text
    *same, of_command = (await told(operator.run, "audit", "export", "acme")).stdout.splitlines()
    assert exported.splitlines() == same
    assert json.loads(of_command)["event"]["operation"] == "audit"
    await open_site.bridge.store.write(
        lambda tx: tx.exec_driver_sql("UPDATE audit SET event = '{}' WHERE connection_id = 'acme' AND sequence = 2")
    )
    answer = await grace.post("/console/audit/verify", {"connection": "acme"})
    assert "BROKEN at entry 2" in words((await grace.get(answer.headers["location"])).text)


async def test_departures_say_what_is_not_ended(grace: Browser) -> None:
    """As a list to be worked off: dan, whose deactivation fails."""
    page = words((await grace.get("/console/departures")).text)
    assert "asked" in page
    assert re.search(r"dan@x\.example.*still has the account in acme, group Sales", page)
    assert "Not revoked in acme" in page
    assert "their API keys. Revoke them there. What is told of it" in page


async def test_departures_are_found_by_a_name_that_is_not_kept(open_site: Site, grace: Browser) -> None:
    """As the command line does: only a keyed hash of bob's is left."""
    later = datetime.now(UTC) + timedelta(days=400)
    await open_site.bridge.store.write(partial(departed.hide, connection_id="acme", before=later, now=later))
    for who, found in (("BOB@x.example", [(None, "confirmed")]), ("nobody@x.example", [])):
        where = (await grace.post("/console/departures", {"who": who})).headers["location"]
        assert "x.example" not in where
        answer = await grace.get(where.replace("departures", "departures.json"))
        assert [(one["name"], one["state"]) for one in answer.json()] == found


async def test_a_connection_says_what_is_pasted(grace: Browser) -> None:
    """And whether somebody has come."""
    page = words((await grace.get("/console/connections/acme")).text)
    assert "/acme/scim/v2" in page
    assert "No client has come yet" in page


# -- A proxy that signs people in --------------------------------------------------------------------------------------

SECRET = "a-secret-of-thirty-two-characters"
PROXY = f"""
[console.proxy]
secret = "{SECRET}"
operators = ["grace@x.example"]
others = "viewer"
"""


@pytest.fixture
async def behind(operator: Operator) -> AsyncIterator[Callable[..., Any]]:
    """A console behind a proxy: what sends a request of it."""
    operator.file.write_text(operator.file.read_text() + PROXY)
    async with open_bridge(load_settings(operator.file)) as bridge:
        application = console_of(bridge.settings, desk_of(bridge), plans_of(bridge))

        async def send(path: str, peer: str = "127.0.0.1", **headers: str) -> int:
            transport = httpx2.ASGITransport(app=application, client=(peer, 1))
            async with httpx2.AsyncClient(transport=transport, base_url=ORIGIN) as http:
                given = {name.replace("_", "-"): value for name, value in headers.items()}
                return (await http.get(path, headers=given)).status_code

        yield send


async def test_a_proxy_is_believed_by_its_secret(behind: Callable[..., Any]) -> None:
    """Who it says has come, has; without the secret, or with two names, nobody has."""
    grace = {"X_Scim_Bridge_Proxy": SECRET, "X_Forwarded_User": "grace@x.example"}
    bob = grace | {"X_Forwarded_User": "bob@x.example"}
    assert await behind("/console", **grace) == 200
    assert await behind("/console/people.csv", **grace) == 200
    assert await behind("/console", **bob) == 200
    assert await behind("/console/people.csv", **bob) == 403
    assert await behind("/console", **(grace | {"X_Scim_Bridge_Proxy": "x" * 32})) == 403
    assert await behind("/console", X_Forwarded_User="grace@x.example") == 403
    assert await behind("/console", **(grace | {"X_Forwarded_User": ""})) == 403
    assert await behind("/console") == 401


async def test_whoever_passes_the_proxy_by_is_not_answered(behind: Callable[..., Any]) -> None:
    """From another address than the machine's own and the proxies'."""
    assert await behind("/console", peer="10.0.0.7", X_Scim_Bridge_Proxy=SECRET, X_Forwarded_User="a") == 403


@pytest.mark.parametrize(
    "table",
    [
        'host = "0.0.0.0"',
        'host = "10.0.0.1"\nproxies = ["10.0.0.2"]',
        'host = "10.0.0.1"\npublic_url = "https://bridge.example"',
        'host = "10.0.0.1"\nproxies = ["10.0.0.2"]\npublic_url = "http://localhost"',
        'public_url = "http://bridge.example"',
        '[console.proxy]\nsecret = "short"',
    ],
)
def test_a_console_that_others_could_read_does_not_start(tmp_path: Path, table: str) -> None:
    """One line says what is missing; what is safe starts."""
    file = tmp_path / "scim-bridge.toml"
    file.write_text(f"[console]\n{table}\n")
    with pytest.raises(ConfigurationError, match="console"):
        load_settings(file)
    file.write_text('[console]\nhost = "10.0.0.1"\nproxies = ["10.0.0.2"]\npublic_url = "https://bridge.example"\n')
    assert load_settings(file).console is not None


def test_over_tls_the_cookie_is_bound_to_the_host() -> None:
    """And on the loopback, where browsers take no such name, it has another."""
    assert Address("https://bridge.example").cookie.startswith("__Host-")
    assert Address("https://bridge.example").secure
    assert not Address().cookie.startswith("__Host-")
    assert Proxied(str, "", {}, None).default is None
