"""The console: who comes in, what they may do, what pages say, and that nothing in a name does anything."""

import asyncio
import csv
import io
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from html import unescape
from typing import TypeVar, get_args

import pytest

from scim_bridge.console.gate import FORM_BYTES, POLICY
from scim_bridge.console.lists import LISTINGS
from scim_bridge.desk import Desk, Role
from scim_bridge.store import sign_ins
from scim_bridge.store.transaction import Transaction
from tests.http.consoles import Browser, Site, used
from tests.statements import asked
from tests.unit.cli.test_looking import Operator

T = TypeVar("T")

PAGES = ("", "/overview.json", "/plan.json", *(f"/{path}" for path in LISTINGS))


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """A bridge that has been used."""
    with used(tmp_path_factory.mktemp("console")) as made:
        yield made


async def told(command: Callable[..., T], *arguments: str) -> T:
    """Return what a command tells; it has an event loop of its own."""
    return await asyncio.to_thread(command, *arguments)


def words(page: str) -> str:
    """Return what somebody reads on a page."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", "", page)))


# -- The way in --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES)
async def test_nobody_sees_a_page_without_signing_in(open_site: Site, path: str) -> None:
    """A page names nobody to somebody unknown."""
    async with open_site.browser() as browser:
        answer = await browser.get(f"/console{path}")
    assert answer.status_code == 401
    assert "x.example" not in answer.text


async def test_a_link_signs_in_once(open_site: Site) -> None:
    """It is looked at as often as one likes, and taken once; the cookie is out of reach of scripts and other sites."""
    link = await Desk(open_site.bridge.store).invite("Grace", "viewer")
    async with open_site.browser() as browser, open_site.browser() as other:
        for _ in range(2):
            assert (await browser.get(f"/console/sign-in?link={link}")).status_code == 200
        answer = await browser.post("/console/sign-in", {"link": link})
        assert answer.status_code == 303
        cookie = answer.headers["set-cookie"]
        assert all(part in cookie.lower() for part in ("httponly", "samesite=strict", "max-age=28800", "path=/"))
        assert (await browser.get("/console")).status_code == 200
        assert (await other.post("/console/sign-in", {"link": link})).status_code == 403
        assert (await other.get("/console")).status_code == 401


async def test_a_link_and_a_session_end(open_site: Site) -> None:
    """After minutes the one, after eight hours the other; nothing of them is kept in clear."""
    store = open_site.bridge.store
    then = datetime.now(UTC) - timedelta(minutes=11)
    late = await Desk(store, clock=lambda: then).invite("Grace", "viewer")
    assert await Desk(store).enter(late) is None
    held = await Desk(store).enter(await Desk(store).invite("Grace", "viewer"))
    assert held is not None
    later = Desk(store, clock=lambda: datetime.now(UTC) + timedelta(hours=8, seconds=1))
    assert await Desk(store).visitor(held) is not None
    assert await later.visitor(held) is None
    rows = await store.read(lambda tx: tx.exec_driver_sql("SELECT * FROM sign_in").all())
    assert rows
    assert held not in str(rows)


async def test_sessions_are_bounded(open_site: Site) -> None:
    """The session that ends first makes room."""
    store, moment = open_site.bridge.store, datetime.now(UTC)

    def keep(tx: Transaction, number: int) -> None:
        entry = sign_ins.SignIn("Grace", "viewer", moment + timedelta(days=1, hours=number))
        sign_ins.keep(tx, "session", bytes([number]), entry, now=moment, most=3)

    def kept_of(tx: Transaction) -> list[bool]:
        return [sign_ins.find(tx, "session", bytes([number]), now=moment) is not None for number in range(5)]

    for number in range(5):
        await store.write(partial(keep, number=number))
    kept = await store.read(kept_of)
    assert kept == [False, False, True, True, True]


async def test_signing_out_ends_the_session(open_site: Site) -> None:
    """Not only the cookie: what was held opens nothing any more."""
    async with open_site.browser("viewer") as browser:
        (held,) = browser.http.cookies.values()
        assert (await browser.post("/console/sign-out")).status_code == 303
        assert await Desk(open_site.bridge.store).visitor(held) is None


# -- What browsers are told, and what is refused -----------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/console", "/console/nothing", "/nothing", "/console/people", "/console/sign-in"])
async def test_every_answer_lets_a_browser_load_nothing_from_elsewhere(grace: Browser, path: str) -> None:
    """A strict policy, and pages that keep to it: no script, no style of their own, nothing of another host."""
    answer = await grace.get(path)
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "unsafe" not in POLICY
    assert "script-src" not in POLICY
    assert not re.search(r"<script|<style|\sstyle=|\son\w+=|https?://", answer.text)
    assert answer.text.count("<h1>") == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "", "Origin": "http://127.0.0.1:8081"},
    ],
)
async def test_what_another_site_sends_does_nothing(open_site: Site, grace: Browser, headers: dict[str, str]) -> None:
    """A form of somebody else's page, sent by an operator's browser, is refused before it is read."""
    before = await open_site.decisions()
    answer = await grace.post("/console/sign-out", None, **headers)
    assert answer.status_code == 403
    assert (await grace.get("/console")).status_code == 200
    assert await open_site.decisions() == before


@pytest.mark.parametrize(
    ("origin", "status"), [("http://127.0.0.1:8081", 303), ("http://evil.example", 403), (None, 403)]
)
async def test_an_older_browser_is_known_by_its_origin(grace: Browser, origin: str | None, status: int) -> None:
    """Where there is no Sec-Fetch-Site, Origin must be the console's."""
    headers = {} if origin is None else {"Origin": origin}
    answer = await grace.http.post("/console/people", data={"find": "ada"}, headers=headers)
    assert answer.status_code == status


