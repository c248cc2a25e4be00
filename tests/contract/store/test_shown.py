"""What is read for responses in one statement is what the general functions read."""

import random
from dataclasses import replace
from datetime import datetime
from itertools import product

import pytest
from scim2_models import ScimFilter

from scim_bridge.models import Group, Kind, User
from scim_bridge.store import memberships, query, resources, shown
from scim_bridge.store.clock import to_microseconds
from scim_bridge.store.engine import Store
from scim_bridge.store.rows import Ownership, ResourceRow
from scim_bridge.store.shown import COLUMNS, PATHS, Listing, Shown, Sought
from scim_bridge.store.transaction import Transaction
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


def sought_by(sought: Sought) -> str:
    """Return the operator of a comparison."""
    return "co" if sought.contained else "eq"


def found(tx: Transaction, listing: Listing) -> tuple[list[Shown], int | None]:
    """Return a page as the general search finds it."""
    sought = listing.sought
    text = "" if sought is None else sought.value.replace("\\", "\\\\").replace('"', '\\"')
    name = "userName" if listing.kind == "User" else "displayName"
    page = query.query(
        tx,
        CONNECTION,
        [listing.kind],
        models={"User": User, "Group": Group},
        filter=None if sought is None else ScimFilter(f'{sought.attribute} {sought_by(sought)} "{text}"').ast,
        sort_by=name if listing.by_name else None,
        descending=listing.descending,
        start_index=listing.start + 1,
        count=listing.count,
        listed=listing.listed,
    )
    return [like(row) for row in page.rows], page.total


def lists(kind: Kind, chance: random.Random) -> list[Listing]:
    """Return lists of every kind: pages in every order, and searches for texts that are there or not."""
    orders = list(product((EVERYTHING, MANAGED), (False, True), (False, True)))
    pages = [
        Listing(kind, ownerships, start, count, None, by_name, descending)
        for ownerships, by_name, descending in orders
        for start in (0, 1, 3, 6, 50)
        for count in (1, 4, 99)
    ]
    searches = []
    for attribute, contained in product((*COLUMNS[kind], *PATHS[kind]), (False, True)):
        for name in (*NAMES, "a", "A", "L" * 200, "L" * 201, "LM", "M1", "\uff21"):
            value = f"{name}{chance.randrange(14)}" if name in NAMES and chance.random() < 0.7 else name
            ownerships, by_name, descending = chance.choice(orders)
            sought = Sought(attribute, contained, value)
            searches.append(Listing(kind, ownerships, chance.choice((0, 0, 1)), 5, sought, by_name, descending))
    return pages + searches


@pytest.mark.parametrize("seed", range(6))
async def test_what_is_shown_is_what_the_general_functions_read(store: Store, seed: int) -> None:
    """Of every resource, deleted ones too; of every membership; of any page and search."""
    users, groups = await store.write(lambda tx: fill(tx, seed))

    def compare(tx: Transaction) -> int:
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
        wanted_groups = {id_: [(group.id, group.name) for group in held] for id_, held in many.items() if held}
        assert shown.groups_of(tx, CONNECTION, users) == wanted_groups
        assert sum(map(len, wanted_groups.values())) > 0
        for kind in ("User", "Group"):
            for listing in lists(kind, random.Random(seed)):
                assert shown.page(tx, CONNECTION, listing) == found(tx, listing), listing
        return members

    assert await store.read(compare) > 0


async def test_one_statement_is_asked_without_a_transaction(store: Store) -> None:
    """And what the database refuses is an error of the store, as it is of any other read."""
    users, _ = await store.write(lambda tx: fill(tx, 1))
    rows = await store.ask(shown.USER, shown.user_key(CONNECTION, users[0]))
    assert shown.user_in(rows) == await store.read(lambda tx: shown.user(tx, CONNECTION, users[0]))


async def test_what_is_listed_is_counted_as_it_is_written(store: Store) -> None:
    """Whatever is made, deleted, taken over and removed: the count is that of the rows."""
    users, groups = await store.write(lambda tx: fill(tx, 2))
    chance = random.Random(2)

    def count(tx: Transaction) -> list[int]:
        return [
            shown.page(tx, CONNECTION, Listing(kind, ownerships, 0, 1))[1]
            for kind in ("User", "Group")
            for ownerships in (EVERYTHING, MANAGED)
        ]

    def rows(tx: Transaction) -> list[int]:
        all_ids: list[tuple[Kind, str]] = [("User", id_) for id_ in users]
        all_ids += [("Group", id_) for id_ in groups]
        live = [(kind, resources.get(tx, CONNECTION, kind, id_)) for kind, id_ in all_ids]
        return [
            sum(row is not None and row.ownership in ownerships for known, row in live if known == kind)
            for kind in ("User", "Group")
            for ownerships in (EVERYTHING, MANAGED)
        ]

    def change(tx: Transaction) -> None:
        kind: Kind
        kind, id_ = chance.choice([("User", one) for one in users] + [("Group", one) for one in groups])
        row = resources.get(tx, CONNECTION, kind, id_, deleted=True)
        if row is None:
            return
        if chance.random() < 0.2:
            resources.remove(tx, CONNECTION, id_)
            return
        changed = replace(row, deleted=chance.random() < 0.5, ownership=chance.choice(list(Ownership)))
        resources.save(tx, replace(changed, unique_name=False))

    for _ in range(40):
        await store.write(change)
        assert await store.read(count) == await store.read(rows)
