"""What the store keeps of a resource, as values without SQL.

A resource is one row: what the client wants (*desired*: the document and the membership rows), what the remote system
was seen to hold (*observed*), and how far the driver has come from the one to the other (``generation`` against
``observed_generation``, ``state``, ``attempt``, ``not_before``). There is no journal beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from scim_bridge.models import Kind, Lane


class State(StrEnum):
    """Where a resource stands between desired and observed."""

    SETTLED = "settled"
    PENDING = "pending"
    BLOCKED = "blocked"
    """The remote system refused; visible until the client writes again. A removal is never blocked, only pending."""
    HELD = "held"
    """The mass-change guard holds it until an operator approves or rejects."""


class Ownership(StrEnum):
    """How the bridge came to know an account or group."""

    CREATED = "created"
    ADOPTED = "adopted"
    DISCOVERED = "discovered"
    """Found in the remote system; no client has written it. It is never changed by reconcile."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What the remote system was last seen to hold of a resource.

    :param present: Whether it is to be found there.
    :param active: Whether the account is active (always true of a group that is present, never of what is not there).
    :param attributes: Values by SCIM attribute path (``{"name.givenName": "Ada"}``), only paths the connector keeps.
    :param deferred: Paths the remote system does not take yet.
    :param called: Of a User whose account's userName was changed by hand, the one before, which clients know.
    :param sent: Of a User whose creation may have taken effect unseen, the userName that it was sent with.
    :param unfinished: Whether ``finish_user`` is due, as :class:`~scim_bridge.models.Remote` says.
    :param cleared: Paths that a client has unassigned, until the remote system was seen to hold no value of them; what
        no client knows a value of is not theirs to clear.
    :param invited: Whether the person has only to accept an invitation, as :class:`~scim_bridge.models.Remote` says.
    :param holds: Of a User, the remote ids of the entitlements in force; ``None``: the remote system has not told.
    :param rewritten: By path, what was sent last, what the remote system has shown in its place, and whether it did so
        twice: then what it shows counts as what was sent.
    """

    present: bool = False
    active: bool = False
    attributes: dict[str, Any] = field(default_factory=dict)
    deferred: tuple[str, ...] = ()
    called: str = ""
    sent: str = ""
    unfinished: bool = False
    cleared: tuple[str, ...] = ()
    invited: bool = False
    holds: tuple[str, ...] | None = None
    rewritten: dict[str, tuple[Any, Any, bool]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the remote system, or a guard, refused: what the client was told."""

    status: int
    scim_type: str | None
    detail: str


@dataclass(frozen=True, slots=True)
class ResourceRow:
    """One User or Group of a connection.

    :param id: The SCIM id: ours, a UUID, never reused (RFC 7643 §3.1).
    :param name: ``userName`` or ``displayName``, as the client spells it.
    :param document: The desired SCIM resource as compact UTF-8 JSON, with ``schemas`` and ``id``, without ``meta``,
        ``groups``, ``members`` and ``password``; ``active`` of a User is always there.
    :param active: Whether the client wants the account active; of a Group, whether it wants the group: false once it
        deleted it, also when the deletion was refused and the group is still there.
    :param shown_active: What is told to clients: desired **or** still observed; a removal is never claimed before it is
        true. An account that is missing, and that nobody makes again, is told as inactive.
    :param unique_name: Whether the name is unique in the connection (off for groups where duplicates are allowed).
    :param generation: Counts desired states; each change that matters to the remote system adds one.
    :param observed_generation: The generation that was last fully settled.
    :param observed: What the remote system was seen to hold; ``None``: unknown, ask it.
    :param ambiguous: Whether the last call may have taken effect unseen: probe before writing again.
    :param deleted: The client deleted it; the row stays until the remote system agrees, invisible to clients, its name
        free.
    :param answered: Whether the client was told of the creation (2xx sent).
    :param attempt: Failed attempts in a row.
    :param not_before: Earliest time of the next attempt; ``None``: now.
    :param version: Counts changes of the representation, see :func:`entity_tag`.
    :param may_make: Of a User, whether a client has said that the account is to be there, and nothing has come of that
        yet. Only then it is made or let in again; whatever else is written, an account that is not there is told.
    """

    connection_id: str
    id: str
    kind: Kind
    name: str
    document: bytes
    created_at: datetime
    modified_at: datetime
    external_id: str | None = None
    remote_id: str | None = None
    active: bool = True
    shown_active: bool = True
    unique_name: bool = True
    generation: int = 1
    observed_generation: int = 0
    observed: Observed | None = None
    ambiguous: bool = False
    ownership: Ownership = Ownership.CREATED
    state: State = State.SETTLED
    lane: Lane = Lane.UPDATE
    attempt: int = 0
    not_before: datetime | None = None
    refusal: Refusal | None = None
    deleted: bool = False
    answered: bool = True
    version: int = 1
    may_make: bool = False

    @property
    def etag(self) -> str:
        """The entity tag of the representation."""
        return entity_tag(self.version)

    @property
    def is_seen_active(self) -> bool:
        """Whether the remote system was last seen to let somebody in."""
        return self.observed is not None and self.observed.present and self.observed.active

    @property
    def is_unsure(self) -> bool:
        """Whether the remote system has to be asked where this stands: nothing was seen, or a call came to no end."""
        return self.observed is None or self.ambiguous

    @property
    def is_invited(self) -> bool:
        """Whether the person was last seen to have an invitation that they have not accepted."""
        return self.observed is not None and self.observed.invited and not self.observed.active

    @property
    def missing(self) -> bool:
        """Whether the account that its client wants was last seen not to be there, or to let nobody in."""
        wanted = self.kind == "User" and self.active and not self.deleted
        return wanted and self.observed is not None and not (self.is_seen_active or self.is_invited)


