"""Resources with every type of attribute, and what both evaluators say of a filter."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, Any, TypeVar, Union

import pytest
from pydantic import Base64Bytes
from scim2_models import (
    URN,
    CaseExact,
    ComplexAttribute,
    Extension,
    ScimFilter,
    ScimPolicy,
)
from scim2_models.path import (
    AttrPath,
    CompareOperator,
    FilterNode,
)
from scim2_models.resources.group import GroupMember
from scim2_models.resources.user import GroupMembership

from scim_bridge.models import EnterpriseUser, Kind, User
from scim_bridge.models import Group as BridgeGroup
from scim_bridge.store import documents, filters, membership_changes, memberships, query, resources
from scim_bridge.store.engine import Store
from scim_bridge.store.rows import MemberDelta, Ownership, ResourceRow
from scim_bridge.store.transaction import Transaction
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


EveryUser = User.__bases__[0][Union[EnterpriseUser, Badge]]  # type: ignore[index]  # noqa: UP007 - the generic base, as connections make it
MODELS: dict[Kind, Any] = {"User": EveryUser, "Group": BridgeGroup}

TEXTS = [
    *("a", "A", "b", "ab", "Ba", "\u00e9", "e\u0301", "\u00df", "SS", "\ufb01", "FI", "\uff21", "\u212a", "x y"),
    *('q"uote', "back\\slash", "%", "_", "a%b", "\U0001f701", "\uffff", "\ud7ff", "\u0130", "a" * 200, "a" * 200 + "b"),
]
TIMES = [
    NOON,
    NOON + timedelta(microseconds=1),
    (NOON - timedelta(hours=1)).astimezone(timezone(timedelta(hours=2))),
    NOON - timedelta(days=1),
]


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


class UndoError(Exception):
    """Rolls a transaction back."""


@contextmanager
def undone(store: Store) -> Iterator[Callable[[Callable[[Transaction], None]], None]]:
    """Run work in a transaction that is rolled back afterwards."""

    def run(work: Callable[[Transaction], None]) -> None:
        def transaction(tx: Transaction) -> None:
            work(tx)
            raise UndoError

        with pytest.raises(UndoError):
            asyncio.run(store.write(transaction))

    yield run


def fill(tx: Transaction, people: list[Any], members: list[Any]) -> list[Any]:
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
            membership_changes.apply(tx, CONNECTION, f"group-{number}", [MemberDelta("add", (f"user-{member}",))], NOON)
        elif member < len(people):
            membership_changes.observe_group(tx, CONNECTION, f"group-{number}", added=[f"user-{member}"], removed=[])
    return [shown(tx, row) for row in rows]


def shown(tx: Transaction, row: ResourceRow) -> Any:
    """Return a row as clients are shown it."""
    resource = documents.decode(row, MODELS[row.kind])
    if row.kind == "Group":
        found = memberships.members_of(tx, CONNECTION, row.id)
        resource.members = [GroupMember(value=each.id, display=each.name, type="User") for each in found] or None
    else:
        found = memberships.groups_of(tx, CONNECTION, [row.id], deleted=False)[row.id]
        resource.groups = [GroupMembership(value=each.id, display=each.name, type="direct") for each in found] or None
        resource.active = row.shown_active
    return resource


def matches(tx: Transaction, kind: Kind, node: FilterNode) -> set[str]:
    """Return the ids that a filter selects in SQL."""
    page = query.query(tx, CONNECTION, [kind], models=MODELS, filter=node, count=100, listed=list(Ownership))
    assert page.total == len(page.rows)
    return {row.id for row in page.rows}


def accepted(everything: list[Any], kind: Kind, node: FilterNode) -> set[str]:
    """Return the ids of the resources that ``ScimFilter.match`` accepts."""
    model = MODELS[kind]
    bound: ScimFilter[Any] = ScimFilter.__class_getitem__(model)(str(node))
    with COMPARED:
        return {each.id for each in everything if isinstance(each, model) and bound.match(each)}


def shown_again(tx: Transaction, resource: Any) -> Any:
    """Return a resource as clients are shown it after its groups or members changed."""
    kind: Kind = "Group" if isinstance(resource, BridgeGroup) else "User"
    row = resources.get(tx, CONNECTION, kind, resource.id)
    assert row is not None
    return shown(tx, row)
