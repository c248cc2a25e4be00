"""What the store sends to the database."""

from functools import partial

import pytest
from scim2_models import InvalidFilterException, ScimFilter

from scim_bridge.models import Lane, User
from scim_bridge.store import connector_state, membership_changes, memberships, query, resources
from scim_bridge.store.engine import Store
from scim_bridge.store.rows import MemberDelta, Ownership
from scim_bridge.store.transaction import Transaction
from tests.contract.store.examples import CONNECTION, ENTERPRISE, NOON, row_of, user
from tests.statements import asked

CANARY = "canary'\"--;7f3a"
QUOTED = CANARY.replace('"', '\\"')
FILTERS = [
    *(f'userName {op} "{QUOTED}"' for op in ("eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le")),
    f'emails[type eq "{QUOTED}" and not (value co "{QUOTED}")]',
    f'{ENTERPRISE}:department eq "{QUOTED}" or groups.display sw "{QUOTED}"',
    f'schemas[value eq "{QUOTED}"] and id eq "{QUOTED}" and externalId pr',
    f'meta.version eq "{QUOTED}" and addresses.locality gt "{QUOTED}"',
]


async def test_no_text_of_a_client_ever_stands_in_a_statement(store: Store) -> None:
    """Whatever a client writes, filters by or sorts by reaches the database as a bound parameter only."""

    def work(tx: Transaction) -> None:
        resource = user(CANARY, title=CANARY, emails=[{"value": CANARY, "type": CANARY}])
        row = row_of(resource, id=CANARY, external_id=CANARY, remote_id=CANARY)
        resources.insert(tx, row, resource)
        resources.save(tx, row, resource)
        resources.find_by_name(tx, CONNECTION, "User", CANARY)
        resources.find_by_external_id(tx, CONNECTION, "User", CANARY)
        resources.bump(tx, CONNECTION, [CANARY], lane=Lane.UPDATE, now=NOON)
        membership_changes.apply(tx, CONNECTION, CANARY, [MemberDelta("replace", (CANARY,))], NOON)
        memberships.members_of(tx, CONNECTION, CANARY, after=CANARY, limit=3)
        connector_state.put(tx, CONNECTION, CANARY, {CANARY: CANARY}, NOON)
        for text in FILTERS:
            query.query(
                tx,
                CONNECTION,
                ["User"],
                models={"User": User},
                filter=ScimFilter[User](text).ast,
                sort_by="emails",
                count=5,
                by_cursor=True,
                position={"d": "next", "k": CANARY, "i": CANARY},
                listed=list(Ownership),
            )

    with asked() as sent:
        await store.write(work)
    statements = [statement for statement, _ in sent]
    assert len(statements) > 40
    assert [statement for statement in statements if "canary" in statement.lower() or "7f3a" in statement] == []


async def test_a_filter_for_text_that_no_database_holds_is_invalid(store: Store) -> None:
    """NUL and lone surrogates in a filter are the client's fault, not an error of one database."""
    for text in ("a\\u0000b", "\\ud800"):
        node = ScimFilter(f'userName eq "{text}"').ast
        search = partial(
            query.query,
            connection_id=CONNECTION,
            kinds=["User"],
            models={"User": User},
            filter=node,
            count=5,
            listed=list(Ownership),
        )
        with pytest.raises(InvalidFilterException):
            await store.read(search)