def entity_tag(version: int) -> str:
    """Return the entity tag of a version of a resource (RFC 7644 §3.14): a weak one, since forms of JSON differ."""
    return f'W/"{version}"'


@dataclass(frozen=True, slots=True)
class PendingKey:
    """A resource that the driver has to work on.

    :param request_id: The request that caused the generation; ``None``: none did.
    """

    id: str
    kind: Kind
    lane: Lane
    generation: int
    not_before: datetime | None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Membership:
    """That a person is in a group, as ``groups`` of the one and ``members`` of the other show it.

    :param id: That of the group, where the person's memberships are read; of the person, where the group's.
    :param doubtful: Whether it may be given, or not: observed, so that a removal is sent, and not taken for given.
    :param named: Whether a client has named the person in the group.
    """

    id: str
    name: str
    remote_id: str | None
    kind: Kind = "Group"
    desired: bool = True
    observed: bool = False
    doubtful: bool = False
    named: bool = True

    @property
    def given(self) -> bool:
        """Whether the remote system counts as giving it: of what is in doubt, the opposite of what is desired."""
        return self.observed and not (self.doubtful and self.desired)


@dataclass(frozen=True, slots=True)
class MemberDelta:
    """One change of a group's members, in the order the client sent it.

    :param action: ``add``, ``remove`` or ``replace`` (the whole list).
    :param ids: SCIM ids of the members.
    """

    action: str
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Asking:
    """How a write of a User asks for roles.

    :param named: What it takes away by name, whoever gave it.
    :param whole: Whether it is a whole representation, which its client may have read before: what it repeats of what
        others gave is not asked for.
    """

    named: tuple[str, ...] = ()
    whole: bool = False


NOT_ASKING = Asking()


@dataclass(frozen=True, slots=True)
class MembershipChange:
    """What a sequence of deltas came to.

    :param added: Ids that newly are desired members.
    :param removed: Ids that no longer are.
    :param unknown: Ids that name no User of this connection.
    :param stayed: Ids of unmanaged members whom a change of the whole list did not name, and who stay.
    """

    added: frozenset[str]
    removed: frozenset[str]
    unknown: frozenset[str]
    stayed: frozenset[str] = frozenset()


def net(deltas: Sequence[MemberDelta]) -> tuple[set[str], set[str], bool]:
    """Return what a sequence of deltas comes to: who joins, who leaves, and whether the former is the whole list.

    Whoever is named on the way and not in the end, leaves.
    """
    added: set[str] = set()
    removed: set[str] = set()
    complete = False
    for delta in deltas:
        ids = set(delta.ids)
        if delta.action == "replace":
            added, removed, complete = ids, (added | removed) - ids, True
        elif delta.action == "add":
            added |= ids
            removed -= ids
        elif delta.action == "remove":
            added -= ids
            removed |= ids
        else:
            raise ValueError(f"{delta.action!r} is no change of members")
    return added, removed, complete
