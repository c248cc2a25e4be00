"""Filters in SQL select what scim2-models' own evaluator selects."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import count
from typing import Annotated, Any, TypeVar, Union

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import Base64Bytes
from scim2_models import (
    URN,
    CaseExact,
    ComplexAttribute,
    Extension,
    InvalidFilterException,
    ScimFilter,
    ScimPolicy,
)
from scim2_models.path import (
    AttrPath,
    CompareOperator,
    Comparison,
    FilterNode,
    LogicalExpr,
    LogicalOperator,
    Not,
    Present,
    ValuePath,
)
from scim2_models.resources.group import GroupMember
from scim2_models.resources.user import GroupMembership
from sqlalchemy.engine import Connection

from scim_bridge.models import EnterpriseUser, Kind, User
from scim_bridge.models import Group as BridgeGroup
from scim_bridge.store import documents, filters, memberships, query, resources
from scim_bridge.store.engine import Store
from scim_bridge.store.rows import MemberDelta, Ownership, ResourceRow
from tests.contract.store.examples import CONNECTION, CORE, ENTERPRISE, NOON, group, row_of

T = TypeVar("T")

BADGE = "urn:example:params:scim:schemas:extension:badge:2.0:User"
COMPARED = ScimPolicy(comparison_key=filters.comparison_key)


class Door(ComplexAttribute):
    """A complex value with a list inside."""

    value: str | None = None
    floors: list[str] | None = None


class Badge(Extension):
    """An extension with every type of attribute."""

    __schema__ = URN(BADGE)

    level: int | None = None
    score: float | None = None
    since: datetime | None = None
    visitor: bool | None = None
    colour: Annotated[str | None, CaseExact.true] = None
    tags: list[str] | None = None
    levels: list[int] | None = None
    seal: Base64Bytes | None = None
    doors: list[Door] | None = None
    home: Door | None = None


EveryUser = User.__bases__[0][Union[EnterpriseUser, Badge]]  # type: ignore[index]  # noqa: UP007
MODELS: dict[Kind, Any] = {"User": EveryUser, "Group": BridgeGroup}

TEXTS = [
    *("a", "A", "b", "ab", "Ba", "\u00e9", "e\u0301", "\u00df", "SS", "\ufb01", "FI", "\uff21", "\u212a", "x y"),
    *('q"uote', "back\\slash", "%", "_", "a%b", "\U0001f701", "\uffff", "\ud7ff", "\u0130", "a" * 200, "a" * 200 + "b"),
]
TIMES = [
    NOON,
    NOON + timedelta(microseconds=1),
    (NOON - timedelta(hours=1)).astimezone(timezone(timedelta(hours=2))),
    datetime(2026, 11, 23, 12),  # noqa: DTZ001 - a time without a zone is part of the rule
]
texts = st.sampled_from(TEXTS)
any_text = st.one_of(texts, st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6))
numbers = st.one_of(st.integers(-2, 2), st.sampled_from([2**62, -(2**62)]))
decimals = st.sampled_from([-1.5, 0.0, 0.1, 2.0, 1e300])
times = st.sampled_from(TIMES)


def maybe(values: st.SearchStrategy[T]) -> st.SearchStrategy[T | None]:
    """Return a value, or none."""
    return st.one_of(st.none(), values)


def record(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return an object of which any attribute may be absent."""
    return st.fixed_dictionaries({}, optional=fields)


entries = st.lists(
    record(value=any_text, type=st.sampled_from(["work", "home", "x"]), primary=st.booleans(), display=texts),
    max_size=3,
)
users = record(
    name=record(givenName=any_text, familyName=texts),
    title=st.one_of(st.just(""), any_text),
    externalId=any_text,
    active=st.booleans(),
    emails=entries,
    roles=entries,
    addresses=st.lists(record(locality=texts, primary=st.booleans()), max_size=2),
    **{
        ENTERPRISE: record(department=any_text, manager=record(value=texts, displayName=texts)),
        BADGE: record(
            level=numbers,
            score=decimals,
            since=times.map(datetime.isoformat),
            visitor=st.booleans(),
            colour=any_text,
            tags=st.lists(texts, max_size=3),
            levels=st.lists(numbers, max_size=3),
            seal=st.sampled_from(["YWJj", "eHl6"]),
            doors=st.lists(record(value=texts, floors=st.lists(texts, max_size=2)), max_size=2),
            home=record(value=texts, floors=st.lists(texts, max_size=2)),
        ),
    },
)
user_lists = st.lists(
    st.tuples(st.builds(lambda name, rest: {"userName": name, **rest}, texts, users), st.booleans(), times),
    min_size=1,
    max_size=6,
)


