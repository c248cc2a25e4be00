"""What is kept of requests, on both databases: found by what operators ask for, and forgotten in portions."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from scim_bridge.store import audit, request_log
from scim_bridge.store.engine import Store
from scim_bridge.store.request_log import Chosen, KeptCall, KeptRequest

NOW = datetime(2026, 11, 27, tzinfo=UTC)
READ = KeptRequest(NOW, "acme", "read-1", "GET", "read", "User", "ada", 200, 0.004, "okta", {"filter": ["userName"]})
WRITE = KeptRequest(NOW, "acme", "write-1", "PATCH", "patch", "User", "ada", 200, 0.25, "okta")
REFUSED = KeptRequest(
    NOW, "acme", "none-1", "GET", "unknown", None, None, 401, 0.001, "old", {"refused": "expired token"}
)
GROUP = KeptRequest(NOW, "acme", "group-1", "PATCH", "patch", "Group", "sales", 204, 0.5, "okta")
ELSEWHERE = replace(WRITE, connection_id="beta")
CALL = KeptCall(NOW, "write-1", "DELETE", "/users/*", "204", 0.125, 2)


async def ids(store: Store, chosen: Chosen, **place: Any) -> list[str]:
    """Return the ids of the requests of acme that are found."""
    where = {"before": None, "limit": 10} | place
    found = await store.read(lambda tx: request_log.newest(tx, "acme", chosen, **where))
    return [one.id for one in found]


async def test_requests_are_found_by_what_is_asked(store: Store) -> None:
    """The newest first; of one person those that only changed a group of theirs, too, and no reads."""
    entry = {"event": "outcome", "kind": "User", "id": "ada", "request": "group-1"}
    await store.write(lambda tx: request_log.write(tx, [READ, WRITE, REFUSED, GROUP, ELSEWHERE], [CALL]))
    await store.write(lambda tx: audit.append(tx, "acme", entry, now=NOW))

    assert await ids(store, Chosen()) == ["group-1", "none-1", "write-1", "read-1"]
    assert await ids(store, Chosen(writes=True)) == ["group-1", "none-1", "write-1"]
    assert await ids(store, Chosen(failed=True)) == await ids(store, Chosen(status=401)) == ["none-1"]
    assert await ids(store, Chosen(status=200)) == ["write-1", "read-1"]
    assert await ids(store, Chosen(token="old")) == ["none-1"]
    assert await ids(store, Chosen(target="ada")) == ["group-1", "write-1"]
    assert await ids(store, Chosen(since=NOW + timedelta(seconds=1))) == []
    (last,) = await store.read(lambda tx: request_log.newest(tx, "acme", Chosen(), before=None, limit=1))
    assert await ids(store, Chosen(), before=last.place, limit=2) == ["none-1", "write-1"]

    kept = await store.read(lambda tx: request_log.of_id(tx, "read-1"))
    assert [replace(one, place=(0, 0)) for one in kept] == [READ]
    assert [one.connection_id for one in await store.read(lambda tx: request_log.of_id(tx, "write-1"))] == [
        "beta",
        "acme",
    ]
    assert await store.read(lambda tx: request_log.calls_of(tx, "write-1")) == [CALL]
    assert await store.read(lambda tx: audit.verify(tx, "acme")) is None


async def test_what_is_old_goes_in_portions(store: Store) -> None:
    """At most so many rows in one transaction, the oldest first; what is young stays."""
    portion = request_log.PORTION
    old = [replace(READ, id=f"old-{number}") for number in range(portion + 1)]
    calls = [replace(CALL, request_id="old-0"), replace(CALL, at=NOW + timedelta(days=2))]
    young = replace(WRITE, at=NOW + timedelta(days=2))
    await store.write(lambda tx: request_log.write(tx, [*old, young], calls))
    forget = partial(request_log.forget, before=NOW + timedelta(days=1))

    assert await store.write(forget) is True
    assert len(await ids(store, Chosen(), limit=1000)) == 2
    assert await store.write(forget) is False
    assert await ids(store, Chosen()) == ["write-1"]
    assert await store.read(lambda tx: request_log.calls_of(tx, "old-0")) == []
    assert len(await store.read(lambda tx: request_log.calls_of(tx, "write-1"))) == 1


async def test_many_reads_are_one_row(store: Store) -> None:
    """They are found as others are, page by page, and by their ids; what few have is with them."""
    seconds = NOW.timestamp()
    told = {"filter": ["userName"]}
    those = [(seconds + number, f"read-{number}", "read", "User", "ada", 0.004) for number in range(5)]
    row = request_log.reads("acme", "okta", [*those, (seconds + 5, "search-1", "search", "User", None, 0.5, told)])
    later = replace(WRITE, at=NOW + timedelta(seconds=6))
    await store.write(lambda tx: request_log.write(tx, [later], [], [row]))

    every = ["write-1", "search-1", "read-4", "read-3", "read-2", "read-1", "read-0"]
    assert await ids(store, Chosen()) == await ids(store, Chosen(token="okta")) == every
    assert await ids(store, Chosen(since=NOW + timedelta(seconds=4))) == every[:3]
    assert await ids(store, Chosen(writes=True)) == await ids(store, Chosen(target="ada")) == every[:1]
    seen: list[str] = []
    before = None
    while True:
        work = partial(request_log.newest, connection_id="acme", chosen=Chosen(), before=before, limit=2)
        page = await store.read(work)
        seen += [one.id for one in page]
        if len(page) < 2:
            break
        before = page[-1].place
    assert seen == every
    (found,) = await store.read(lambda tx: request_log.of_id(tx, "search-1"))
    assert replace(found, place=(0, 0)) == replace(
        READ, at=NOW + timedelta(seconds=5), id="search-1", action="search", target=None, seconds=0.5
    )
    assert await store.read(lambda tx: request_log.of_id(tx, "read-")) == []
