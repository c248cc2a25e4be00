"""Hot statements never scan: SQLite tells how it would run them."""

from collections.abc import Callable
from typing import Any

import pytest
from scim2_models import ScimFilter

from scim_bridge.models import Group, Lane, User
from scim_bridge.provisioning.policy import USUAL
from scim_bridge.store import (
    audit,
    connector_state,
    inventory,
    membership_changes,
    memberships,
    query,
    resources,
    shown,
    tokens,
)
from scim_bridge.store.engine import Store
from scim_bridge.store.prepared import Prepared
from scim_bridge.store.rows import MemberDelta, Ownership
from scim_bridge.store.transaction import Transaction
from scim_bridge.views.gauges import gauges
from tests.contract.store.examples import CONNECTION, NOON, row_of, user
from tests.statements import asked

Work = Callable[[Transaction], object]


def search(filter_: str, kind: Any = "User", **options: Any) -> Work:
    """Return a search."""
    model: Any = User if kind == "User" else Group
    return lambda tx: query.query(
        tx,
        CONNECTION,
        [kind],
        models={kind: model},
        filter=ScimFilter[model](filter_).ast if filter_ else None,
        listed=list(Ownership),
        **{"count": 10, **options},
    )


HOT: dict[str, Work] = {
    "get": lambda tx: resources.get(tx, CONNECTION, "User", "1"),
    "find by name": lambda tx: resources.find_by_name(tx, CONNECTION, "User", "a"),
    "find by external id": lambda tx: resources.find_by_external_id(tx, CONNECTION, "User", "a"),
    "find by remote id": lambda tx: resources.find_by_remote_id(tx, CONNECTION, "User", "a"),
    "replace": lambda tx: resources.save(tx, row_of(user("user-1"), id="user-1"), user("user-1")),
    "remove": lambda tx: resources.remove(tx, CONNECTION, "user-2"),
    "pending": lambda tx: resources.pending(tx, CONNECTION, now=NOON, limit=5),
    "next due": lambda tx: resources.next_due(tx, CONNECTION, now=NOON),
    "ledger": lambda tx: resources.ledger(tx, CONNECTION),
    "counts": lambda tx: resources.counts(tx, CONNECTION),
    "at least": lambda tx: resources.at_least(tx, CONNECTION, "User", 5),
    "bump": lambda tx: resources.bump(tx, CONNECTION, ["1", "2"], lane=Lane.REMOVE, now=NOON),
    "touch": lambda tx: resources.touch(tx, CONNECTION, ["1", "2"]),
    "iterate": lambda tx: resources.iterate(tx, CONNECTION, "User", after="1", limit=5),
    "add members": lambda tx: membership_changes.apply(tx, CONNECTION, "g", [MemberDelta("add", ("user-1",))], NOON),
    "remove members": lambda tx: membership_changes.apply(
        tx, CONNECTION, "g", [MemberDelta("remove", ("user-1",))], NOON
    ),
    "replace members": lambda tx: membership_changes.apply(
        tx, CONNECTION, "g", [MemberDelta("replace", ("user-1",))], NOON
    ),
    "keep unmanaged": lambda tx: membership_changes.apply(
        tx, CONNECTION, "g", [MemberDelta("replace", ("user-1",))], NOON, keep_unmanaged=True
    ),
    "left": lambda tx: memberships.is_left(tx, CONNECTION, "g"),
    "hand over": lambda tx: membership_changes.hand_over(tx, CONNECTION, "g", "h"),
    "members": lambda tx: memberships.members_of(tx, CONNECTION, "g", after="1", limit=5),
    "groups": lambda tx: memberships.groups_of(tx, CONNECTION, ["1", "2"]),
    "observe user": lambda tx: membership_changes.observe_user(tx, CONNECTION, "user-1", ["g"]),
    "observe group": lambda tx: membership_changes.observe_group(tx, CONNECTION, "g", added=["user-1"], removed=["2"]),
    "unsettled": lambda tx: memberships.unsettled_of_group(tx, CONNECTION, "g"),
    "holders": lambda tx: memberships.count_holders(tx, CONNECTION, "g"),
    "remove user": lambda tx: membership_changes.remove_user(tx, CONNECTION, "1"),
    "remove group": lambda tx: membership_changes.remove_group(tx, CONNECTION, "g"),
    "state": lambda tx: connector_state.get(tx, CONNECTION, "key"),
    "token": lambda tx: tokens.find(tx, "12345678"),
    "audit": lambda tx: audit.append(tx, CONNECTION, {}, now=NOON),
    "history": lambda tx: audit.latest(tx, CONNECTION, resource_id="user-1", limit=5),
    "history since": lambda tx: [*audit.since(tx, CONNECTION, NOON)],
    "people": lambda tx: inventory.by_name(tx, CONNECTION, "User", after=("a", "1"), limit=5),
    "people of a group": lambda tx: inventory.by_name(
        tx, CONNECTION, "User", after=None, limit=5, where=[inventory.in_group("g"), inventory.may_be_let_in()]
    ),
    "members counted": lambda tx: inventory.member_counts(tx, CONNECTION, ["g", "h"]),
    "work": lambda tx: inventory.work(tx, CONNECTION, states=inventory.UNSETTLED, after=(0, 5), limit=5),
    "work counted": lambda tx: inventory.counts(tx, CONNECTION),
    "oldest removal": lambda tx: inventory.oldest_removal(tx, CONNECTION, states=inventory.UNSETTLED),
    "metrics": lambda tx: [*gauges(tx, CONNECTION, USUAL, now=NOON)],
    "total": lambda tx: inventory.total(tx, CONNECTION, "User"),
    "list": search(""),
    "list by cursor": search("", by_cursor=True, position={"d": "next", "k": 5, "i": "1"}),
    "userName eq": search('userName eq "a"'),
    "userName sw": search('userName sw "a"'),
    "userName and": search('userName eq "a" and active eq true'),
    "externalId eq": search('externalId eq "a"'),
    "id eq": search('id eq "a"'),
    "emails eq": search('emails eq "a@x.y"'),
    "emails.value eq": search('emails.value eq "a@x.y"'),
    "emails[type and value]": search('emails[type eq "work" and value eq "a@x.y"]'),
    "displayName eq": search('displayName eq "a"', "Group"),
    "members eq": search('id eq "g" and members eq "1"', "Group"),
    "groups.value eq": search('groups.value eq "g"'),
}


