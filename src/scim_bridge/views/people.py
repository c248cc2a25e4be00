"""Who has access, with what, and who manages them; which groups there are."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from scim2_models import EnterpriseUser, ScimFilter, User

from scim_bridge.store import entitlements, filters, inventory, memberships, resources
from scim_bridge.store.entitlements import Catalogue
from scim_bridge.store.rows import Membership, Ownership, ResourceRow, State
from scim_bridge.store.transaction import Transaction
from scim_bridge.views import Page, Position

PAGE = 500

Wanted = Literal["active", "inactive", "deleted"]
There = Literal["active", "invited", "inactive", "present", "absent", "unknown"]
"""Of an account whether it lets in; a group is *present*."""


@dataclass(frozen=True, slots=True)
class GroupOfPerson:
    """A group of a person.

    :param wanted: Whether the client wants the person in it.
    :param there: Whether the remote system was last seen to hold them in it.
    :param by_hand: Whether somebody gave it in the remote system: no client has named it.
    :param on_return: Whether it is only kept for the day on which the person, who is to have no access, returns.
    """

    id: str
    name: str
    remote_id: str | None
    wanted: bool
    there: bool
    by_hand: bool
    on_return: bool

    def __str__(self) -> str:
        """Return the name, and what is still to come."""
        if self.wanted == self.there and not self.on_return:
            return self.name
        note = "on return" if self.on_return else "to be given" if self.wanted else "to be taken away"
        return f"{self.name} ({note})"


@dataclass(frozen=True, slots=True)
class PersonRow:
    """One person of a list.

    :param wanted: What the clients want of the account.
    :param there: What the remote system was last seen to hold of it.
    :param managed: Whether a client has written the person; else they were found in the remote system.
    :param holds: What the remote system was last seen to give them, whoever gave it: permission sets, teams, seats,
        and what no group stands for, such as Super Admin. Empty where a connector does not tell.
    """

    connection: str
    name: str
    wanted: Wanted
    there: There
    state: State
    managed: bool
    groups: tuple[GroupOfPerson, ...]
    holds: tuple[str, ...]
    id: str
    remote_id: str | None
    external_id: str | None


@dataclass(frozen=True, slots=True)
class GroupRow:
    """One group of a list.

    :param there: Whether the remote system was last seen to have it.
    :param members: How many are to be in it.
    :param joining: How many of them are not known to be in it yet.
    :param leaving: How many are to leave it, and were last seen in it.
    :param why: What the remote system refused of it.
    """

    connection: str
    name: str
    there: There
    state: State
    managed: bool
    members: int
    joining: int
    leaving: int
    id: str
    remote_id: str | None
    why: str | None


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which people are asked for; all, unless something is given.

    :param filter: A SCIM filter (RFC 7644 §3.4.2.2) over the attributes of User and the enterprise extension.
    :param group: The displayName of a group that they are in, are to be in, or are to leave.
    :param access: Only those who are let in, or of whom it is not known.
    """

    filter: str | None = None
    state: State | None = None
    managed: bool | None = None
    group: str | None = None
    access: bool = False


def people(
    tx: Transaction, connection_id: str, chosen: Chosen, after: Position | None, *, limit: int | None = None
) -> Page[PersonRow]:
    """Return a page of people in the order of their userNames, those who are being deleted too.

    :raises LookupError: When there is no group of the name.
    :raises InvalidFilterException: When the filter is none.
    """
    limit = limit or PAGE
    where = _conditions(tx, connection_id, chosen)
    found = inventory.by_name(tx, connection_id, "User", after=_texts(after), limit=limit, where=where)
    groups = memberships.groups_of(tx, connection_id, [row.id for _, row in found])
    listed = entitlements.load(tx, connection_id) or Catalogue({})
    told = [_person(row, groups.get(row.id, []), listed) for _, row in found if not was_refused(row)]
    if chosen.access:
        told = [one for one in told if one.there in {"active", "unknown"}]
    last = found[-1] if len(found) == limit else None
    return Page(tuple(told), None if last is None else (last[0], last[1].id))


