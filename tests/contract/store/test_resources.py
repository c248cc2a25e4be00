"""Rows of Users and Groups."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from scim2_models import InvalidValueException, UniquenessException

from scim_bridge.errors import RemoteConflictError
from scim_bridge.models import Lane, User
from scim_bridge.store import documents, resources
from scim_bridge.store.engine import Store
from scim_bridge.store.rows import Observed, Ownership, Refusal, ResourceRow, State
from scim_bridge.store.transaction import Transaction
from tests.contract.store.examples import CONNECTION, NOON, group, row_of, user

FULL = {
    "external_id": "ext-1",
    "remote_id": "remote-1",
    "active": False,
    "shown_active": True,
    "generation": 7,
    "observed_generation": 6,
    "observed": Observed(True, True, {"name.givenName": "Ada"}, ("title",)),
    "ambiguous": True,
    "ownership": Ownership.ADOPTED,
    "state": State.PENDING,
    "lane": Lane.REMOVE,
    "attempt": 3,
    "not_before": NOON + timedelta(microseconds=1),
    "refusal": Refusal(409, "uniqueness", "taken"),
    "answered": False,
    "version": 9,
}


async def add(store: Store, resource: Any, **changes: Any) -> ResourceRow:
    """Insert a resource and return its row."""
    row = row_of(resource, **changes)
    await store.write(lambda tx: resources.insert(tx, row, resource))
    return row


async def test_what_is_inserted_is_read_back(store: Store) -> None:
    """Every column of a row survives the way to the database and back."""
    row = await add(store, user("ada@example.com", title="\U0001f701 é"), **FULL)
    assert await store.read(lambda tx: resources.get(tx, CONNECTION, "User", row.id)) == row


async def test_replace_writes_every_column(store: Store) -> None:
    """A replaced row is read back as the new one."""
    row = await add(store, user("ada@example.com"), **FULL)
    changed = row_of(user("eve@example.com"), id=row.id, created_at=NOON + timedelta(days=1))
    await store.write(lambda tx: resources.save(tx, changed, user("eve@example.com")))
    assert await store.read(lambda tx: resources.get(tx, CONNECTION, "User", row.id)) == changed


async def test_names_are_unique_as_scim_compares_them(store: Store) -> None:
    """A userName that differs in case, width or composition only is taken, and the first row stays."""
    first = await add(store, user("Stra\u00dfe-\u00e9@example.com"))
    with pytest.raises(UniquenessException):
        await add(store, user("STRASSE-E\u0301@example.com"))
    found = await store.read(
        lambda tx: resources.find_by_name(tx, CONNECTION, "User", "\uff33trasse-\u00e9@EXAMPLE.com")
    )
    assert found == first
    assert await count_rows(store) == 1


async def test_a_name_is_taken_by_a_replace_too(store: Store) -> None:
    """A rename onto a taken name is refused and changes nothing."""
    await add(store, user("ada"))
    eve = await add(store, user("eve"))
    renamed = replace(eve, name="ADA")
    with pytest.raises(UniquenessException):
        await store.write(lambda tx: resources.save(tx, renamed))
    assert await store.read(lambda tx: resources.get(tx, CONNECTION, "User", eve.id)) == eve


@pytest.mark.parametrize(
    "changes",
    [{"connection_id": "other"}, {"deleted": True}, {"unique_name": False}],
    ids=["another connection", "a deleted holder", "names that need not be unique"],
)
async def test_a_name_is_free_where_nobody_claims_it(store: Store, changes: dict[str, object]) -> None:
    """A name is taken by live rows of the same connection and kind only."""
    await add(store, user("ada"), **changes)
    await add(store, user("ada"))
    await add(store, group("ada"))
    assert await count_rows(store) == 3 - ("connection_id" in changes)


async def test_racing_inserts_of_one_name_leave_one_row(store: Store) -> None:
    """Of many simultaneous inserts of one name, one wins; the unique index has the last word."""
    outcomes = await asyncio.gather(*(add(store, user("ada")) for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(outcome, ResourceRow) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, UniquenessException) for outcome in outcomes) == 7
    assert await count_rows(store) == 1


async def test_a_remote_id_stands_for_one_resource(store: Store) -> None:
    """A second row for one remote id is refused, also while the first is being deleted; none at all is no conflict."""
    first = await add(store, user("ada"), remote_id="1", deleted=True)
    with pytest.raises(RemoteConflictError):
        await add(store, user("eve"), remote_id="1")
    await add(store, user("bob"))
    await add(store, user("joe"))
    assert await store.read(lambda tx: resources.find_by_remote_id(tx, CONNECTION, "User", "1")) == first
    assert await store.read(lambda tx: resources.find_by_remote_id(tx, CONNECTION, "Group", "1")) is None


async def test_an_external_id_is_case_exact(store: Store) -> None:
    """An externalId is found in its own case only (RFC 7643 §3.1)."""
    row = await add(store, user("ada"), external_id="aB")
    assert await store.read(lambda tx: resources.find_by_external_id(tx, CONNECTION, "User", "aB")) == row
    assert await store.read(lambda tx: resources.find_by_external_id(tx, CONNECTION, "User", "ab")) is None


async def test_a_deleted_resource_is_invisible_unless_asked_for(store: Store) -> None:
    """A row that waits for its removal is found by its remote side only."""
    row = await add(store, user("ada"), deleted=True, external_id="x")
    assert await store.read(lambda tx: resources.get(tx, CONNECTION, "User", row.id)) is None
    assert await store.read(lambda tx: resources.get(tx, CONNECTION, "User", row.id, deleted=True)) == row
    assert await store.read(lambda tx: resources.find_by_name(tx, CONNECTION, "User", "ada")) is None
    assert await store.read(lambda tx: resources.find_by_external_id(tx, CONNECTION, "User", "x")) is None


async def test_another_connection_sees_and_touches_nothing(store: Store) -> None:
    """Every function keeps to its connection."""
    row = await add(store, user("ada"), state=State.PENDING)

    def work(tx: Transaction) -> None:
        assert resources.get(tx, "other", "User", row.id) is None
        assert resources.find_by_name(tx, "other", "User", "ada") is None
        assert resources.iterate(tx, "other", "User", after=None, limit=9) == []
        assert resources.pending(tx, "other", now=NOON, limit=9) == []
        assert resources.ledger(tx, "other") == []
        assert resources.counts(tx, "other") == {}
        assert resources.bump(tx, "other", [row.id], lane=Lane.REMOVE, now=NOON) == {}
        resources.touch(tx, "other", [row.id])
        resources.remove(tx, "other", row.id)

    await store.write(work)
    assert await store.read(lambda tx: resources.get(tx, CONNECTION, "User", row.id)) == row


async def test_a_name_that_cannot_be_indexed_is_refused(store: Store) -> None:
    """Names and external ids have a length both databases can index; a longer one is the client's fault."""
    with pytest.raises(InvalidValueException):
        await add(store, user("a" * 501))
    with pytest.raises(InvalidValueException):
        await add(store, user("ada"), external_id="\U0001f701" * 501)
    await add(store, user("\U0001f701" * 500), external_id="\U0001f701" * 500)


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b"], ids=["NUL", "lone surrogate"])
async def test_text_that_no_database_holds_is_refused(store: Store, text: str) -> None:
    """NUL and lone surrogates are the client's fault on both databases, not a failure of one."""
    resource = user("ada")
    row = row_of(resource)
    resource.title = text
    with pytest.raises(InvalidValueException):
        await store.write(lambda tx: resources.insert(tx, row, resource))
    assert await count_rows(store) == 0


