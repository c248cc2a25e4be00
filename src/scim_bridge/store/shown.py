"""What responses show of resources, in the fewest statements and without a row object for each.

Each function reads what :func:`scim_bridge.store.resources.get`, :func:`scim_bridge.store.query.query` and
:mod:`scim_bridge.store.memberships` read, for the questions that clients ask most; a test compares them.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import CompoundSelect, and_, bindparam, func, or_, select, union_all
from sqlalchemy.sql.expression import ColumnElement

from scim_bridge.models import Kind
from scim_bridge.store.comparison import exact, fold
from scim_bridge.store.conditions import Position
from scim_bridge.store.connector_state import IS_PLANNING
from scim_bridge.store.memberships import SHOWN
from scim_bridge.store.prepared import Prepared, among, array
from scim_bridge.store.rows import Ownership, entity_tag
from scim_bridge.store.tables import attribute_value, listed, member, resource
from scim_bridge.store.transaction import Transaction


class Shown(NamedTuple):
    """The columns that a representation is made of: times in microseconds, flags as the driver has them."""

    id: str
    document: bytes
    created_at: int
    modified_at: int
    version: int
    active: bool
    shown_active: bool

    @property
    def etag(self) -> str:
        """The entity tag of the representation."""
        return entity_tag(self.version)


@dataclass(frozen=True, slots=True)
class Listing:
    """What a list is asked for.

    :param kind: The resource type.
    :param listed: Which resources are shown, by how the bridge came to know them.
    :param start: How many resources come before the page.
    :param count: The length of the page.
    :param sought: What the resources must have; ``None``: all are listed.
    :param by_name: Whether they are in the order of their names, not of their creation.
    :param descending: Whether the order is reversed.
    """

    kind: Kind
    listed: frozenset[Ownership]
    start: int
    count: int
    sought: "Sought | None" = None
    by_name: bool = False
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Sought:
    """A comparison of one attribute with a text.

    :param attribute: The attribute's path: one of :data:`COLUMNS`, or of :data:`PATHS`.
    :param contained: Whether the text is contained in the value (``co``), not the value itself (``eq``).
    :param value: The text.
    """

    attribute: str
    contained: bool
    value: str


SHOWN_ACTIVE = and_(resource.c.shown_active, or_(resource.c.active, ~IS_PLANNING))
"""What clients are shown of ``active``: of a connection that only plans, what is wanted."""

_SHOWN = [*(resource.c[name] for name in Shown._fields[:-1]), SHOWN_ACTIVE.label("shown_active")]
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
            member, and_(member.c.connection_id == resource.c.connection_id, member.c.user_id == resource.c.id, SHOWN)
        ).outerjoin(_GROUP, _IS_HELD)
    )
    .where(_KEY)
    .order_by(member.c.group_id)
)
_GROUPS = Prepared(
    select(member.c.user_id, _GROUP.c.id, _GROUP.c.name)
    .select_from(member.join(_GROUP, _IS_HELD))
    .where(member.c.connection_id == bindparam("connection"), among(member.c.user_id, "ids"), SHOWN)
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
        SHOWN,
        member.c.user_id.not_in(_GONE),
    )
    .order_by(member.c.user_id)
)
COLUMNS: dict[Kind, dict[str, ColumnElement[Any]]] = {
    "User": {"userName": resource.c.name_key, "externalId": resource.c.external_id_key},
    "Group": {"displayName": resource.c.name_key, "externalId": resource.c.external_id_key},
}
"""The attributes whose comparison key is a column."""

PATHS: dict[Kind, frozenset[str]] = {
    "User": frozenset({"displayName", "emails.value", "name.familyName", "name.givenName"}),
    "Group": frozenset(),
}
"""Those whose keys are rows of ``attribute_value``; case does not count in them."""


def user(tx: Transaction, connection_id: str, id: str) -> tuple[Shown, list[tuple[str, str]]] | None:
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


def group(tx: Transaction, connection_id: str, id: str) -> tuple[Shown, list[str]] | None:
    """Return a Group, and the ids of its members."""
    key = {"connection": connection_id, "kind": "Group", "id": id}
    found = _ONE.rows(tx, key)
    return (Shown._make(found[0]), members(tx, connection_id, id)) if found else None


def members(tx: Transaction, connection_id: str, group_id: str) -> list[str]:
    """Return the ids of the live members of a group, desired or observed, in order."""
    return [id_ for (id_,) in _MEMBERS.rows(tx, {"connection": connection_id, "id": group_id})]


def groups_of(tx: Transaction, connection_id: str, user_ids: Collection[str]) -> dict[str, list[tuple[str, str]]]:
    """Return id and name of the live groups of people; whoever is in none is no key."""
    found: dict[str, list[tuple[str, str]]] = {}
    for user_id, id_, name in _GROUPS.rows(tx, {"connection": connection_id, "ids": array(user_ids)}):
        found.setdefault(user_id, []).append((id_, name))
    return found


def page(tx: Transaction, connection_id: str, listing: Listing) -> tuple[list[Shown], int]:
    """Return a page of the resources that match, in their order, and how many match."""
    values: dict[str, Any] = {"connection": connection_id, "start": listing.start, "count": listing.count}
    if listing.sought is None:
        return _page_of_all(tx, listing, values)
    sought = listing.sought
    values["value"] = (exact if sought.attribute == "externalId" else fold)(sought.value)
    shape = _shape(listing)
    found = _found(shape, listing.by_name, listing.descending).rows(tx, values)
    rows = [Shown._make(row) for row in found]
    if len(rows) < listing.count and (rows or not listing.start):
        return rows, listing.start + len(rows)
    return rows, _counted(shape).rows(tx, values)[0][0]


def _page_of_all(tx: Transaction, listing: Listing, values: dict[str, Any]) -> tuple[list[Shown], int]:
    """Return a page of everything, walked to from the nearer end."""
    shape = _shape(listing)
    if tx.dialect.name == "sqlite":
        numbers = dict(_NUMBERS.rows(tx, values | {"kind": listing.kind}))
        total = sum(numbers.get(ownership.value, 0) for ownership in listing.listed)
    else:
        total = _counted(shape).rows(tx, values)[0][0]
    length = min(listing.count, total - listing.start)
    if length <= 0:
        return [], total
    from_the_end = total - listing.start - length
    if from_the_end >= listing.start:
        found = _found(shape, listing.by_name, listing.descending).rows(tx, values)
        return [Shown._make(row) for row in found], total
    values |= {"start": from_the_end, "count": length}
    found = _found(shape, listing.by_name, not listing.descending).rows(tx, values)
    return [Shown._make(row) for row in reversed(found)], total


_NUMBERS = Prepared(
    select(listed.c.ownership, listed.c.number).where(
        listed.c.connection_id == bindparam("connection"), listed.c.kind == bindparam("kind")
    )
)

Shape = tuple[Kind, frozenset[Ownership], str | None, bool]
"""What of a list is in the text of its statements: resource type, ownerships, attribute sought, and how."""


def _shape(listing: Listing) -> Shape:
    sought = listing.sought
    if sought is None:
        return listing.kind, listing.listed, None, False
    return listing.kind, listing.listed, sought.attribute, sought.contained


@lru_cache(maxsize=256)
def _found(shape: Shape, by_name: bool, descending: bool) -> Prepared:  # noqa: FBT001 - the cache's key
    """Return the statement of a page."""
    order: list[ColumnElement[Any]] = [resource.c.name_key if by_name else resource.c.created_at, resource.c.id]
    if descending:
        order = [column.desc() for column in order]
    # The page is chosen in an index; only then its documents are read.
    chosen = select(resource.c.sequence).where(*_where(shape)).order_by(*order)
    if by_name and shape[2] is None:  # the planner prefers the index of lists, and would sort all of it
        chosen = chosen.with_hint(resource, "INDEXED BY resource_name", "sqlite")
    chosen = chosen.limit(bindparam("count")).offset(bindparam("start"))
    return Prepared(select(*_SHOWN).where(resource.c.sequence.in_(chosen)).order_by(*order))


@lru_cache(maxsize=256)
def _counted(shape: Shape) -> Prepared:
    """Return the statement that counts."""
    return Prepared(select(func.count()).select_from(resource).where(*_where(shape)))


def _where(shape: Shape) -> list[ColumnElement[bool]]:
    kind, ownerships, attribute, contained = shape
    where = [resource.c.connection_id == bindparam("connection"), resource.c.kind == kind, ~resource.c.deleted]
    if ownerships != frozenset(Ownership):
        where.append(or_(*(resource.c.ownership == ownership.value for ownership in sorted(ownerships))))
    if attribute is None:
        return where
    column = COLUMNS[kind].get(attribute)
    value: ColumnElement[str] = bindparam("value")
    if column is not None:
        where.append(and_(column.is_not(None), Position(column, value) > 0) if contained else column == value)
    else:
        where.append(resource.c.sequence.in_(_holders(attribute, contained=contained)))
    return where


def _holders(path: str, *, contained: bool) -> CompoundSelect[Any]:
    """Return the resources with an attribute that is, or contains, the text.

    Almost all texts are in the index as a whole, which is all that is read of them; the others are few, in one of their
    own.
    """
    value: ColumnElement[str] = bindparam("value")
    of_path = and_(attribute_value.c.connection_id == bindparam("connection"), attribute_value.c.path == path)
    whole, long = attribute_value.c.text, attribute_value.c.long_text
    # A text of which only the beginning is in the index may be longer than the one that is sought.
    in_short = Position(whole, value) > 0 if contained else and_(whole == value, long.is_(None))
    in_long = Position(long, value) > 0 if contained else long == value
    holders = select(attribute_value.c.resource)
    return union_all(
        holders.where(of_path, in_short),
        holders.where(of_path, long.is_not(None), in_long),
    )
