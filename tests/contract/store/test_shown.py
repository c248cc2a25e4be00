"""What is read for responses in one statement is what the general functions read."""

from collections.abc import Collection
from datetime import datetime

import pytest
from scim2_models import ScimFilter
from sqlalchemy.engine import Connection

from scim_bridge.models import Group, Kind, User
from scim_bridge.store import memberships, query, resources, shown
from scim_bridge.store.clock import to_microseconds
from scim_bridge.store.engine import Store
from scim_bridge.store.rows import Ownership, ResourceRow
from scim_bridge.store.shown import Listing, Shown
from tests.contract.store.examples import CONNECTION
from tests.contract.store.worlds import NAMES, fill

EVERYTHING = frozenset(Ownership)
MANAGED = frozenset({Ownership.CREATED, Ownership.ADOPTED})


def like(row: ResourceRow) -> Shown:
    """Return what is shown of a row."""

    def at(moment: datetime) -> int:
        return to_microseconds(moment)

    return Shown(
        row.id, row.document, at(row.created_at), at(row.modified_at), row.version, row.active, row.shown_active
    )


def listed(tx: Connection, listing: Listing) -> tuple[list[Shown], int | None]:
    """Return a page as the general search finds it."""
    text = "" if listing.attribute is None else listing.value.replace("\\", "\\\\").replace('"', '\\"')
    found = query.query(
        tx,
        CONNECTION,
        [listing.kind],
        models={"User": User, "Group": Group},
        filter=None if listing.attribute is None else ScimFilter(f'{listing.attribute} eq "{text}"').ast,
        start_index=listing.start + 1,
        count=listing.count,
        listed=listing.listed,
    )
    return [like(row) for row in found.rows], found.total


def lists(kind: Kind, ownerships: Collection[frozenset[Ownership]]) -> list[Listing]:
    """Return lists of every kind: pages, and searches for a name that is there or not, in any spelling."""
    pages = [
        Listing(kind, each, start, count) for each in ownerships for start in (0, 1, 5, 50) for count in (1, 4, 99)
    ]
    attributes = ("userName", "externalId") if kind == "User" else ("displayName", "externalId")
    searches = [
        Listing(kind, each, start, 10, attribute, f"{name}{number}")
        for each in ownerships
        for attribute in attributes
        for name in NAMES
        for number in range(14)
        for start in (0, 1)
    ]
    return pages + searches


@pytest.mark.parametrize("seed", range(6))
async def test_what_is_shown_is_what_the_general_functions_read(store: Store, seed: int) -> None:
    """Of every resource, deleted ones too; of every membership; of any page and search."""
    users, groups = await store.write(lambda tx: fill(tx, seed))

    def compare(tx: Connection) -> int:
        members = 0
        for id_ in (*users, *groups, "nobody"):
            row = resources.get(tx, CONNECTION, "User", id_)
            held = memberships.groups_of(tx, CONNECTION, [id_], deleted=False)[id_]
            wanted = None if row is None else (like(row), [(group.id, group.name) for group in held])
            assert shown.user(tx, CONNECTION, id_) == wanted
            row = resources.get(tx, CONNECTION, "Group", id_)
            ids = [one.id for one in memberships.members_of(tx, CONNECTION, id_)]
            assert shown.group(tx, CONNECTION, id_) == (None if row is None else (like(row), ids))
            members += len(ids)
        many = memberships.groups_of(tx, CONNECTION, users, deleted=False)
        found = {id_: [(group.id, group.name) for group in held] for id_, held in many.items() if held}
        assert shown.groups_of(tx, CONNECTION, users) == found
        assert sum(map(len, found.values())) > 0
        for kind in ("User", "Group"):
            for listing in lists(kind, (EVERYTHING, MANAGED)):
                assert shown.page(tx, CONNECTION, listing) == listed(tx, listing), listing
        return members

    assert await store.read(compare) > 0


async def test_one_statement_is_asked_without_a_transaction(store: Store) -> None:
    """And what the database refuses is an error of the store, as it is of any other read."""
    users, _ = await store.write(lambda tx: fill(tx, 1))
    rows = await store.ask(shown.USER, shown.user_key(CONNECTION, users[0]))
    assert shown.user_in(rows) == await store.read(lambda tx: shown.user(tx, CONNECTION, users[0]))
