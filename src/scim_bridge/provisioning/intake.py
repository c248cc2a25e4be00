"""From a write to *desired* state: one local transaction, durable before any byte goes upstream.

Every method runs inside a transaction of the store. It locks the row, checks ``If-Match``, applies the change, counts
the generation, writes the audit entry and returns what the request has to wait for. Nothing here calls a remote system.
"""

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from scim2_models import InvalidValueException, NotFoundException, UniquenessException

from scim_bridge.models import Group, Kind, Lane, User
from scim_bridge.paths import attributes_of
from scim_bridge.provisioning.guard import Guard
from scim_bridge.provisioning.journal import record
from scim_bridge.provisioning.policy import ProvisioningPolicy
from scim_bridge.provisioning.situation import Capabilities, name_of, rearmed
from scim_bridge.store import documents, index, resources
from scim_bridge.store.rows import Observed, Ownership, ResourceRow, State
from scim_bridge.store.transaction import Transaction

STAYED_TOLD = 100
"""How many members who stay are named in one audit entry."""

Check = Callable[[str], None]
"""Evaluates ``If-Match`` and ``If-None-Match`` against an entity tag; raises ``PreconditionFailedException``."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A write that is durable.

    :param row: The resource, after the write.
    :param waits: The generation to wait for, by resource id.
    :param removals: Ids of those whose access is taken away: they are confirmed before anything is claimed.
    :param then_members: Whether the members of this group have to be waited for once the group itself is settled.
    :param repeated: Whether a creation found itself already made.
    :param warnings: What was left out, for the operator.
    :param nested: How many Groups were left out of a group's members.
    :param stayed: How many members stay although the whole list, or the deletion, did not name them.
    """

    row: ResourceRow
    waits: dict[str, int] = field(default_factory=dict)
    removals: frozenset[str] = frozenset()
    then_members: bool = False
    repeated: bool = False
    warnings: tuple[str, ...] = ()
    nested: int = 0
    stayed: int = 0


