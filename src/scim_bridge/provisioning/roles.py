"""What the ``roles`` and ``entitlements`` of a User ask for: memberships of the groups that give it.

So driver, guard, comparison and explanation know one way only. The document of a User keeps what its client asked for,
in the client's own words; what else a person holds is none of it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from scim2_models import ForbiddenException, InvalidValueException

from scim_bridge.errors import PendingError
from scim_bridge.models import Entitlement, User
from scim_bridge.provisioning.groups import GroupIntake
from scim_bridge.provisioning.intake import Accepted, Intake
from scim_bridge.store import entitlements, memberships, resources
from scim_bridge.store.entitlements import Catalogue
from scim_bridge.store.rows import Asking, MemberDelta, ResourceRow
from scim_bridge.store.transaction import Transaction

ATTRIBUTES = {"roles": "Role", "entitlements": "Entitlement"}
"""The attributes of a User that ask, and the resource type that each is mostly about."""

TOLD = 50
"""How many names a refusal lists."""

FindGroup = Callable[[Transaction, Entitlement], ResourceRow | None]


class NotListedError(Exception):
    """A write names what the last listing of entitlements does not have: it may be newer than that.

    :param names: What it names.
    :param removes: Whether it takes some of that away.
    """

    def __init__(self, names: Sequence[str], *, removes: bool) -> None:
        super().__init__(*names)
        self.names, self.removes = names, removes


@dataclass(slots=True)
class Reading:
    """What a User asks for, as it is read.

    :param catalogue: What there is.
    :param asked: The groups that the person's roles asked for before.
    :param held: All groups that the person is in, or is to be in.
    :param leaving: Those that the person is still to leave, where members are kept on the group: whoever repeats the
        write that took one away waits for it, too.
    :param holds: Remote ids of the entitlements that the person holds.
    :param drops: Whether what cannot be asked for is left out, instead of refused.
    :param groups: The groups that give what is asked for, by id.
    :param warnings: What was left out, for the operator.
    """

    catalogue: Catalogue
    asked: frozenset[str]
    held: frozenset[str]
    leaving: frozenset[str]
    holds: frozenset[str]
    drops: bool
    groups: dict[str, ResourceRow] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


class RoleIntake:
    """Accepts what the roles of Users ask for, for one connection.

    :param find_group: Returns the group that gives an entitlement.
    """

    def __init__(self, intake: Intake, groups: GroupIntake, find_group: FindGroup) -> None:
        self._intake, self._groups, self._find_group = intake, groups, find_group
        self._attribute = intake.policy.role_attribute

    @classmethod
    def of(cls, intake: Intake, groups: GroupIntake, find_group: FindGroup) -> "RoleIntake | None":
        """Return it where roles are asked for; ``None`` where they are only kept, or only shown."""
        asked = intake.policy.assign != "groups" and "list_entitlements" in intake.capabilities.operations
        return cls(intake, groups, find_group) if asked else None

    def prune(self, tx: Transaction, row: ResourceRow, user: User) -> None:
        """Leave in the attributes of a User only what still asks: what was refused, or taken away, does not."""
        asked = memberships.asked_by_role(tx, self._intake.connection_id, row.id)
        catalogue = entitlements.load(tx, self._intake.connection_id)
        for name, kind in ATTRIBUTES.items():
            items = (getattr(user, name) or ()) if catalogue and asked else ()
            kept = [item for item in items if catalogue and self._ids(tx, catalogue, item, kind) & asked]
            setattr(user, name, kept or None)

    def attribute_of(self, user: User) -> Any:
        """Return the value of the attribute that names a role."""
        return getattr(user, self._attribute) if self._attribute else None

    def accept(
        self,
        tx: Transaction,
        row: ResourceRow | None,
        user: User,
        asking: Asking,
        before: Any = None,
        *,
        listed: bool = True,
    ) -> Callable[[Accepted], Accepted]:
        """Work out what a write of a User asks for; return what carries it out once the User is written.

        :param row: The User as it is; ``None``: it is made.
        :param user: The User as it is to be; what is left out, or only repeated, is taken out of it.
        :param before: What the attribute that names a role said before.
        :param listed: Whether what is not listed does not exist. Whoever is to be out waits for no listing.
        :raises NotListedError: When it names what is not listed, and that says nothing yet.
        :raises InvalidValueException: For what does not exist; it lists what does.
        :raises ForbiddenException: For what cannot be given.
        """
        out = user.active is False
        reading = self._reading(tx, row, drops=out or self._intake.policy.unknown_roles == "drop")
        says = any(getattr(user, name) for name in ATTRIBUTES) or self.attribute_of(user)
        leaving = frozenset() if out else reading.leaving
        if not (reading.asked or asking.named or says or leaving):
            return lambda accepted: accepted
        if not reading.catalogue.entitlements and not reading.drops:
            raise PendingError(
                "what roles there are is not known yet: the first comparison is under way", retry_after=5
            )
        if not (listed or out):
            removed = [text for text in asking.named if not reading.catalogue.meant(text)]
            if names := [*removed, *self._unlisted(reading.catalogue, user, before)]:
                raise NotListedError(names, removes=bool(removed))
        named = {one for text in asking.named for one in self._named(tx, reading.catalogue, text)}
        for name, kind in ATTRIBUTES.items():
            kept = []
            for item in getattr(user, name) or ():
                group = self._group(tx, reading, item, kind)
                if group is None or group.id in named or (asking.whole and group.id in reading.held - reading.asked):
                    continue
                reading.groups[group.id] = group
                kept.append(item)
            setattr(user, name, kept or None)
        self._by_attribute(tx, reading, user, before)
        gone = sorted((reading.asked | named | leaving) - reading.groups.keys())

        def apply(accepted: Accepted) -> Accepted:
            for group_id in gone:
                group = resources.get(tx, self._intake.connection_id, "Group", group_id, lock=True, deleted=True)
                if group is not None:
                    accepted = self._applied(tx, accepted, group, "remove")
            for group in reading.groups.values():
                accepted = self._applied(tx, accepted, group, "add")
            return replace(accepted, warnings=(*accepted.warnings, *reading.warnings))

        return apply

    def _applied(self, tx: Transaction, accepted: Accepted, group: ResourceRow, action: str) -> Accepted:
        user_id = accepted.row.id
        change = self._groups.asked_by_role(tx, group, [MemberDelta(action, (user_id,))])
        row = resources.get(tx, self._intake.connection_id, "User", user_id, lock=True) or accepted.row
        waits = accepted.waits | change.waits
        waits.pop(user_id, None)
        if self._intake.capabilities.user_centric:  # what else is to be done about the group is not this person's
            waits.pop(group.id, None)
        return replace(
            accepted,
            row=row,
            waits=waits | self._intake.waits_of(row),
            removals=(accepted.removals | change.removals) & (waits.keys() | {user_id}),
        )

    def _reading(self, tx: Transaction, row: ResourceRow | None, *, drops: bool) -> Reading:
        """Return what is known of a person before a write of theirs is read.

        :param drops: Whoever is to be out is not kept in by a name that means nothing.
        """
        catalogue = entitlements.load(tx, self._intake.connection_id) or Catalogue({})
        if row is None:
            return Reading(catalogue, frozenset(), frozenset(), frozenset(), frozenset(), drops)
        asked = memberships.asked_by_role(tx, self._intake.connection_id, row.id)
        groups = memberships.groups_of(tx, self._intake.connection_id, [row.id])[row.id]
        held = frozenset(group.id for group in groups if group.desired or group.observed)
        on_groups = not self._intake.capabilities.user_centric
        leaving = frozenset(group.id for group in groups if on_groups and group.observed and not group.desired)
        holds = frozenset((row.observed and row.observed.holds) or ())
        return Reading(catalogue, frozenset(asked), held, leaving, holds, drops)

    def _unlisted(self, catalogue: Catalogue, user: User, before: Any) -> list[str]:
        """Return the names of what a User asks for that is not listed."""
        items = [(item, kind) for name, kind in ATTRIBUTES.items() for item in getattr(user, name) or ()]
        if (text := self.attribute_of(user)) != before:
            items.append((_Named(text), "Role"))
        return [
            texts[0]
            for item, kind in items
            if (texts := list(_texts(item))) and not any(_meant(catalogue, item, text, kind) for text in texts)
        ]

    def _ids(self, tx: Transaction, catalogue: Catalogue, item: Any, kind: str) -> set[str]:
        """Return the groups that an item asks for; it was taken before, so nothing about it is refused."""
        found = [one for text in _texts(item) for one in _meant(catalogue, item, text, kind)]
        groups = (resources.find_by_remote_id(tx, self._intake.connection_id, "Group", one.remote_id) for one in found)
        return {group.id for group in groups if group is not None}

    def _named(self, tx: Transaction, catalogue: Catalogue, text: str) -> Iterator[str]:
        """Yield the groups that give what a text names; whoever is to leave one may have been put there by hand."""
        for one in catalogue.meant(text):
            group = resources.find_by_remote_id(tx, self._intake.connection_id, "Group", one.remote_id)
            if group is None and one.assignable:
                group = self._find_group(tx, one)
            if group is not None:
                yield group.id

    def _group(self, tx: Transaction, reading: Reading, item: Any, kind: str) -> ResourceRow | None:
        """Return the group that gives what an item asks for; ``None``: it asks for nothing, or is left out."""
        texts = list(_texts(item))
        found = [some for text in texts if (some := _meant(reading.catalogue, item, text, kind))]
        if not texts:
            return None
        if not found or len(found[0]) != 1:
            if not reading.drops:
                raise _unknown(reading.catalogue, texts[0], found[0] if found else [])
            reading.warnings.append("a role that does not exist, or may mean several")
            return None
        one = found[0][0]
        if not one.assignable:
            if one.remote_id in reading.holds or reading.drops:  # a client repeats what it was shown
                return None
            why = "it is privileged, and the operator has not allowed it" if one.privileged else "it is only shown"
            raise ForbiddenException(detail=f'"{one.name}" cannot be given by the bridge: {why}; nothing was changed')
        group = self._find_group(tx, one)
        if group is None or group.deleted:
            raise PendingError(f'"{one.name}" is not to be given at the moment', retry_after=5)
        return group

    def _by_attribute(self, tx: Transaction, reading: Reading, user: User, before: Any) -> None:
        """Add what the attribute that names a role asks for; what was refused before is asked for by a new value."""
        text = self.attribute_of(user)
        if not isinstance(text, str) or not text.strip():
            return
        group: ResourceRow | None
        if text == before:
            ids = set(self._named(tx, reading.catalogue, text.strip())) & reading.asked
            for one in sorted(ids):
                group = resources.get(tx, self._intake.connection_id, "Group", one, lock=True)
                reading.groups |= {} if group is None else {one: group}
        elif (group := self._group(tx, reading, _Named(text), "Role")) is not None:
            reading.groups[group.id] = group


def _unknown(catalogue: Catalogue, text: str, found: Sequence[Entitlement]) -> InvalidValueException:
    """Return the 400 of what does not exist, or may mean several."""
    text = repr(text[:200])
    if found:
        ids = ", ".join(one.remote_id for one in found)
        return InvalidValueException(detail=f"several are named {text}: ask by id ({ids}); nothing was changed")
    names = sorted({one.name for one in catalogue.entitlements.values() if one.assignable})
    more = f" and {len(names) - TOLD} more" if len(names) > TOLD else ""
    exist = ", ".join(f'"{name}"' for name in names[:TOLD]) or "none"
    detail = f"there is no role or entitlement {text}; there are: {exist}{more}; nothing was changed"
    return InvalidValueException(detail=detail)


@dataclass(frozen=True, slots=True)
class _Named:
    """A role that is asked for by its name alone."""

    value: str
    display: None = None
    type: None = None


def _texts(item: Any) -> Iterator[str]:
    """Yield what an item says of what it asks for, its value first."""
    for text in (item.value, item.display):
        if isinstance(text, str) and text.strip():
            yield text.strip()


def _meant(catalogue: Catalogue, item: Any, text: str, kind: str) -> list[Entitlement]:
    return catalogue.meant(text, resource_type=kind, type_=str(item.type or ""))
