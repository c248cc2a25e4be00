"""Filters in SQL select what scim2-models' own evaluator selects."""

import asyncio
from collections.abc import Iterator
from datetime import datetime
from itertools import count, product
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scim2_models import (
    InvalidFilterException,
    ScimFilter,
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

from scim_bridge.models import Kind
from scim_bridge.store import resources
from scim_bridge.store.engine import Store
from scim_bridge.store.transaction import Transaction
from tests.contract.store.examples import CORE, ENTERPRISE, NOON, group, row_of
from tests.contract.store.filter_examples import (
    BADGE,
    DECIMAL_PATHS,
    EQUALITY,
    EVERY_OPERATOR,
    FLAG_PATHS,
    HEADS,
    INNER_PATHS,
    MODELS,
    NUMBER_PATHS,
    TEXT_PATHS,
    TEXTS,
    TIME_PATHS,
    TIMES,
    T,
    accepted,
    fill,
    matches,
    shown_again,
    undone,
)

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


EXAMPLES = {"sqlite": 170, "postgresql": 45}
FILTERS_OF_AN_EXAMPLE = 6


def test_a_random_filter_in_sql_selects_what_scim_filter_match_selects(any_store_url: str) -> None:
    """Of random resources, a random filter selects in the database exactly those that ``ScimFilter.match`` accepts."""
    store = asyncio.run(Store.open(any_store_url, threads=False))
    compared, selected = count(), count()

    @settings(
        max_examples=EXAMPLES[store.dialect],
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(
        people=user_lists,
        members=memberships_of_users,
        nodes=st.lists(filter_nodes, min_size=FILTERS_OF_AN_EXAMPLE, max_size=FILTERS_OF_AN_EXAMPLE),
    )
    def check(people: list[Any], members: list[Any], nodes: list[FilterNode]) -> None:
        def work(tx: Transaction) -> None:
            everything = fill(tx, people, members)
            for node, kind in product(nodes, MODELS):
                next(compared)
                expected = accepted(everything, kind, node)
                assert matches(tx, kind, node) == expected, str(node)
                if expected:
                    next(selected)

        with undone(store) as run:
            run(work)

    check()
    asyncio.run(store.close())
    pairs = next(compared)
    assert pairs >= {"sqlite": 2000, "postgresql": 500}[store.dialect]
    assert next(selected) > pairs // 10, "the examples hardly ever match: the test shows little"


ENTRIES = [
    {"value": "a", "type": "work", "primary": False, "display": "B"},
    {"type": "home", "primary": True},
    {"value": "", "type": "x"},
]
BADGES: list[dict[str, Any]] = [
    {"level": 1, "score": 0.1, "since": TIMES[0].isoformat(), "visitor": True, "colour": "a", "tags": ["a", "B"]},
    {"level": -2, "since": TIMES[3].isoformat(), "visitor": False, "colour": "", "tags": [""], "levels": [1, -2]},
    {"doors": [{"value": "a"}, {"floors": ["a", "B"]}], "home": {"floors": ["a"]}, "seal": "YWJj"},
]
PEOPLE: list[dict[str, Any]] = [
    {"userName": "a"},
    {"userName": "B", "emails": ENTRIES[:1], "name": {"givenName": ""}, "title": "", "externalId": "a"},
    {"userName": "ab", "emails": ENTRIES, "roles": ENTRIES[1:2], "title": "a", "name": {"givenName": "a"}},
    {
        "userName": "x",
        "emails": [{"value": ""}],
        "roles": ENTRIES[:1],
        "addresses": [{"locality": ""}, {"primary": True}],
    },
    {
        "userName": "y",
        "addresses": [{"locality": "a"}, {"locality": "b"}],
        ENTERPRISE: {"manager": {"displayName": "a"}},
    },
    {"userName": "z", ENTERPRISE: {"department": "a", "manager": {"value": "a"}}, BADGE: BADGES[0]},
    {"userName": "z", BADGE: BADGES[1]},
    {"userName": "z", BADGE: BADGES[2]},
]
MEMBERS = [(0, 0, True), (0, 1, True), (1, 1, False), (0, 2, False)]
VALUES: list[tuple[list[AttrPath], list[Any], list[CompareOperator]]] = [
    (TEXT_PATHS, ["a", "B", "", "group-0", "user-1", "direct", "User", "urn:ietf"], EVERY_OPERATOR),
    (FLAG_PATHS, [True, False], EQUALITY),
    (TIME_PATHS, [each.isoformat() for each in TIMES], EVERY_OPERATOR),
    (NUMBER_PATHS, [1, -2], EVERY_OPERATOR),
    (DECIMAL_PATHS, [0.1, 1], EVERY_OPERATOR),
]


def every_filter() -> Iterator[FilterNode]:
    """Yield every attribute with every operator and a few values, ``null`` and ``pr``; and the same inside ``[]``."""
    for paths_, values, operators in VALUES:
        for path in paths_:
            yield Present(path)
            yield from (Comparison(path, op, None) for op in EQUALITY)
            yield from (Comparison(path, op, value) for op, value in product(operators, values))
    for head, path in product(HEADS, INNER_PATHS):
        values = [True] if path.attr == "primary" else ["a", "work", "direct", "User", ""]
        inner = [Present(path), *(Comparison(path, op, value) for op, value in product(EQUALITY, [None, *values]))]
        yield from (ValuePath(head, node) for node in inner)
        yield ValuePath(head, Not(Present(path)))


def test_every_attribute_with_every_operator_selects_what_scim_filter_match_selects(any_store_url: str) -> None:
    """Of resources chosen for it, each attribute under each operator selects what ``ScimFilter.match`` accepts."""
    store = asyncio.run(Store.open(any_store_url, threads=False))
    nodes = list(every_filter())
    assert len(nodes) > 3000

    def work(tx: Transaction) -> None:
        *everything, gone = fill(tx, [(each, True, NOON) for each in PEOPLE], MEMBERS)
        resources.save(tx, row_of(group(gone.display_name), id=gone.id, deleted=True))
        everything = [shown_again(tx, each) for each in everything]
        for node in nodes[:: 1 if store.dialect == "sqlite" else 5]:
            kind: Kind = "Group" if "members" in str(node) else "User"
            assert matches(tx, kind, node) == accepted(everything, kind, node), str(node)

    with undone(store) as run:
        run(work)
    asyncio.run(store.close())


@pytest.mark.parametrize(
    "filter_",
    ["active gt true", "emails.primary co true", f'{BADGE}:seal sw "YQ=="', "name[givenName pr]", 'password co "a"'],
)
async def test_a_comparison_without_meaning_is_an_invalid_filter(sqlite_url: str, filter_: str) -> None:
    """What has no order or no elements is refused (RFC 7644 §3.4.2.2), also when nothing validated it before."""
    store = await Store.open(sqlite_url)
    node = ScimFilter(filter_).ast
    with pytest.raises(InvalidFilterException):
        await store.read(lambda tx: matches(tx, "User", node))
    await store.close()