async def test_iterate_pages_through_everything_in_order(store: Store) -> None:
    """Pages of a kind join to all rows of it, deleted ones too, each once, by id."""
    rows = [await add(store, user(f"user-{number}"), deleted=number % 2 == 0) for number in range(7)]
    await add(store, group("staff"))
    seen: list[str] = []

    def page(tx: Transaction) -> list[ResourceRow]:
        return resources.iterate(tx, CONNECTION, "User", after=seen[-1] if seen else None, limit=3)

    while found := await store.scan(page):
        seen += [row.id for row in found]
    assert seen == sorted(row.id for row in rows)


async def test_remove_leaves_nothing_behind(store: Store) -> None:
    """A removed resource takes its index and its memberships along, and its name is free."""
    row = await add(store, user("ada", emails=[{"value": "ada@example.com"}]))
    await store.write(lambda tx: resources.remove(tx, CONNECTION, row.id))
    await add(store, user("ada"))
    assert await count_rows(store) == 1


def test_a_document_keeps_what_the_client_wrote_and_only_that() -> None:
    """``meta``, ``groups`` and ``password`` are not stored; ``active`` always is; decode gives the resource back."""
    resource = user("ada", password="secret", name={"givenName": "Ada"}, groups=[{"value": "1"}])
    row = row_of(resource)
    assert b"secret" not in row.document
    assert b"groups" not in row.document
    assert b'"active":true' in row.document
    decoded: Any = documents.decode(row, User)
    assert (decoded.id, decoded.user_name, decoded.name.given_name) == (row.id, "ada", "Ada")
    assert decoded.meta is not None
    assert (decoded.meta.version, decoded.meta.created, decoded.meta.resource_type) == ('W/"1"', NOON, "User")


async def count_rows(store: Store) -> int:
    """Return how many rows of the connection there are."""
    return sum((await store.read(lambda tx: resources.counts(tx, CONNECTION))).values())