UNBOUNDED = {"counts"}
"""What looks at a whole connection by nature, through a covering index."""


@pytest.mark.parametrize("name", HOT)
async def test_a_hot_statement_searches_by_key(sqlite_url: str, name: str) -> None:
    """No statement of a hot function scans a table or an index without a bound on its first column."""
    store = await Store.open(sqlite_url)

    def fill(tx: Transaction) -> None:
        for number in range(3):
            id_ = f"user-{number}"
            resources.insert(tx, row_of(user(id_), id=id_), user(id_))

    def plans(tx: Transaction) -> list[str]:
        with asked() as sent:
            HOT[name](tx)
        lines: list[str] = []
        for statement, given in [each for each in sent if each[0].startswith(("SELECT", "UPDATE", "DELETE"))]:
            lines += [plan[3] for plan in tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", tuple(given))]
        return lines

    await store.write(fill)
    found = await store.write(plans)
    await store.close()
    assert found
    given = ("SCAN anon_", "SCAN CONSTANT", "SCAN json_each")  # what the statement itself brings along
    scans = [line for line in found if line.startswith("SCAN") and not line.startswith(given)]
    assert scans == []
    few: tuple[str, ...] = (
        "SEARCH audit_head ",
        "SEARCH ownership ",
        "SEARCH token ",
    )  # rows of a connection, however many people
    if name == "metrics":
        few += ("SEARCH audit ",)  # backwards from its end, up to a limit
    whole_connection = [line for line in found if line.endswith("(connection_id=?)") and not line.startswith(few)]
    assert name in UNBOUNDED or whole_connection == []
    assert name.startswith("list") or not any("resource_list" in line for line in found), "walks all users in order"


ALL = frozenset(Ownership)
KEY = {"connection": CONNECTION, "id": "1", "kind": "User", "ids": "[]", "value": "a", "start": 5, "count": 5}
SHOWN: dict[str, tuple[Prepared, str]] = {
    "user": (shown.USER, "sqlite_autoindex_resource_1 (connection_id=? AND id=?)"),
    "groups": (shown._GROUPS, "member_user (connection_id=? AND user_id=?)"),
    "members": (shown._MEMBERS, "PRIMARY KEY (connection_id=? AND group_id=?)"),
    "numbers": (shown._NUMBERS, "PRIMARY KEY (connection_id=? AND kind=?)"),
    "list": (
        shown._found(("User", ALL, None, False), False, False),
        "COVERING INDEX resource_list (connection_id=? AND kind=? AND deleted=?)",
    ),
    "list by name": (
        shown._found(("User", ALL, None, False), True, True),
        "COVERING INDEX resource_name (connection_id=? AND kind=?)",
    ),
    "userName eq": (
        shown._found(("User", ALL, "userName", False), False, False),
        "resource_name (connection_id=? AND kind=? AND name_key=?)",
    ),
    "emails.value eq": (
        shown._found(("User", ALL, "emails.value", False), False, False),
        "attribute_value_text (connection_id=? AND path=? AND text=?)",
    ),
    "emails.value co": (
        shown._found(("User", ALL, "emails.value", True), False, False),
        "COVERING INDEX attribute_value_text (connection_id=? AND path=?)",
    ),
}


@pytest.mark.parametrize("name", SHOWN)
async def test_what_responses_show_is_read_through_an_index(sqlite_url: str, name: str) -> None:
    """The statements of the short way scan no table, and lists are not sorted but read in order."""
    statement, wanted = SHOWN[name]
    store = await Store.open(sqlite_url)

    def plan(tx: Transaction) -> list[str]:
        text, values = statement.sql(tx.dialect), statement.parameters(tx.dialect, KEY)
        return [line[3] for line in tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", tuple(values))]

    found = await store.read(plan)
    await store.close()
    assert any(wanted in line for line in found), found
    assert [line for line in found if line.startswith("SCAN") and "json_each" not in line] == []
    # What was chosen is put in order again; a list of everything is not sorted to choose from it.
    assert sum("TEMP B-TREE" in line for line in found) <= (1 if name.startswith("list") else 2)