def paths(uri: str | None, *names: str) -> list[AttrPath]:
    """Return attribute paths of a schema."""
    return [AttrPath(attr, sub or None, uri) for attr, _, sub in (name.partition(".") for name in names)]


TEXT_PATHS = [
    *paths(None, "userName", "USERNAME", "name.givenName", "title", "externalId", "id", "nosuch", "name.nosuch"),
    *paths(None, "emails", "emails.value", "emails.type", "roles.display", "addresses", "addresses.locality", "name"),
    *paths(None, "schemas", "meta", "meta.version", "meta.resourceType", "groups", "groups.value", "groups.display"),
    *paths(None, "groups.type", "groups.$ref", "emails.display", "displayName", "members", "members.value"),
    *paths(None, "members.display", "members.type"),
    *paths(CORE, "userName", "emails.value"),
    *paths(ENTERPRISE, "department", "manager", "manager.value", "manager.displayName"),
    *paths(BADGE, "colour", "tags", "doors", "doors.value", "doors.floors", "home", "home.value", "home.floors"),
    *paths("urn:nobody:knows", "userName"),
]
FLAG_PATHS = [*paths(None, "active", "emails.primary"), *paths(BADGE, "visitor")]
TIME_PATHS = [*paths(None, "meta.created", "meta.lastModified"), *paths(BADGE, "since")]
NUMBER_PATHS = paths(BADGE, "level", "levels")
DECIMAL_PATHS = paths(BADGE, "score")
INNER_PATHS = paths(None, "value", "type", "primary", "display", "locality", "floors", "nosuch", "$ref")
HEADS = [
    *paths(None, "emails", "roles", "addresses", "groups", "members", "schemas", "nosuch"),
    *paths(BADGE, "doors", "tags"),
]
EVERY_OPERATOR = list(CompareOperator)
EQUALITY = [CompareOperator.eq, CompareOperator.ne]


def comparisons(
    candidates: list[AttrPath], values: st.SearchStrategy[Any], operators: list[CompareOperator]
) -> st.SearchStrategy[FilterNode]:
    """Return comparisons of paths with values."""
    return st.builds(Comparison, st.sampled_from(candidates), st.sampled_from(operators), values)


constants = st.sampled_from([CORE, ENTERPRISE, "User", "direct", 'W/"1"', "group-0", "group-1", "user-0", "user-1"])
leaves = st.one_of(
    comparisons(TEXT_PATHS, st.one_of(any_text, texts, constants), EVERY_OPERATOR),
    comparisons(TEXT_PATHS, st.one_of(any_text, texts, constants), EVERY_OPERATOR),
    comparisons(FLAG_PATHS, st.booleans(), EQUALITY),
    comparisons(TIME_PATHS, times.map(datetime.isoformat), EVERY_OPERATOR),
    comparisons(NUMBER_PATHS, numbers, EVERY_OPERATOR),
    comparisons(DECIMAL_PATHS, st.one_of(decimals, st.integers(-2, 2)), EVERY_OPERATOR),
    comparisons(TEXT_PATHS + FLAG_PATHS + TIME_PATHS + NUMBER_PATHS + DECIMAL_PATHS, st.none(), EQUALITY),
    st.builds(Present, st.sampled_from(TEXT_PATHS + FLAG_PATHS + TIME_PATHS + NUMBER_PATHS + DECIMAL_PATHS)),
)
inner_leaves = st.one_of(
    comparisons(INNER_PATHS[:2], st.one_of(texts, constants), EVERY_OPERATOR),
    comparisons(INNER_PATHS[3:], texts, EVERY_OPERATOR),
    comparisons(INNER_PATHS[2:3], st.booleans(), EQUALITY),
    comparisons(INNER_PATHS, st.none(), EQUALITY),
    st.builds(Present, st.sampled_from(INNER_PATHS)),
)


def combined(terms: st.SearchStrategy[FilterNode], size: int) -> st.SearchStrategy[FilterNode]:
    """Return terms under ``not``, ``and`` and ``or``."""
    return st.recursive(
        terms,
        lambda some: st.one_of(
            st.builds(Not, some),
            st.builds(
                LogicalExpr,
                st.sampled_from(LogicalOperator),
                st.lists(some, min_size=2, max_size=3).map(tuple),
            ),
        ),
        max_leaves=size,
    )


