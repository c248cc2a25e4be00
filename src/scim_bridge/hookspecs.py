"""The whole plugin contract, readable from top to bottom.

Two levels of pluggy. A plugin *module*, named by an entry point of the group ``scim_bridge``, implements
:class:`~scim_bridge.connector.DiscoverySpec`. A connector *object* implements any useful subset of
:class:`ConnectorSpec`; to implement a hook is to declare the capability. Arguments are matched by name: declare only
those you need.

Rules for every hook of a connector:

* It is ``async def`` and decorated with :data:`hookimpl`.
* It is **convergent**: called again with the same arguments it leaves the same remote state and does not fail.
* It sees remote ids only, and states, never PATCH.
* It raises :class:`~scim_bridge.errors.ConnectorError` classes only. After a timeout or a reset it guesses nothing: it
  raises ``RemoteUnavailableError`` and the driver probes.
* It changes none of its arguments.

What a hook says of an object is **evidence**, for access is taken to have ended by it:

* *It is there*: the remote system answered with the object, and it is the one that was asked for, by its id (or, where
  a name was asked for, by that name). The bridge checks the ids of what hooks return.
* *It is gone* (``RemoteNotFoundError``, ``find_user`` → ``None``, a deactivation or deletion that returns): the remote
  system said so in its own form and meant this object, or an answer that could be anybody's came together with a
  **positive control**: the same question about something that is known to be there was answered in the same breath. A
  removal that the remote system confirmed is evidence, too.
* *Nothing is known*: every other answer. It is about the account or the token (``RemoteCredentialsError``), or about
  the road (``RemoteMisroutedError`` and the other ``RemoteUnavailableError``). It is tried again and reported to the
  operator, and a client never hears of it as a refusal of the object. See :mod:`scim_bridge.upstream`.
"""

# A specification has no body, also where it has a result.
# mypy: disable-error-code="empty-body"

from collections.abc import Sequence
from typing import Any

import pluggy

from scim_bridge.models import (
    Entitlement,
    Explanation,
    Finding,
    Group,
    MemberPage,
    Page,
    Remote,
    User,
)

__all__ = ["HOOKS", "ConnectorSpec", "hookimpl"]