async def test_another_name_of_the_machine_is_not_answered(grace: Browser) -> None:
    """A site whose name is made to mean this machine reads nothing."""
    assert (await grace.get("/console", Host="evil.example")).status_code == 421


async def test_what_is_too_large_or_no_form_is_refused(grace: Browser) -> None:
    """By a page, before all of it is read."""
    kind = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
    large = await grace.http.post("/console/people", content=b"find=" + b"a" * FORM_BYTES, headers=kind)
    assert large.status_code == 413
    many = await grace.http.post("/console/people", content=b"a=&" * 6_000, headers=kind)
    assert many.status_code == 400
    other = await grace.http.post("/console/people", json={}, headers={"Sec-Fetch-Site": "same-origin"})
    assert other.status_code == 415


@pytest.mark.parametrize("role", get_args(Role))
@pytest.mark.parametrize("path", PAGES)
async def test_a_viewer_looks_and_takes_no_files(open_site: Site, role: Role, path: str) -> None:
    """Roles are the server's matter: what a page does not offer is refused, too."""
    async with open_site.browser(role) as browser:
        assert (await browser.get(f"/console{path}")).status_code == (
            403 if role == "viewer" and path.endswith(".json") else 200
        )
        for face in ("json", "csv") if path and not path.endswith(".json") else ():
            answer = await browser.get(f"/console{path}.{face}")
            assert answer.status_code == (403 if role == "viewer" else 200)


# -- What pages say ----------------------------------------------------------------------------------------------------


async def test_the_overview_says_what_needs_somebody(grace: Browser) -> None:
    """One sentence and one button each."""
    page = words((await grace.get("/console")).text)
    assert "held changes wait for you (1)." in page
    assert "Decide" in page
    assert "beta" in page


async def test_who_only_observes_is_led_to_the_plan(operator: Operator, grace: Browser) -> None:
    """Going live is the command line's, which compares once more; what it would do is seen here."""
    await told(operator.run, "hold", "beta")
    page = (await grace.get("/console")).text
    assert 'href="/console/plan">See the plan' in page


async def test_a_person_is_found_and_told_by_one_sentence(operator: Operator, grace: Browser) -> None:
    """From a part of the name to the page; no URL on the way has the name in it."""
    answer = await grace.post("/console/people", {"find": "DAN", "connection": "acme"})
    assert answer.status_code == 303
    assert "dan" not in answer.headers["location"].lower().partition("view=")[0]
    found = await grace.get(answer.headers["location"])
    assert "dan@x.example" in found.text
    assert "eve@x.example" not in found.text
    (path,) = set(re.findall(r'/console/people/acme/[^"]+', found.text))
    page = await grace.get(path)
    (expected,) = await told(operator.rows, "person", "acme", "dan@x.example")
    assert expected["sentence"] in words(page.text)


async def test_what_is_chosen_wrongly_is_told_on_the_page(grace: Browser) -> None:
    """A filter that is none, a group that is not there, a link of another run."""
    for fields, sentence in (
        ({"filter": "no filter"}, ""),
        ({"group": "Nowhere"}, "no group of the name"),
        ({"state": "odd"}, "a value that it cannot have"),
    ):
        answer = await grace.get((await grace.post("/console/people", fields)).headers["location"])
        assert answer.status_code == 400
        assert sentence in words(answer.text)
    assert (await grace.get("/console/people?view=nonsense")).status_code == 400


