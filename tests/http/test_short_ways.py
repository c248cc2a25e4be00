"""A read that goes the short way is answered as it would be on the long one: status, header fields and bytes."""

import random
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pytest

from scim_bridge.errors import StoreUnavailableError
from scim_bridge.protocol import preset
from scim_bridge.server import ConnectionOptions, TokenAuthentication, application
from scim_bridge.testing.memory_roles import MemoryRolesConnector
from tests.contract.store.worlds import NAMES, fill
from tests.http.bridge import Tenant, bridge


def requests(chance: random.Random, users: list[str], groups: list[str]) -> list[str]:
    """Return paths of reads, among them some that only the long way knows."""
    single = [f"/Users/{id_}" for id_ in (*users, *groups[:1], "nobody")] + [f"/Groups/{id_}" for id_ in groups]
    pages = [
        f"/{endpoint}{slash}{'?' if query else ''}{query}"
        for endpoint in ("Users", "Groups")
        for slash in ("", "/")
        for query in ("", "startIndex=1&count=3", "startIndex=4&count=3", "startIndex=99", "count=5000", "count=1&")
    ]
    pages += [
        f"/{endpoint}?sortBy={by}&sortOrder={order}&startIndex={start}&count=3"
        for endpoint in ("Users", "Groups")
        for by in ("userName", "displayName", "emails", "")
        for order in ("ascending", "descending", "DESCENDING")
        for start in (1, 6)
    ]
    odd = [
        "/Users?startIndex=0&count=2",
        "/Users?count=0",
        "/Users?count=-1",
        "/Users?startIndex=x",
        "/Users?startindex=2&COUNT=2",
        "/Users?count=2&count=3",
        "/Users?count=%31",
        "/Users?startIndex=00001",
        "/Users?startIndex=999999999&count=9",
        "/Users?attributes=userName",
        "/Users?filter=",
        "/Users?sortBy=userName",
        "/Users?cursor=",
        "/Users?unknown=1",
        "/Users?filter=%ff",
        f"/Users/{users[0]}?attributes=userName",
        f"/Users/{users[0]}/",
        f"/Users/{users[0]}/x",
        "/Users/..",
        "/Nobody",
    ]
    filters = [
        f"{attribute} {op} {value}"
        for attribute in ("userName", "displayName", "externalId", "username", "emails.value", "emails")
        for op in ("eq", "co", "EQ", "ne")
        for name in NAMES
        for number in (chance.randrange(14), chance.randrange(14))
        for value in (f'"{name}{number}"', f'" {name}{number}"', f"{name}{number}")
    ]
    searches = [f"/{chance.choice(('Users', 'Groups'))}?filter={quote(text)}" for text in chance.sample(filters, 90)]
    return single + pages + odd + searches


def told(answer: httpx2.Response) -> tuple[int, dict[str, str], bytes]:
    """Return what of an answer must be the same."""
    return (
        answer.status_code,
        {name: value for name, value in answer.headers.items() if name != "x-request-id"},
        answer.content,
    )


@pytest.mark.parametrize("client", ["generic", "entra", "okta", "strict"])
@pytest.mark.parametrize("list_unmanaged", [True, False])
async def test_the_short_way_answers_as_the_long_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, client: str, list_unmanaged: bool
) -> None:
    """For every client, of every state that resources and memberships can be in."""
    options = ConnectionOptions(list_unmanaged=list_unmanaged)
    short = 0
    answer = application.Server._short_answer

    async def counted(server: application.Server, *request: Any) -> Any:
        nonlocal short
        answered = await answer(server, *request)
        short += answered is not None
        return answered

    async def never(*_: Any) -> None:
        return None

    async with bridge(tmp_path, client=preset(client), options=options) as (acme,):
        users, groups = await acme.store.write(lambda tx: fill(tx, 3))
        for path in requests(random.Random(3), users, groups):
            monkeypatch.setattr(application.Server, "_short_answer", counted)
            quick = told(await acme.get(path))
            monkeypatch.setattr(application.Server, "_short_answer", never)
            assert quick == told(await acme.get(path)), path
    assert short > 30


async def test_what_people_hold_is_told_on_the_short_way_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one person, a page and a search: roles, whoever gave them, are those of the long way."""

    async def never(*_: Any) -> None:
        return None

    async with bridge(tmp_path, connector_type=MemoryRolesConnector) as (acme,):
        people = [await acme.user(f"{name}@example.com") for name in ("ada", "ben", "eve")]
        await acme.group("eng", people[0]["id"], people[1]["id"])
        acme.remote.roots.add(str((await acme.row(people[2])).remote_id))
        await acme.compare()
        search = quote('userName eq "eve@example.com"')
        paths = ["/Users", "/Users?startIndex=2&count=1", f"/Users?filter={search}"]
        paths += [f"/Users/{person['id']}" for person in people]
        quick = [told(await acme.get(path)) for path in paths]
        assert [body.count(b'"roles":') for _, _, body in quick] == [3, 1, 1, 1, 1, 1]
        monkeypatch.setattr(application.Server, "_short_answer", never)
        assert quick == [told(await acme.get(path)) for path in paths]


async def test_what_needs_more_goes_the_long_way(acme: Tenant) -> None:
    """Conditions, other tokens, HEAD: nothing of them is answered by the short way."""
    ada = await acme.user()
    path = f"/Users/{ada['id']}"
    assert (await acme.get(path, If_None_Match=ada["meta"]["version"])).status_code == 304
    assert (await acme.get(path, Authorization="Bearer x")).status_code == 401
    assert (await acme.get(path, Content_Encoding="gzip")).status_code == 415
    head = await acme.send("HEAD", path)
    assert (head.status_code, head.content) == (200, b"")


async def test_a_name_that_is_not_known_is_looked_for_in_the_remote_system(acme: Tenant) -> None:
    """The short way finds nobody, and leaves it to the long one to ask."""
    acme.remote.add_account("grace@example.com")
    search = quote('userName eq "grace@example.com"')
    found = (await acme.get(f"/Users?filter={search}")).json()
    assert found["totalResults"] == 1


async def test_a_store_that_fails_is_told_on_the_long_way(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the token cannot be looked up, a read is put off as every request is."""
    ada = await acme.user()

    async def failing(_authentication: TokenAuthentication, _connection_id: str, _token: str) -> None:
        raise StoreUnavailableError("the store is not available; nothing was accepted, retry")

    monkeypatch.setattr(TokenAuthentication, "__call__", failing)
    answer = await acme.get(f"/Users/{ada['id']}")
    assert answer.status_code == 429
    assert answer.headers["retry-after"].isdigit()