PROJECT = "scim_bridge"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Decorates each hook that a connector implements."""


class ConnectorSpec:
    """Implemented by connector objects."""

    @hookspec(firstresult=True)
    async def check_connection(self) -> list[Finding]:
        """Check credentials, scopes, tier and limits before anything is pushed.

        A finding of level ``error`` means that a configured feature cannot work.
        """

    @hookspec(firstresult=True)
    async def identify(self) -> str | None:
        """Return which remote system this is: the id that it has for the account in which the connection works.

        The bridge asks before it sends anything, and now and then after that, and keeps the answer: when the remote
        system of a connection is not the one it was, the connection is held until an operator accepts that. So the id
        stays the same whatever token, URL, setting or version of the connector leads there, and no two accounts share
        one. It is not a secret: operators see it, and so do logs. Reads only; keep the answer for a while where it
        costs a call.

        :returns: ``None`` when the remote system definitely has no such id. Where a connection once had one, that
            counts as another remote system. Raise what is wrong with the road or the token.
        """

    # -- Accounts --------------------------------------------------------------------------------------------------

    @hookspec(firstresult=True)
    async def list_users(self, cursor: str | None, limit: int) -> Page[User]:
        """Return a page of all accounts. An error midway is raised, never an empty page."""

    @hookspec(firstresult=True)
    async def find_user(self, user_name: str) -> Remote[User] | None:
        """Return the account of a userName, compared without regard to case, or ``None``."""

    @hookspec(firstresult=True)
    async def get_user(self, remote_id: str) -> Remote[User]:
        """Read one account.

        The answer may be another account of the same person, marked ``unfinished``, when that one replaced this one
        and this one is gone.

        :raises RemoteNotFoundError: when there is none, by evidence.
        """

    @hookspec(firstresult=True)
    async def create_user(self, user: User) -> Remote[User]:
        """Create an account, or adopt the one that already has this userName.

        ``user.groups`` may be granted in the same call; the answer's ``groups`` says which were. An adopted
        account is not written, and an inactive one is returned as inactive: its reactivation is the next call.

        :raises RemoteInvalidValueError: when the remote system does not accept a value or a group.
        """

    @hookspec(firstresult=True)
    async def update_user(self, remote_id: str, before: User, after: User) -> Remote[User]:
        """Bring the attributes of an account from the state last seen to the desired one. It leaves groups alone.

        The remote id may differ from before only when the userName does, where it is changed by making another account,
        or by taking over the one that has this userName (``existed``; as in ``create_user`` it is not written). The
        former account stays as it is: the answer is ``unfinished``, and ``finish_user`` removes it.
        """

    @hookspec(firstresult=True)
    async def finish_user(self, remote_id: str) -> None:
        """Remove the other account of a person who has two, because one of them was made in the place of the other.

        ``remote_id`` is the one that stays: the new one or, if the change was given up, the former one. When there is
        no other account, that is success. It is a removal: the bridge calls it once the account that stays is as it
        should be, and again until it succeeds. Where a deactivation stopped halfway and is no longer wanted, give back
        what it took. Connectors that never answer ``unfinished`` do not need it.
        """

    @hookspec(firstresult=True)
    async def deactivate_user(self, remote_id: str, user: User) -> None:
        """End the person's access. An account that is inactive already is success.

        So is an absent one, and it is told: what hands had given with an account that hands took away does not come
        back with the next one.

        A person who has two accounts, because one was made in the place of the other, keeps access in neither.

        :raises RemoteNotFoundError: when there was none before the call, by evidence.
        """

    @hookspec(firstresult=True)
    async def reactivate_user(self, remote_id: str, user: User) -> Remote[User]:
        """Give access again. ``user.groups`` is what the person should have now; never restore more than that.

        The remote id may differ from before.
        """

    @hookspec(firstresult=True)
    async def delete_user(self, remote_id: str) -> None:
        """Remove the account, and the other one of a person who has two. An absent one is success."""

    # -- Groups ----------------------------------------------------------------------------------------------------

    @hookspec(firstresult=True)
    async def list_groups(self, cursor: str | None, limit: int) -> Page[Group]:
        """Return a page of all groups, without their members."""

    @hookspec(firstresult=True)
    async def get_group(self, remote_id: str) -> Remote[Group]:
        """Read one group. :raises RemoteNotFoundError: when there is none."""

    @hookspec(firstresult=True)
    async def create_group(self, group: Group) -> Remote[Group]:
        """Create a group, or adopt the one of this displayName.

        :raises RemoteInvalidValueError: when the remote system cannot create groups and has none of this name; the
            message lists those it has.
        """

    @hookspec(firstresult=True)
    async def update_group(self, remote_id: str, before: Group, after: Group) -> Remote[Group]:
        """Bring the attributes of a group from the state last seen to the desired one."""

    @hookspec(firstresult=True)
    async def delete_group(self, remote_id: str) -> None:
        """Remove a group. An absent one is success. A system that cannot delete groups just lets go of it."""

    # -- Membership: either the first, or both others --------------------------------------------------------------

    @hookspec(firstresult=True)
    async def set_user_groups(self, remote_id: str, user: User, groups: Sequence[str]) -> Remote[User]:
        """Give an account exactly these groups, by remote id. The connector resolves and explains conflicts.

        The answer's ``groups`` is the set that is in force *as far as the caller is concerned*: a group that is
        granted but shadowed by another is part of it.

        :raises RemoteInvalidValueError: when the set is impossible, or a group of it is not there (any more).
        :raises RemoteNotFoundError: when the *account* is not there.
        """

    @hookspec(firstresult=True)
    async def add_group_members(self, remote_id: str, members: Sequence[str]) -> None:
        """Add accounts to a group. Present ones are success.

        :raises RemoteInvalidValueError: when an account is not there (any more).
        :raises RemoteNotFoundError: when the *group* is not there.
        """

    @hookspec(firstresult=True)
    async def remove_group_members(self, remote_id: str, members: Sequence[str]) -> None:
        """Remove accounts from a group. Absent ones are success."""

    @hookspec(firstresult=True)
    async def list_group_members(self, remote_id: str, cursor: str | None, limit: int) -> MemberPage:
        """Return a page of the accounts in a group. An error midway is raised, never an empty page.

        For systems whose accounts do not show their groups: without it, nobody sees who was put into a group by hand.

        :raises RemoteNotFoundError: when the *group* is not there.
        """

    # -- Entitlements ------------------------------------------------------------------------------------------------

    @hookspec(firstresult=True)
    async def list_entitlements(self) -> list[Entitlement]:
        """Return everything that people can hold, also what cannot be given through the bridge.

        Clients are shown it, and who holds it (``Remote.holds``). To ask for an assignable one is to ask for membership
        of the group of its remote id: ``list_groups`` has that group, and no hook of its own gives it. Where members
        are kept on the group, whoever is seen in it holds it, and ``Remote.holds`` has only the rest.
        """

    # -- Descriptions ----------------------------------------------------------------------------------------------

    @hookspec(firstresult=True)
    async def schemas(self) -> list[dict[str, Any]]:
        """Return the connector's own extension schemas (RFC 7643 §7)."""

    @hookspec(firstresult=True)
    async def explain_user(self, remote_id: str, user: User, groups: Sequence[str]) -> Explanation:
        """Explain why an account has what it has. Reads only."""


HOOKS: frozenset[str] = frozenset(name for name in vars(ConnectorSpec) if not name.startswith("_"))
"""The names of all hooks of a connector."""