class Intake:
    """Accepts the writes of one connection.

    :param new_id: Mints resource ids (UUIDs, never reused: RFC 7643 §3.1).
    :param clock: Tells the time, in UTC.
    """

    def __init__(
        self,
        connection_id: str,
        capabilities: Capabilities,
        policy: ProvisioningPolicy,
        *,
        new_id: Callable[[], str],
        clock: Callable[[], datetime],
    ) -> None:
        self.connection_id = connection_id
        self.capabilities = capabilities
        self.policy = policy
        self.new_id = new_id
        self.clock = clock
        self.guard = Guard(connection_id, policy.guard, clock=clock, user_model=capabilities.user_model)

    # -- Shared by users and groups --------------------------------------------------------------------------------

    def live(self, tx: Transaction, kind: Kind, resource_id: str) -> ResourceRow:
        """Return a resource that clients can see, locked.

        :raises NotFoundException: When there is none.
        """
        row = resources.get(tx, self.connection_id, kind, resource_id, lock=True)
        if row is None:
            raise NotFoundException(detail=f"{kind} {resource_id} not found")
        return row

    def insert(
        self, tx: Transaction, kind: Kind, resource: User | Group, *, unique: bool, new_id: str | None = None
    ) -> ResourceRow:
        """Insert a new resource as desired; the remote system has nothing of it yet.

        :param new_id: Its id, where one was minted before.
        """
        now = self.clock()
        resource_id = new_id or self.new_id()
        active = getattr(resource, "active", None) is not False
        row = ResourceRow(
            connection_id=self.connection_id,
            id=resource_id,
            kind=kind,
            name=name_of(resource),
            document=documents.encode(resource, resource_id),
            created_at=now,
            modified_at=now,
            external_id=resource.external_id,
            active=active,
            shown_active=active,
            unique_name=unique,
            # An account that is to be inactive may be there already, and active: ask before taking that for done.
            observed=Observed() if active else None,
            may_make=active and kind == "User",
            state=State.PENDING,
            lane=Lane.CREATE if active else Lane.UPDATE,
            answered=False,
        )
        resources.insert(tx, row, resource)
        self.record(tx, row, "create")
        return row

    def store(
        self,
        tx: Transaction,
        row: ResourceRow,
        resource: User | Group,
        *,
        lane: Lane,
        matters: bool,
        hold: bool = False,
    ) -> ResourceRow:
        """Replace the desired document of a resource.

        :param matters: Whether the remote system holds something of what changed; else nothing is to be driven.
        :param hold: Whether it is held for an operator.
        """
        now = self.clock()
        changed = replace(
            row,
            name=name_of(resource),
            external_id=resource.external_id,
            document=documents.encode(resource, row.id),
            modified_at=now,
            version=row.version + 1,
            ownership=self.owned(row),
            observed=self._cleared(row, resource),
        )
        if matters:
            changed = self.rearm(tx, changed, lane, hold=hold)
        paths = changed_paths(row.document, changed.document)
        compared = any(path not in index.ELSEWHERE for path in paths)  # else what filters compare is as it was
        resources.save(tx, changed, resource if compared else None)
        self.record(tx, changed, "modify", paths=paths)
        return changed

    def _cleared(self, row: ResourceRow, resource: User | Group) -> Observed | None:
        """Return what was seen of a resource, with the attributes that a write unassigns, to be cleared there too."""
        if row.observed is None:
            return None
        paths = self.capabilities.attributes(row.kind)
        before, after = (attributes_of(one, paths).keys() for one in (json.loads(row.document), resource.model_dump()))
        cleared = (before | set(row.observed.cleared)) - after
        return replace(row.observed, cleared=tuple(sorted(cleared)))

    def untouched(self, tx: Transaction, row: ResourceRow, *, asked: bool = False) -> ResourceRow:
        """Take a write that changes nothing: calm, but it claims the account and tries again what was refused.

        :param asked: Whether it says that the account is to be there: the driver, if it is at work, may find it gone.
        """
        make = row.may_make or (asked and row.active and row.state is not State.SETTLED)
        changed = replace(row, ownership=self.owned(row), may_make=make)
        if row.state is State.BLOCKED:
            changed = self.rearm(tx, changed, row.lane)
        elif row.state is State.PENDING:
            changed = replace(changed, not_before=None, refusal=None)
        if changed != row:
            resources.save(tx, changed)
        return changed

    def rearm(
        self, tx: Transaction, row: ResourceRow, lane: Lane, *, hold: bool = False, keep: Collection[str] = ()
    ) -> ResourceRow:
        """Count a new generation and hand it to the driver at once, or hold it for an operator.

        A lane that is already more urgent stays: the removal that asked for it may not be done yet. What is held stays
        held through lesser writes; a single removal, or giving the access back, goes through, and privileged grants
        that were held are withdrawn by it.

        :param keep: Of a group: members whose grant this write itself asks for.
        """
        changed = replace(rearmed(row, lane), refusal=None)
        if row.state in {State.PENDING, State.HELD}:
            changed = replace(changed, lane=min(lane, row.lane))
        if hold or (row.state is State.HELD and lane not in {Lane.REMOVE, Lane.CREATE}):
            record(tx, changed, "guard", now=self.clock(), decision="held")
            return replace(changed, state=State.HELD, not_before=self.clock() + self.policy.guard.hold)
        if row.state is State.HELD:
            self.guard.withdraw_grants(tx, row, keep=keep)
        return changed

    def may_have_returned(self, row: ResourceRow) -> bool:
        """Whether a person was last seen to be out, or gone, and somebody may have let them in by hand since.

        What was seen is not to be relied on then. Of somebody who was never settled there is nothing to return.
        """
        known = row.remote_id is not None or (
            bool(row.observed_generation) and "find_user" in self.capabilities.operations
        )
        return known and not row.is_seen_active

    @staticmethod
    def owned(row: ResourceRow) -> Ownership:
        """Return the ownership after a client wrote the resource."""
        return Ownership.ADOPTED if row.ownership is Ownership.DISCOVERED else row.ownership

    def is_repeat(self, row: ResourceRow, resource: User | Group) -> bool:
        """Tell whether a creation asks for what an earlier one already made.

        A client that was told "pending", or nothing, sends its creation again, and may say more by then. One that was
        told of it gets a 409 (RFC 7644 §3.3), unless it is known to send the very same again: Entra ID does so without
        a query.
        """
        if row.ownership is Ownership.DISCOVERED or row.external_id != resource.external_id:
            return False
        if not row.answered:
            return True
        recent = self.clock() - row.created_at < self.policy.idempotent_create
        return resource.external_id is not None and recent and self._says(row, resource)

    @staticmethod
    def _says(row: ResourceRow, resource: User | Group) -> bool:
        """Tell whether a creation says what is desired already; members and ``active`` aside."""
        said = json.loads(documents.encode(resource, row.id))
        return bool(said | {"active": row.active} == json.loads(row.document) | {"active": row.active})

    def matters(self, row: ResourceRow, resource: User | Group) -> bool:
        """Tell whether the remote system holds something of what a change would alter."""
        paths = self.capabilities.attributes(row.kind)
        before = attributes_of(json.loads(row.document), paths)
        return row.state is State.BLOCKED or before != attributes_of(resource.model_dump(), paths)

    def record(
        self,
        tx: Transaction,
        row: ResourceRow,
        operation: str,
        *,
        paths: list[str] | None = None,
        stayed: Collection[str] = (),
    ) -> None:
        """Write the intent to the audit chain, in the same transaction; ids only, no personal data.

        :param paths: Attribute paths that changed, without their values.
        :param stayed: Unmanaged members who stay in a group although the write did not name them.
        """
        told: dict[str, str | list[str]] = {}
        if stayed:
            told = {"stayed": sorted(stayed)[:STAYED_TOLD], "stayed_number": str(len(stayed))}
        if paths:
            told["paths"] = paths
        record(tx, row, "intent", now=self.clock(), operation=operation, lane=row.lane.name, **told)

    def waits_of(self, row: ResourceRow) -> dict[str, int]:
        """Return what a request about this resource alone waits for; nothing when it is settled."""
        settled = row.state is State.SETTLED and row.observed_generation >= row.generation
        return {} if settled else {row.id: row.generation}