@pytest.mark.parametrize("path", ["/console/people/acme/nobody", "/console/people/nowhere/1", "/console/x", "/x"])
async def test_what_is_not_there_is_a_page(grace: Browser, path: str) -> None:
    """Not a traceback."""
    answer = await grace.get(path)
    assert answer.status_code == 404
    assert "There is no such page." in answer.text


async def test_pages_follow_each_other_without_gap(
    operator: Operator, grace: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each person stands on one page, of one connection after the other."""
    monkeypatch.setattr("scim_bridge.console.lists.page.__kwdefaults__", {"limit": 2})
    seen: list[str] = []
    path = "/console/people"
    while True:
        page = (await grace.get(path)).text
        seen += re.findall(r'href="/console/people/\w+/([^"]+)"', page)
        if (following := re.search(r'href="([^"]+)">Next page', page)) is None:
            break
        path = following[1]
    assert seen == [one["id"] for one in await told(operator.rows, "people")]


# -- One rendering -----------------------------------------------------------------------------------------------------

COMMANDS = {
    "people": "people",
    "groups": "groups",
    "work": "pending",
    "held": "held",
    "drift": "drift",
    "departures": "departures",
    "requests": "requests",
}


async def unmoved(shown: Callable[[], Awaitable[object]], command: Callable[[], Awaitable[object]]) -> bool:
    """Whether a page shows what the command line says before and after it: what is pending is tried again meanwhile."""
    while True:
        before, page = await command(), await shown()
        if before == await command():
            return page == before


@pytest.mark.parametrize("path", COMMANDS)
async def test_files_have_what_the_command_line_prints(operator: Operator, grace: Browser, path: str) -> None:
    """The same rows; CSV to the byte."""
    command = COMMANDS[path]
    assert await unmoved(partial(_json, grace, f"{path}.json"), partial(told, operator.rows, command))
    assert await unmoved(partial(_text, grace, f"{path}.csv"), partial(_printed, operator, command, "--csv"))
    printed = await _text(grace, f"{path}.csv")
    assert len(list(csv.reader(io.StringIO(printed)))) > (path not in {"drift", "requests"})


async def test_the_overview_tokens_and_a_person_are_the_command_lines(operator: Operator, grace: Browser) -> None:
    """As JSON."""
    await told(operator.run, "token", "create", "acme", "--name", "okta")
    for page, command in (("overview", ["status"]), ("plan", ["plan"]), ("tokens", ["token", "list"])):
        assert await unmoved(partial(_json, grace, f"{page}.json"), partial(told, operator.rows, *command))
    assert "eve@x.example" in await _text(grace, "plan")

    async def shown() -> object:
        return [await _json(grace, f"people/acme/{operator.ids['dan']}.json")]

    assert await unmoved(shown, partial(told, operator.rows, "person", "acme", "dan@x.example"))


async def _text(browser: Browser, path: str) -> str:
    return (await browser.get(f"/console/{path}")).text


async def _json(browser: Browser, path: str) -> object:
    return json.loads(await _text(browser, path))


async def _printed(operator: Operator, *command: str) -> str:
    return (await told(operator.run, *command)).stdout


async def test_a_file_is_an_entry_with_the_person(open_site: Site, grace: Browser) -> None:
    """In the chain of each connection that is in it."""
    before = len(await open_site.entries("beta"))
    location = (await grace.post("/console/people", {"connection": "beta"})).headers["location"]
    await grace.get(location.replace("/people?", "/people.csv?"))
    (entry,) = (await open_site.entries("beta"))[before:]
    assert (entry["event"], entry["operation"], entry["actor"]) == ("export", "people.csv", "operator Grace")
    assert json.dumps(entry)


# -- What a page costs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["", *(f"/{path}" for path in LISTINGS)])
async def test_no_page_goes_through_everything(open_site: Site, grace: Browser, path: str) -> None:
    """Each statement finds its rows by an index: a page costs the same with a hundred thousand people."""
    with asked() as statements:
        assert (await grace.get(f"/console{path}")).status_code == 200

    def plans(tx: Transaction) -> list[str]:
        return [
            str(row[3])
            for sql, values in statements
            if sql.lstrip().startswith("SELECT")
            for row in tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", tuple(values))
        ]

    found = await open_site.bridge.store.read(plans)
    assert found
    assert not [one for one in found if re.match(r"SCAN (resource|member|audit|attribute_value|request)\b", one)]
    assert len(statements) < 60
