"""The vocabulary that the bridge shares with its connectors.

Connectors import SCIM's types from here and nowhere else. scim2-models is pinned below its next minor release, and this
module is the place that absorbs a change of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Annotated, Generic, Literal, TypeAlias, TypeVar

import scim2_models
from pydantic import Field
from scim2_models import CaseExact, Group, GroupMembership, Mutability, Name, Reference, Required
from scim2_models.resources import enterprise_user

__all__ = [
    "CoreUser",
    "Email",
    "EnterpriseUser",
    "Entitlement",
    "Explanation",
    "Finding",
    "Group",
    "GroupMembership",
    "Kind",
    "Lane",
    "Manager",
    "MemberPage",
    "Name",
    "Page",
    "RateLimit",
    "Remote",
    "Unrevoked",
    "User",
]


class Email(scim2_models.Email):
    """An e-mail address, exactly as the client wrote it.

    scim2-models' own type lowers the domain, and Entra ID would then send the same update for ever.
    """

    value: str | None = None


class Manager(enterprise_user.Manager):
    """A User's manager; neither part is required by itself (RFC 7643 §8.7.1), and clients send only the id."""

    value: Annotated[str | None, Required.false, CaseExact.true] = None
    ref: Annotated[Reference["User"] | None, Required.false] = Field(  # type: ignore[assignment] # narrower than there
        None, serialization_alias="$ref", validation_alias="$ref"
    )


class EnterpriseUser(scim2_models.EnterpriseUser):
    """The enterprise extension (RFC 7643 §4.3)."""

    manager: Manager | None = None


class RoleValue(scim2_models.Role):
    """A role of a User, and whether it is in force."""

    state: Annotated[str | None, Mutability.read_only] = None


class EntitlementValue(scim2_models.Entitlement):
    """An entitlement of a User, and whether it is in force."""

    state: Annotated[str | None, Mutability.read_only] = None


class CoreUser(scim2_models.User[scim2_models.AnyExtension]):
    """The core User (RFC 7643 §4.1)."""

    emails: list[Email] | None = None  # type: ignore[assignment] # narrower than there


class EntitledUser(CoreUser[scim2_models.AnyExtension]):
    """The core User where the remote system shows what people hold."""

    roles: list[RoleValue] | None = None  # type: ignore[assignment] # narrower than there
    entitlements: list[EntitlementValue] | None = None  # type: ignore[assignment] # narrower than there


User: TypeAlias = CoreUser[EnterpriseUser]
"""A SCIM User with the enterprise extension (RFC 7643 §4.1, §4.3).

In hooks, ``user.groups`` holds the **remote ids** of the groups the person should have, and ``user.id`` is unset.
"""

Kind = Literal["User", "Group"]
"""The name of a resource type (RFC 7643 §6)."""

ResourceT = TypeVar("ResourceT")


class Lane(IntEnum):
    """The priority of work towards a remote system; a smaller number goes first."""

    REMOVE = 0
    """Deactivate, delete, leave a group: never behind anything else."""
    REPAIR = 1
    """Repair of drift that gives somebody more than they should have."""
    CREATE = 2
    UPDATE = 3
    READ = 4
    """Imports, comparisons, checks."""


@dataclass(frozen=True, slots=True)
class Remote(Generic[ResourceT]):
    """What a remote system was seen to hold.

    :param remote_id: The remote system's identifier.
    :param resource: The account or group as it was read. Of a User, ``active`` and ``groups`` count: ``groups`` lists
        the remote ids of the groups the account holds (empty: none; ``None``: this call could not tell).
    :param deferred: Attribute paths (``name.givenName``) the remote system does not take yet. They do not hold the rest
        up; the next write or comparison tries them again.
    :param existed: Of a creation: whether an existing account was adopted; of a change of userName that is made by
        making another account, too.
    :param unfinished: Of a User: whether the person has two accounts for the moment, because one of them was made in
        the place of the other, or a deactivation left the account active and without something of its own. When nobody
        wants it deactivated, ``finish_user`` is called with the id of the account that stays, until it succeeds.
    :param invited: Of a User that is not active: whether the person only has to accept an invitation to be let in. That
        is not access yet. Nobody is invited again meanwhile, and ``deactivate_user`` withdraws the invitation of
        somebody who must not have access.
    :param holds: Of a User: the remote ids of the entitlements in force, whoever gave them (``list_entitlements``);
        ``None``: this call could not tell.
    """

    remote_id: str
    resource: ResourceT
    deferred: frozenset[str] = frozenset()
    existed: bool = False
    unfinished: bool = False
    invited: bool = False
    holds: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Entitlement:
    """Something that a person can hold in the remote system: a role, a licence, a team.

    :param remote_id: Its id; of an assignable one also that of the group which gives it.
    :param name: What people call it there.
    :param resource_type: Whether clients find it among ``/Roles`` and in ``roles`` of a User, or among
        ``/Entitlements`` and in ``entitlements``.
    :param type: What it is, in the remote system's own word (``Team``).
    :param several: Whether others of its type can be in force beside it.
    :param assignable: Whether it can be given through the bridge; else it is only shown.
    :param privileged: Whether it is on a list of those that need an operator's consent.
    """

    remote_id: str
    name: str
    resource_type: Literal["Role", "Entitlement"]
    type: str
    several: bool = True
    assignable: bool = True
    privileged: bool = False


@dataclass(frozen=True, slots=True)
class Page(Generic[ResourceT]):
    """One page of a listing.

    :param cursor: What to pass for the next page; ``None`` on the last one.
    """

    items: Sequence[Remote[ResourceT]]
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class MemberPage:
    """One page of the members of a group.

    :param members: Remote ids of accounts, as ``list_users`` gives them; members that are not accounts are left out.
    :param cursor: What to pass for the next page; ``None`` on the last one.
    """

    members: Sequence[str]
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a preflight check.

    :param subject: What was looked at (``"scope settings.users.write"``).
    :param level: ``"ok"``, ``"info"``, ``"warning"`` or ``"error"``; an error means that a configured feature cannot
        work.
    :param message: What was found.
    :param remedy: What to do about it; empty when there is nothing to do.
    """

    subject: str
    level: Literal["ok", "info", "warning", "error"]
    message: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Unrevoked:
    """Something of a person's that goes on when their access was ended, as no API of the remote system ends it.

    :param what: What it is, in a few words (``"their personal access key"``).
    :param remedy: Who ends it, and where.
    :param source: The URL at which the vendor tells of it; empty: it is assumed.
    """

    what: str
    remedy: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a person has what they have.

    :param summary: One sentence.
    :param effective: Remote ids of the groups that take effect.
    :param shadowed: Remote id of each group that does not, with the reason.
    :param notes: Further lines, for people.
    """

    summary: str
    effective: tuple[str, ...] = ()
    shadowed: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A remote system's limit: ``requests`` in any rolling window of ``seconds``."""

    requests: int
    seconds: float
