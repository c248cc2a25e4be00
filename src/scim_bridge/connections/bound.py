"""The typed face of one connector: what the bridge calls, and the only place that touches pluggy's relay.

Around every call there is a boundary: a deadline, a check of whom the answer is about, and one kind of error.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from scim_bridge.connections.renewal import Opened, Place, Renewal
from scim_bridge.connector import call_deadline, call_writes
from scim_bridge.definition import implemented
from scim_bridge.errors import (
    ConnectorError,
    LostLeadershipError,
    OperationNotSupportedError,
    RemoteCredentialsError,
    RemoteMisroutedError,
    RemoteUnavailableError,
    StoreUnavailableError,
    without_text,
)
from scim_bridge.models import Entitlement, Explanation, Finding, Group, MemberPage, Page, Remote, User

Observer: TypeAlias = Callable[[str, str | None, str, float], None]
"""Called after each hook call with the hook's name, the remote id (where the hook has one), the outcome (``"ok"``,
``"cancelled"`` or the name of the error's class) and the seconds it took."""

HookCaller: TypeAlias = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Boundary:
    """What surrounds every hook call of a connection.

    :param deadline: Seconds that one hook call may take, waits and retries included.
    :param logger: Takes every exception that is not a ``ConnectorError``, with its class and place.
    :param observer: Called after each call; how tests see what came of it.
    """

    deadline: float
    logger: logging.Logger
    observer: Observer | None = None

    async def cross(self, hook: str, caller: HookCaller, arguments: Mapping[str, Any]) -> Any:
        """Call a hook and return its answer.

        :raises ConnectorError: When it fails, in whatever way.
        :raises LostLeadershipError: When another process leads the connection by now.
        """
        started = asyncio.get_running_loop().time()
        outcome = "cancelled"
        try:
            result = await self._bounded(hook, caller, arguments)
        except Exception as error:
            outcome = type(error).__name__
            raise
        else:
            outcome = "ok"
            return result
        finally:
            if self.observer is not None:
                seconds = asyncio.get_running_loop().time() - started
                self.observer(hook, arguments.get("remote_id"), outcome, seconds)

    async def _bounded(self, hook: str, caller: HookCaller, arguments: Mapping[str, Any]) -> Any:
        now = asyncio.get_running_loop().time()
        outer = call_deadline.get()
        ends = now + self.deadline if outer is None else min(outer, now + self.deadline)
        token = call_deadline.set(ends)
        writes: list[str] = []
        writing = call_writes.set(writes)
        try:
            async with asyncio.timeout_at(ends):
                return _about(hook, arguments, await caller(**arguments))
        except LostLeadershipError:
            raise
        except ConnectorError as error:
            error.ambiguous = error.ambiguous or bool(writes)
            raise
        except TimeoutError as error:
            raise RemoteUnavailableError("the remote system did not answer in time", ambiguous=True) from error
        except StoreUnavailableError as error:
            self.logger.warning("the store is unavailable; %s was cut short", hook)
            raise RemoteUnavailableError("the store is unavailable", ambiguous=True) from error
        except Exception as error:
            self.logger.exception(
                "the connector failed in %s with an exception of its own", hook, exc_info=without_text(error)
            )
            raise RemoteUnavailableError("the connector failed unexpectedly", ambiguous=True) from error
        finally:
            call_writes.reset(writing)
            call_deadline.reset(token)


def _about(hook: str, arguments: Mapping[str, Any], result: Any) -> Any:
    """Return an answer, if it is about the object that was asked for or may be about another one.

    :raises RemoteMisroutedError: When it is not.
    """
    if "remote_id" not in arguments or not isinstance(result, Remote) or result.remote_id == arguments["remote_id"]:
        return result
    match hook:
        case "reactivate_user":
            may_differ = True
        case "update_user":  # a new userName can be a new account
            may_differ = _folded(arguments["before"]) != _folded(arguments["after"])
        case "get_user":  # of two accounts of one person either may be there
            may_differ = result.unfinished
        case _:
            may_differ = False
    if not may_differ:
        raise RemoteMisroutedError("the remote system answered about another account or group than it was asked for")
    return result


def _folded(user: User) -> str:
    return (user.user_name or "").strip().casefold()