def groups(tx: Transaction, connection_id: str, after: Position | None, *, limit: int | None = None) -> Page[GroupRow]:
    """Return a page of groups in the order of their names."""
    limit = limit or PAGE
    found = inventory.by_name(tx, connection_id, "Group", after=_texts(after), limit=limit)
    numbers = inventory.member_counts(tx, connection_id, [row.id for _, row in found])
    told = [
        GroupRow(
            connection_id,
            row.name,
            there(row),
            row.state,
            row.ownership is not Ownership.DISCOVERED,
            numbers[row.id].desired,
            numbers[row.id].joining,
            numbers[row.id].leaving,
            row.id,
            row.remote_id,
            None if row.refusal is None else row.refusal.detail,
        )
        for _, row in found
    ]
    last = found[-1] if len(found) == limit else None
    return Page(tuple(told), None if last is None else (last[0], last[1].id))


def wanted(row: ResourceRow) -> Wanted:
    """Return what the clients want of an account or group."""
    if was_refused(row):
        return "active"
    return "deleted" if row.deleted else "active" if row.active else "inactive"


def was_refused(row: ResourceRow) -> bool:
    """Whether a row is that of a creation which was refused: there is nobody, and no client knows the id."""
    return row.deleted and row.state is State.BLOCKED and there(row) == "absent"


def there(row: ResourceRow) -> There:
    """Return what the remote system was last seen to hold of an account or group."""
    if row.observed is None:
        return "unknown"
    if not row.observed.present:
        return "absent"
    if row.kind == "Group":
        return "present"
    return "active" if row.observed.active else "invited" if row.observed.invited else "inactive"


def groups_of(row: ResourceRow, groups: Iterable[Membership]) -> tuple[GroupOfPerson, ...]:
    """Return what is told of the groups of a person, in the order of their names.

    What no client has named, of somebody whom none has written, stays as it is.
    """
    discovered = row.ownership is Ownership.DISCOVERED
    told = (
        GroupOfPerson(
            one.id,
            one.name,
            one.remote_id,
            wanted=one.desired,
            there=one.given,
            by_hand=discovered and one.desired and not one.named,
            on_return=one.desired and not row.active and there(row) != "active",
        )
        for one in groups
    )
    return tuple(sorted(told, key=lambda one: (one.name, one.id)))


def _person(row: ResourceRow, groups: list[Membership], listed: Catalogue) -> PersonRow:
    held = (row.observed and row.observed.holds) or ()
    return PersonRow(
        row.connection_id,
        row.name,
        wanted(row),
        there(row),
        row.state,
        row.ownership is not Ownership.DISCOVERED,
        groups_of(row, groups),
        tuple(sorted(listed.entitlements[one].name if one in listed.entitlements else one for one in held)),
        row.id,
        row.remote_id,
        row.external_id,
    )


def _conditions(tx: Transaction, connection_id: str, chosen: Chosen) -> list[Any]:
    conditions = []
    if chosen.filter is not None:
        conditions.append(_compiled(chosen.filter))
    if chosen.state is not None:
        conditions.append(inventory.in_state(chosen.state))
    if chosen.managed is not None:
        conditions.append(inventory.owned_by_nobody(is_so=not chosen.managed))
    if chosen.group is not None:
        conditions.append(inventory.in_group(_group(tx, connection_id, chosen.group)))
    if chosen.access:
        conditions.append(inventory.may_be_let_in())
    return conditions


def _compiled(text: str) -> Any:
    return filters.compile(ScimFilter[Any](text).ast, "User", User[EnterpriseUser])


def _group(tx: Transaction, connection_id: str, name: str) -> str:
    row = resources.find_by_name(tx, connection_id, "Group", name)
    if row is None:
        raise LookupError(
            f'no group of {connection_id} is called "{name}"; scim-bridge groups {connection_id} lists them'
        )
    return row.id


def _texts(after: Position | None) -> tuple[str, str] | None:
    return None if after is None else (str(after[0]), str(after[1]))
