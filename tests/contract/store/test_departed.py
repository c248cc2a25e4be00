"""Who was deleted is found by name: while the name is kept, and by a keyed hash after that."""

import json
from datetime import timedelta

from sqlalchemy import select

from scim_bridge.store import departed
from scim_bridge.store.engine import Store
from scim_bridge.store.tables import connector_state
from scim_bridge.store.transaction import Transaction
from tests.contract.store.examples import CONNECTION, NOON, row_of, user

DAY = timedelta(days=1)


def fill(tx: Transaction) -> None:
    """Keep two people, a day apart."""
    for number, name in enumerate(("Ada@x.example", "bob@x.example")):
        departed.keep(tx, row_of(user(name), id=name[:3].lower()), now=NOON + number * DAY)


def rows(tx: Transaction) -> str:
    """Return all that the table has of the connection."""
    found = tx.execute(select(connector_state.c.value).where(connector_state.c.connection_id == CONNECTION))
    return json.dumps(found.scalars().all())


async def test_a_name_gives_way_to_a_hash_that_still_finds_it(store: Store) -> None:
    """In any case of letters; nobody else's; the table has the name no more."""

    def work(tx: Transaction) -> None:
        fill(tx)
        assert departed.find(tx, CONNECTION, "ADA@X.example") == {"ada"}
        assert departed.names(tx, CONNECTION, ["ada", "bob", "cyd"]) == {"ada": "Ada@x.example", "bob": "bob@x.example"}
        assert departed.hide(tx, CONNECTION, NOON + DAY, now=NOON + DAY) == 1
        assert departed.hide(tx, CONNECTION, NOON + DAY, now=NOON + DAY) == 0
        assert departed.names(tx, CONNECTION, ["ada", "bob"]) == {"bob": "bob@x.example"}
        assert departed.find(tx, CONNECTION, "ada@x.example") == {"ada"}
        assert departed.find(tx, CONNECTION, "bob@x.example") == {"bob"}
        assert departed.find(tx, CONNECTION, "cyd@x.example") == set()
        assert departed.find(tx, "other", "ada@x.example") == set()
        assert "Ada" not in rows(tx)

    await store.write(work)


async def test_what_is_pruned_is_forgotten(store: Store) -> None:
    """Also after the name gave way, by the time of the deletion."""

    def work(tx: Transaction) -> None:
        fill(tx)
        departed.hide(tx, CONNECTION, NOON + DAY, now=NOON + DAY)
        departed.forget(tx, CONNECTION, NOON + DAY)
        assert departed.find(tx, CONNECTION, "ada@x.example") == set()
        assert departed.find(tx, CONNECTION, "bob@x.example") == {"bob"}

    await store.write(work)
