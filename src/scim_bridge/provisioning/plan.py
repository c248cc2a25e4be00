"""What is to be done next to bring a remote system from what it holds to what is desired: pure, without I/O.

The driver asks for one step, takes it, records what it saw and asks again; so a step that has just become wrong,
because a newer desired state arrived, is never taken. Two rules order the steps: what takes access away goes first, and
nothing is granted to an account that is not meant to be active. An account is made, or let in again, only when that is
asked for: whoever was removed by hand does not return because something else was written about them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Step(StrEnum):
    """The next hook to call. A value is the hook's name."""

    DELETE_USER = "delete_user"
    DEACTIVATE_USER = "deactivate_user"
    CREATE_USER = "create_user"
    REACTIVATE_USER = "reactivate_user"
    UPDATE_USER = "update_user"
    SET_USER_GROUPS = "set_user_groups"
    FINISH_USER = "finish_user"
    DELETE_GROUP = "delete_group"
    CREATE_GROUP = "create_group"
    UPDATE_GROUP = "update_group"
    ADD_GROUP_MEMBERS = "add_group_members"
    REMOVE_GROUP_MEMBERS = "remove_group_members"


REMOVALS = frozenset(
    {Step.DELETE_USER, Step.DEACTIVATE_USER, Step.FINISH_USER, Step.DELETE_GROUP, Step.REMOVE_GROUP_MEMBERS}
)
"""Steps that only take access away."""


@dataclass(frozen=True, slots=True)
class Desired:
    """What the client wants.

    :param exists: ``False`` once the client deleted it.
    :param active: Whether the account should be active; true of a group.
    :param attributes: Values by attribute path, only paths the connector keeps; ``None``: the client unassigned it.
    :param links: Of a user: remote ids of the groups it should be in. Of a group: remote ids of its members. Only where
        the connector keeps membership on this side.
    :param left: Whether a group that its client deleted is left to members whom no client manages.
    :param make: Of a user, whether an account that is not there, or inactive, is to be made or let in again.
    """

    exists: bool = True
    active: bool = True
    attributes: Mapping[str, Any] = field(default_factory=dict)
    links: frozenset[str] = frozenset()
    left: bool = False
    make: bool = True


@dataclass(frozen=True, slots=True)
class Seen:
    """What the remote system was seen to hold; the fields mirror :class:`Desired`.

    :param known: Whether the remote system has ever answered with an identifier for it.
    :param deferred: Attribute paths that it does not take at present; they are not tried again in this drive.
    :param unfinished: Of a user, whether ``finish_user`` is due, as :class:`~scim_bridge.models.Remote` says.
    :param invited: Of a user that is not active, whether the person has only to accept an invitation.
    """

    known: bool = False
    present: bool = False
    active: bool = False
    attributes: Mapping[str, Any] = field(default_factory=dict)
    deferred: frozenset[str] = frozenset()
    links: frozenset[str] = frozenset()
    unfinished: bool = False
    invited: bool = False


def next_user_step(desired: Desired, seen: Seen, operations: frozenset[str]) -> Step | None:
    """Return the next step for an account, or ``None`` when nothing differs that the connector could change."""
    if not (desired.exists and desired.active):
        if not desired.exists and seen.present and Step.DELETE_USER in operations:
            return Step.DELETE_USER
        may_act = seen.present and (seen.active or seen.invited)
        return Step.DEACTIVATE_USER if may_act else _finish(seen, operations)
    if not (seen.present and seen.active):
        waits = seen.present and seen.invited
        return (None if waits else _entry(desired, seen)) or _finish(seen, operations)
    groups_differ = desired.links != seen.links and Step.SET_USER_GROUPS in operations
    if groups_differ and seen.links - desired.links:
        return Step.SET_USER_GROUPS
    if differing(desired, seen):
        return Step.UPDATE_USER
    return Step.SET_USER_GROUPS if groups_differ else _finish(seen, operations)


def _finish(seen: Seen, operations: frozenset[str]) -> Step | None:
    """Remove the other account last: what it gave the person, the one that stays has by then."""
    return Step.FINISH_USER if seen.unfinished and Step.FINISH_USER in operations else None


def _entry(desired: Desired, seen: Seen) -> Step | None:
    if not desired.make:
        return None
    return Step.REACTIVATE_USER if seen.known else Step.CREATE_USER


def next_group_step(desired: Desired, seen: Seen, operations: frozenset[str]) -> Step | None:
    """Return the next step for a group, or ``None`` when nothing differs that the connector could change."""
    leaving = seen.links - (desired.links if desired.exists else frozenset())
    if seen.present and leaving and Step.REMOVE_GROUP_MEMBERS in operations:
        return Step.REMOVE_GROUP_MEMBERS
    if not desired.exists:
        delete = seen.present and not desired.left and Step.DELETE_GROUP in operations
        return Step.DELETE_GROUP if delete else None
    if not seen.present:
        return Step.CREATE_GROUP
    if differing(desired, seen) and Step.UPDATE_GROUP in operations:
        return Step.UPDATE_GROUP
    if desired.links - seen.links and Step.ADD_GROUP_MEMBERS in operations:
        return Step.ADD_GROUP_MEMBERS
    return None


def differing(desired: Desired, seen: Seen) -> frozenset[str]:
    """Return the attribute paths whose values differ, deferred ones left out."""
    return frozenset(
        path
        for path, value in desired.attributes.items()
        if path not in seen.deferred and not same(path, value, seen.attributes.get(path))
    )


def same(path: str, one: Any, other: Any) -> bool:
    """Tell whether two values are the same to a remote system.

    Remote systems trim names and lower-case e-mail addresses. To take that for a difference would send the same update
    for ever, so unassigned, ``""`` and ``None`` are one (RFC 7643 §2.5), and addresses compare without regard to case.
    """
    return bool(_normal(path, one) == _normal(path, other))


def _normal(path: str, value: Any) -> Any:
    if value is None or value in ("", []):
        return None
    if isinstance(value, str):
        trimmed = value.strip()
        return trimmed.casefold() if path == "userName" or path.startswith("emails") else trimmed
    if isinstance(value, list):
        return [_normal(path, item) for item in value]
    if isinstance(value, dict):
        return {key: _normal(path, item) for key, item in value.items() if item not in (None, "", [])}
    return value