class BoundConnector:
    """One open connector object, behind its boundary.

    It has one method per hook of :class:`~scim_bridge.hookspecs.ConnectorSpec`, of the same name and signature. They
    raise :class:`~scim_bridge.errors.ConnectorError` classes only: one of them,
    :class:`~scim_bridge.errors.OperationNotSupportedError`, when the connector does not implement the hook.

    :param connection_id: The id of the connection.
    :param opened: The open connector object.
    :param boundary: What surrounds its calls; ``None``: nothing, so that the kit sees what a connector really raises.
    """

    def __init__(
        self,
        connection_id: str,
        opened: Opened,
        boundary: Boundary | None,
    ) -> None:
        connector = opened.connector
        self.connection_id = connection_id
        """The id of the connection."""
        self.name = connector.name
        """The name of the connector type (``hubspot``)."""
        self.operations: frozenset[str] = implemented(type(connector))
        """The names of the hooks that the connector implements."""
        self.user_attributes = connector.user_attributes
        """The SCIM attribute paths of a User that the remote system holds."""
        self.group_attributes = connector.group_attributes
        """The same of a Group."""
        self.inactive_is_absent = connector.inactive_is_absent
        """Whether a deactivated account is not to be found in the remote system."""
        self.unrevoked = connector.unrevoked
        """What goes on when an account was deactivated or deleted."""
        self.members_per_call = connector.members_per_call
        """How many members ``add_group_members`` and ``remove_group_members`` are given at most."""
        self.place = Place(opened)
        """Where the object stands."""
        self.renewal: Renewal | None = None
        """What exchanges the object for one with other secrets; ``None``: nothing does."""
        self.identified: str | None = None
        """What came of asking who the remote system is, the last time: the class of an error; empty: it answered;
        ``None``: it was not asked."""
        self._boundary = boundary

    async def _call(self, hook: str, **arguments: Any) -> Any:
        if hook not in self.operations:
            raise OperationNotSupportedError(f"the {self.name} connector does not support {hook}")
        used = self.place.opened
        try:
            return await self._crossed(hook, arguments)
        except RemoteCredentialsError as error:  # nothing was done: with other secrets it may be
            if error.ambiguous or self.renewal is None or not await self.renewal.renew(used):
                raise
        return await self._crossed(hook, arguments)

    async def _crossed(self, hook: str, arguments: Mapping[str, Any]) -> Any:
        async with self.place.used() as opened:
            caller = getattr(opened.hooks.hook, hook)
            if self._boundary is None:
                return await caller(**arguments)
            return await self._boundary.cross(hook, caller, arguments)

    async def check_connection(self) -> list[Finding]:
        """Check credentials, scopes, tier and limits."""
        findings: list[Finding] = await self._call("check_connection")
        return findings

    async def identify(self) -> str | None:
        """Tell which remote system this is; ``None``: it tells none."""
        try:
            told: str | None = await self._call("identify")
        except ConnectorError as error:
            self.identified = type(error).__name__
            raise
        self.identified = ""
        if self.renewal is not None:
            self.renewal.told = (told,)
        return told

    async def list_users(self, cursor: str | None, limit: int) -> Page[User]:
        """Return a page of all accounts."""
        page: Page[User] = await self._call("list_users", cursor=cursor, limit=limit)
        return page

    async def find_user(self, user_name: str) -> Remote[User] | None:
        """Return the account of a userName, or ``None``."""
        found: Remote[User] | None = await self._call("find_user", user_name=user_name)
        return found

    async def get_user(self, remote_id: str) -> Remote[User]:
        """Read one account."""
        seen: Remote[User] = await self._call("get_user", remote_id=remote_id)
        return seen

    async def create_user(self, user: User) -> Remote[User]:
        """Create or adopt an account."""
        seen: Remote[User] = await self._call("create_user", user=user)
        return seen

    async def update_user(self, remote_id: str, before: User, after: User) -> Remote[User]:
        """Bring the attributes of an account to the desired state."""
        seen: Remote[User] = await self._call("update_user", remote_id=remote_id, before=before, after=after)
        return seen

    async def finish_user(self, remote_id: str) -> None:
        """Remove the other account of a person who has two."""
        await self._call("finish_user", remote_id=remote_id)

    async def deactivate_user(self, remote_id: str, user: User) -> None:
        """End the person's access."""
        await self._call("deactivate_user", remote_id=remote_id, user=user)

    async def reactivate_user(self, remote_id: str, user: User) -> Remote[User]:
        """Give access again."""
        seen: Remote[User] = await self._call("reactivate_user", remote_id=remote_id, user=user)
        return seen

    async def delete_user(self, remote_id: str) -> None:
        """Remove the account."""
        await self._call("delete_user", remote_id=remote_id)

    async def list_groups(self, cursor: str | None, limit: int) -> Page[Group]:
        """Return a page of all groups."""
        page: Page[Group] = await self._call("list_groups", cursor=cursor, limit=limit)
        return page

    async def get_group(self, remote_id: str) -> Remote[Group]:
        """Read one group."""
        seen: Remote[Group] = await self._call("get_group", remote_id=remote_id)
        return seen

    async def create_group(self, group: Group) -> Remote[Group]:
        """Create or adopt a group."""
        seen: Remote[Group] = await self._call("create_group", group=group)
        return seen

    async def update_group(self, remote_id: str, before: Group, after: Group) -> Remote[Group]:
        """Bring the attributes of a group to the desired state."""
        seen: Remote[Group] = await self._call("update_group", remote_id=remote_id, before=before, after=after)
        return seen

    async def delete_group(self, remote_id: str) -> None:
        """Remove a group."""
        await self._call("delete_group", remote_id=remote_id)

    async def set_user_groups(self, remote_id: str, user: User, groups: Sequence[str]) -> Remote[User]:
        """Give an account exactly these groups."""
        seen: Remote[User] = await self._call("set_user_groups", remote_id=remote_id, user=user, groups=groups)
        return seen

    async def add_group_members(self, remote_id: str, members: Sequence[str]) -> None:
        """Add accounts to a group."""
        await self._call("add_group_members", remote_id=remote_id, members=members)

    async def remove_group_members(self, remote_id: str, members: Sequence[str]) -> None:
        """Remove accounts from a group."""
        await self._call("remove_group_members", remote_id=remote_id, members=members)

    async def list_group_members(self, remote_id: str, cursor: str | None, limit: int) -> MemberPage:
        """Return a page of the accounts in a group."""
        page: MemberPage = await self._call("list_group_members", remote_id=remote_id, cursor=cursor, limit=limit)
        return page

    async def list_entitlements(self) -> list[Entitlement]:
        """Return everything that people can hold."""
        found: list[Entitlement] = await self._call("list_entitlements")
        return found

    async def schemas(self) -> list[dict[str, Any]]:
        """Return the connector's own extension schemas."""
        definitions: list[dict[str, Any]] = await self._call("schemas")
        return definitions

    async def explain_user(self, remote_id: str, user: User, groups: Sequence[str]) -> Explanation:
        """Tell why an account has what it has."""
        explanation: Explanation = await self._call("explain_user", remote_id=remote_id, user=user, groups=groups)
        return explanation