def changed_paths(before: bytes, after: bytes) -> list[str]:
    """Return the attribute paths in which two documents differ, one level deep; no values."""
    old, new = _flat(json.loads(before)), _flat(json.loads(after))
    return sorted(path for path in old.keys() | new.keys() if old.get(path) != new.get(path))


def _flat(document: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a document by path (``name.givenName``, ``urn:…:User:department``)."""
    flat: dict[str, Any] = {}
    for name, value in document.items():
        if isinstance(value, dict):
            mark = ":" if name.startswith("urn:") else "."
            flat |= {f"{name}{mark}{inner}": part for inner, part in value.items()}
        else:
            flat[name] = value
    return flat


def taken(kind: Kind) -> UniquenessException:
    """Return the 409 of a name that another resource of the connection has."""
    attribute = "userName" if kind == "User" else "displayName"
    return UniquenessException(detail=f"a {kind} with this {attribute} already exists")


def nested_groups(ids: frozenset[str]) -> InvalidValueException:
    """Return the 400 of members that are Groups."""
    detail = f"members that are Groups: {', '.join(sorted(ids))}; a Group holds Users only here, name them instead"
    return InvalidValueException(detail=f"{detail}; nothing was changed")


def unknown_members(ids: frozenset[str]) -> InvalidValueException:
    """Return the 400 of members that name no User of the connection."""
    return InvalidValueException(detail=f"unknown members: {', '.join(sorted(ids))}")
