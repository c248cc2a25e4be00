"""Searches: paging and order."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from scim2_models import InvalidCursorException, ScimFilter, SearchRequest

from scim_bridge.models import Group, Kind, User
from scim_bridge.store import documents, query, resources
from scim_bridge.store.engine import Store
from scim_bridge.store.query import Position, QueryPage
from scim_bridge.store.rows import Ownership, ResourceRow
from scim_bridge.store.transaction import Transaction
from tests.contract.store.examples import CONNECTION, NOON, group, row_of, user

MODELS: dict[Kind, Any] = {"User": User, "Group": Group}
TITLES = ["b", "A", None, "c", "a", None, "B"]


def search(tx: Transaction, kinds: Sequence[Kind] = ("User",), **options: Any) -> QueryPage:
    """Search the connection."""
    options = {"filter": None, "count": 100, "listed": list(Ownership), **options}
    if isinstance(options["filter"], str):
        options["filter"] = ScimFilter(options["filter"]).ast
    return query.query(tx, CONNECTION, kinds, models=MODELS, **options)


def fill(tx: Transaction) -> list[ResourceRow]:
    """Insert seven people, in the order of their creation, and two groups."""
    rows = []
    for number, title in enumerate(TITLES):
        emails = [{"value": f"{number}@x.y"}, {"value": f"{9 - number}@x.y", "primary": True}]
        resource = user(f"user-{number}", emails=emails, **({"title": title} if title else {}))
        row = row_of(resource, id=f"{(number * 5) % 7}-{number}", created_at=NOON + timedelta(seconds=number))
        resources.insert(tx, row, resource)
        rows.append(row)
    for name in ("staff", "admins"):
        resources.insert(tx, row_of(group(name)), group(name))
    return rows


async def test_index_pages_join_to_everything_once(store: Store) -> None:
    """Pages by startIndex cover all matches in a stable order, and each tells the total (RFC 7644 §3.4.2.4)."""

    def work(tx: Transaction) -> None:
        rows = fill(tx)
        pages = [search(tx, start_index=start, count=3) for start in (1, 4, 7)]
        assert [row.id for page in pages for row in page.rows] == [row.id for row in rows]
        assert {page.total for page in pages} == {7}
        assert search(tx, start_index=-5, count=1).rows[0].id == rows[0].id
        assert search(tx, count=-1) == QueryPage([], 7)
        assert search(tx, start_index=50) == QueryPage([], 7)
        assert search(tx, filter='title eq "a"', count=1).total == 2

    await store.write(work)


@pytest.mark.parametrize("descending", [False, True], ids=["ascending", "descending"])
@pytest.mark.parametrize("sort_by", ["title", "userName", "emails", "meta.created", "nickName", None])
async def test_cursor_pages_walk_both_ways_in_sort_order(store: Store, sort_by: str | None, descending: bool) -> None:
    """Cursor pages cover all matches once, in the order of ``SearchRequest.sort``, both ways (RFC 9865)."""
    order = SearchRequest.SortOrder.descending if descending else SearchRequest.SortOrder.ascending

    def work(tx: Transaction) -> None:
        rows = fill(tx)
        options: dict[str, Any] = {"by_cursor": True, "sort_by": sort_by, "descending": descending, "count": 2}
        pages = [search(tx, **options)]
        while pages[-1].next is not None:
            pages.append(search(tx, position=pages[-1].next, **options))
        walked = [row.id for page in pages for row in page.rows]
        assert sorted(walked) == sorted(row.id for row in rows)
        people = {row.id: documents.decode(row, User) for row in rows}
        request: SearchRequest[Any] = SearchRequest(sort_by=sort_by, sort_order=order)  # type: ignore[arg-type] # pydantic makes the path of it
        wanted = [request.sort_value(each) for each in request.sort(people.values())]
        assert [request.sort_value(people[id_]) for id_ in walked] == wanted
        back = [pages[-1]]
        while back[-1].previous is not None:
            back.append(search(tx, position=back[-1].previous, **options))
        assert [row.id for page in reversed(back) for row in page.rows] == walked

    await store.write(work)


async def test_a_cursor_survives_changes_behind_it(store: Store) -> None:
    """A page that follows a position neither repeats nor skips what stands still while others come and go."""

    def work(tx: Transaction) -> None:
        rows = fill(tx)
        first = search(tx, by_cursor=True, count=3)
        resources.remove(tx, CONNECTION, rows[0].id)
        resources.insert(tx, row_of(user("new"), created_at=NOON - timedelta(days=1)), user("new"))
        rest = search(tx, by_cursor=True, position=first.next, count=9)
        assert [row.id for row in rest.rows] == [row.id for row in rows[3:]]

    await store.write(work)


@pytest.mark.parametrize("position", [{}, {"d": "up", "k": 1, "i": "x"}, {"d": "next", "k": 1, "i": 5}])
async def test_a_position_of_nobody_is_refused(store: Store, position: Position) -> None:
    """What no search gave is an invalid cursor."""
    with pytest.raises(InvalidCursorException):
        await store.read(lambda tx: search(tx, by_cursor=True, position=position))


async def test_only_live_listed_resources_of_the_kinds_are_found(store: Store) -> None:
    """Deleted rows, ownerships that are not listed, other kinds and other connections stay out of every search."""

    def work(tx: Transaction) -> None:
        people: dict[str, dict[str, Any]] = {
            "shown": {},
            "deleted": {"deleted": True},
            "unmanaged": {"ownership": Ownership.DISCOVERED},
            "foreign": {"connection_id": "other"},
        }
        for name, changes in people.items():
            resources.insert(tx, row_of(user(name), **changes), user(name))
        resources.insert(tx, row_of(group("staff")), group("staff"))
        listed = [Ownership.CREATED, Ownership.ADOPTED]
        for filter_ in (None, "userName pr", 'not (userName eq "x")', 'userName eq "x" or active eq true'):
            page = search(tx, listed=listed, filter=filter_)
            assert ([row.name for row in page.rows], page.total) == (["shown"], 1)
        both = search(tx, ("User", "Group"), listed=listed, sort_by="displayName")
        assert [row.name for row in both.rows] == ["staff", "shown"]
        assert both.total == 2
        named = search(tx, ("User", "Group"), listed=listed, filter=ScimFilter('displayName eq "STAFF"').ast)
        assert [row.name for row in named.rows] == ["staff"]

    await store.write(work)
