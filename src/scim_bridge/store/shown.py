"""What responses show of resources, in the fewest statements and without a row object for each.

Each function reads what :func:`scim_bridge.store.resources.get`, :func:`scim_bridge.store.query.query` and
:mod:`scim_bridge.store.memberships` read, for the questions that clients ask most; a test compares them.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import and_, bindparam, func, or_, select
from sqlalchemy.engine import Connection
from sqlalchemy.sql.expression import ColumnElement

from scim_bridge.models import Kind
from scim_bridge.store.comparison import exact, fold
from scim_bridge.store.memberships import TOLD
from scim_bridge.store.prepared import Prepared, among
from scim_bridge.store.rows import Ownership
from scim_bridge.store.tables import member, resource


class Shown(NamedTuple):
    """The columns that a representation is made of: times in microseconds, flags as the driver has them."""

    id: str
    document: bytes
    created_at: int
    modified_at: int
    version: int
    active: bool
    shown_active: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """What a list is asked for.

    :param kind: The resource type.
    :param listed: Which resources are shown, by how the bridge came to know them.
    :param start: How many resources come before the page.
    :param count: The length of the page.
    :param attribute: The attribute that must have a value: ``userName``, ``displayName`` or ``externalId``.
    :param value: The value.
    """

    kind: Kind
    listed: frozenset[Ownership]
    start: int
    count: int
    attribute: str | None = None
    value: str = ""


_SHOWN = [resource.c[name] for name in Shown._fields]
_KEY = and_(
    resource.c.connection_id == bindparam("connection"),
    resource.c.id == bindparam("id"),
    resource.c.kind == bindparam("kind"),
    ~resource.c.deleted,
)
_GROUP = resource.alias("held")
_IS_HELD = and_(_GROUP.c.connection_id == member.c.connection_id, _GROUP.c.id == member.c.group_id, ~_GROUP.c.deleted)
_ONE = Prepared(select(*_SHOWN).where(_KEY))
_ONE_WITH_GROUPS = Prepared(
    select(*_SHOWN, _GROUP.c.id, _GROUP.c.name)
    .select_from(
        resource.outerjoin(
            member, and_(member.c.connection_id == resource.c.connection_id, member.c.user_id == resource.c.id, TOLD)
        ).outerjoin(_GROUP, _IS_HELD)
    )
    .where(_KEY)
    .order_by(member.c.group_id)
)
_GROUPS = Prepared(
    select(member.c.user_id, _GROUP.c.id, _GROUP.c.name)
    .select_from(member.join(_GROUP, _IS_HELD))
    .where(member.c.connection_id == bindparam("connection"), among(member.c.user_id, "ids"), TOLD)
    .order_by(member.c.user_id, member.c.group_id)
)
# Whoever is deleted and still held is in few rows of one index; to look each member up would take most of the time.
_GONE = select(resource.c.id).where(
    resource.c.connection_id == bindparam("connection"), resource.c.kind == "User", resource.c.deleted
)
_MEMBERS = Prepared(
    select(member.c.user_id)
    .where(
        member.c.connection_id == bindparam("connection"),
        member.c.group_id == bindparam("id"),
        TOLD,
        member.c.user_id.not_in(_GONE),
    )
    .order_by(member.c.user_id)
)
KEYS: dict[tuple[Kind, str], ColumnElement[Any]] = {
    ("User", "userName"): resource.c.name_key,
    ("Group", "displayName"): resource.c.name_key,
    ("User", "externalId"): resource.c.external_id_key,
    ("Group", "externalId"): resource.c.external_id_key,
}
"""The attributes by whose value a resource is found at once, with what is compared."""


def user(tx: Connection, connection_id: str, id: str) -> tuple[Shown, list[tuple[str, str]]] | None:
    """Return a User, and id and name of each of their groups."""
    return user_in(_ONE_WITH_GROUPS.rows(tx, user_key(connection_id, id)))


USER = _ONE_WITH_GROUPS
"""The one statement of :func:`user`, for :meth:`scim_bridge.store.engine.Store.ask`."""


def user_key(connection_id: str, id: str) -> dict[str, Any]:
    """Return the parameters of :data:`USER`."""
    return {"connection": connection_id, "kind": "User", "id": id}


def user_in(rows: Sequence[tuple[Any, ...]]) -> tuple[Shown, list[tuple[str, str]]] | None:
    """Return the User that :data:`USER` found, with their groups."""
    if not rows:
        return None
    return Shown._make(rows[0][:-2]), [row[-2:] for row in rows if row[-2] is not None]


def group(tx: Connection, connection_id: str, id: str) -> tuple[Shown, list[str]] | None:
    """Return a Group, and the ids of its members."""
    key = {"connection": connection_id, "kind": "Group", "id": id}
    found = _ONE.rows(tx, key)
    return (Shown._make(found[0]), members(tx, connection_id, id)) if found else None


def members(tx: Connection, connection_id: str, group_id: str) -> list[str]:
    """Return the ids of the live members of a group, desired or observed, in order."""
    return [id_ for (id_,) in _MEMBERS.rows(tx, {"connection": connection_id, "id": group_id})]


def groups_of(tx: Connection, connection_id: str, user_ids: Collection[str]) -> dict[str, list[tuple[str, str]]]:
    """Return id and name of the live groups of people; whoever is in none is no key."""
    found: dict[str, list[tuple[str, str]]] = {}
    for user_id, id_, name in _GROUPS.rows(tx, {"connection": connection_id, "ids": json.dumps(list(user_ids))}):
        found.setdefault(user_id, []).append((id_, name))
    return found


def page(tx: Connection, connection_id: str, listing: Listing) -> tuple[list[Shown], int]:
    """Return a page of the resources that match, by their creation, and how many match."""
    statement, count = _listing(listing.kind, listing.listed, listing.attribute)
    values = {"connection": connection_id, "start": listing.start, "count": listing.count}
    if listing.attribute is not None:
        values["value"] = (exact if listing.attribute == "externalId" else fold)(listing.value)
    found = [Shown._make(row) for row in statement.rows(tx, values)] if listing.count else []
    if len(found) < listing.count and (found or not listing.start):
        return found, listing.start + len(found)
    return found, count.rows(tx, values)[0][0]


@lru_cache(maxsize=256)
def _listing(kind: Kind, listed: frozenset[Ownership], attribute: str | None) -> tuple[Prepared, Prepared]:
    """Return the statement of a page, and the one that counts."""
    where = [resource.c.connection_id == bindparam("connection"), resource.c.kind == kind, ~resource.c.deleted]
    if listed != frozenset(Ownership):
        where.append(or_(*(resource.c.ownership == ownership.value for ownership in sorted(listed))))
    if attribute is not None:
        where.append(KEYS[kind, attribute] == bindparam("value"))
    order = (resource.c.created_at, resource.c.id)
    # The page is chosen in an index; only then its documents are read.
    chosen = select(resource.c.sequence).where(*where).order_by(*order).limit(bindparam("count"))
    chosen = chosen.offset(bindparam("start"))
    found = select(*_SHOWN).where(resource.c.sequence.in_(chosen)).order_by(*order)
    return Prepared(found), Prepared(select(func.count()).select_from(resource).where(*where))