value_paths = st.builds(ValuePath, st.sampled_from(HEADS), combined(inner_leaves, 3))
filter_nodes = combined(st.one_of(leaves, value_paths), 4)
memberships_of_users = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 5), st.booleans()), max_size=6)


class UndoError(Exception):
    """Rolls a transaction back."""


@contextmanager
def undone(store: Store) -> Iterator[Callable[[Callable[[Connection], None]], None]]:
    """Run work in a transaction that is rolled back afterwards."""

    def run(work: Callable[[Connection], None]) -> None:
        def transaction(tx: Connection) -> None:
            work(tx)
            raise UndoError

        with pytest.raises(UndoError):
            asyncio.run(store.write(transaction))

    yield run


def fill(tx: Connection, people: list[Any], members: list[Any]) -> list[Any]:
    """Insert resources, and return them as clients are shown them."""
    rows: list[ResourceRow] = []
    for number, (document, shown_active, created_at) in enumerate(people):
        resource = EveryUser.model_validate({"schemas": [CORE], **document})
        created = created_at if created_at.tzinfo else created_at.replace(tzinfo=UTC)
        row = row_of(resource, id=f"user-{number}", unique_name=False, shown_active=shown_active, created_at=created)
        row = replace(row, external_id=resource.external_id)
        resources.insert(tx, row, resource)
        rows.append(row)
    for number, name in enumerate(("Ab", "\u00c9")):
        row = row_of(group(name), id=f"group-{number}")
        resources.insert(tx, row, group(name))
        rows.append(row)
    for number, member, desired in members:
        if desired:
            memberships.apply(tx, CONNECTION, f"group-{number}", [MemberDelta("add", (f"user-{member}",))], NOON)
        elif member < len(people):
            memberships.observe_group(tx, CONNECTION, f"group-{number}", added=[f"user-{member}"], removed=[])
    return [shown(tx, row) for row in rows]


def shown(tx: Connection, row: ResourceRow) -> Any:
    """Return a row as clients are shown it."""
    resource = documents.decode(row, MODELS[row.kind])
    if row.kind == "Group":
        found = memberships.members_of(tx, CONNECTION, row.id)
        resource.members = [GroupMember(value=each.id, display=each.name, type="User") for each in found] or None
    else:
        found = memberships.groups_of(tx, CONNECTION, [row.id])[row.id]
        resource.groups = [GroupMembership(value=each.id, display=each.name, type="direct") for each in found] or None
        resource.active = row.shown_active
    return resource


def matches(tx: Connection, kind: Kind, node: FilterNode) -> set[str]:
    """Return the ids that a filter selects in SQL."""
    page = query.query(tx, CONNECTION, [kind], models=MODELS, filter=node, count=100, listed=list(Ownership))
    assert page.total == len(page.rows)
    return {row.id for row in page.rows}


EXAMPLES = {"sqlite": 170, "postgresql": 45}
FILTERS_OF_AN_EXAMPLE = 6


def test_a_filter_in_sql_selects_what_scim_filter_match_selects(any_store_url: str) -> None:
    """Of random resources, a random filter selects in the database exactly those that ``ScimFilter.match`` accepts."""
    store = asyncio.run(Store.open(any_store_url, threads=False))
    compared, selected, refused = count(), count(), count()

    @settings(
        max_examples=EXAMPLES[store.dialect], deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    @given(
        people=user_lists,
        members=memberships_of_users,
        nodes=st.lists(filter_nodes, min_size=FILTERS_OF_AN_EXAMPLE, max_size=FILTERS_OF_AN_EXAMPLE),
    )
    def check(people: list[Any], members: list[Any], nodes: list[FilterNode]) -> None:
        def work(tx: Connection) -> None:
            everything = fill(tx, people, members)
            for node in nodes:
                for kind, model in MODELS.items():
                    next(compared)
                    expected: set[str] | None
                    try:
                        bound: ScimFilter[Any] = ScimFilter.__class_getitem__(model)(str(node))
                    except InvalidFilterException:
                        next(refused)
                        continue
                    with COMPARED:
                        expected = {each.id for each in everything if isinstance(each, model) and bound.match(each)}
                    assert matches(tx, kind, bound.ast) == expected, str(node)
                    if expected:
                        next(selected)

        with undone(store) as run:
            run(work)

    check()
    asyncio.run(store.close())
    pairs = next(compared)
    assert pairs >= {"sqlite": 2000, "postgresql": 500}[store.dialect]
    assert next(selected) > pairs // 10, "the examples hardly ever match: the test shows little"
    assert next(refused) < pairs // 2
