"""Taking the steps of the plan: the hook behind each, how many members one call is given, and what came of it.

Some systems take one request a member: what they can do before a call's deadline is for them to show. So a call that
came to no end is followed by one about half as many, and one that did by one about twice as many. Of many members who
are refused together, whoever can be changed is.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol, TypeVar

from scim_bridge.connections.bound import BoundConnector
from scim_bridge.errors import (
    ConnectorError,
    RemoteCredentialsError,
    RemoteInvalidValueError,
    RemoteNotFoundError,
    RemoteRateLimitedError,
    RemoteSuspendedError,
    RemoteUnavailableError,
)
from scim_bridge.models import Group, Remote
from scim_bridge.provisioning.observation import Answer
from scim_bridge.provisioning.plan import Step
from scim_bridge.provisioning.recorder import Recorder
from scim_bridge.provisioning.situation import Situation
from scim_bridge.store.comparison import fold
from scim_bridge.store.transaction import Transaction

T = TypeVar("T")

LOCAL = "local:"
"""Begins the remote id of a group that the bridge alone keeps."""

GROUPS_PER_PAGE = 100

GRANTING = frozenset({Step.SET_USER_GROUPS, Step.CREATE_USER, Step.REACTIVATE_USER})
"""Steps that give a person groups, and can be refused for one that is not there any more."""


class Steps:
    """Calls the hooks of one connector."""

    def __init__(self, connector: BoundConnector) -> None:
        self.connector = connector

    async def probe(self, situation: Situation) -> Answer:
        """Ask the remote system what it holds; by identifier, and by the natural key.

        Whoever is added again by hand may have another identifier then.
        """
        row = situation.row
        try:
            if row.kind == "Group":
                return await self._find_group(row.remote_id, deleted=row.deleted) if row.remote_id else None
            if row.remote_id is not None:
                return await self.connector.get_user(row.remote_id)
        except RemoteNotFoundError:
            if row.kind == "Group" or "find_user" not in self.connector.operations:
                return None
        if "find_user" in self.connector.operations:
            sent = "" if row.observed is None else row.observed.sent
            # The client may have renamed them since a creation was sent whose answer was lost.
            for name in dict.fromkeys((row.name, sent or row.name)):
                with suppress(RemoteNotFoundError):
                    if (found := await self.connector.find_user(name)) is not None:
                        return found
            return None
        if row.ambiguous and not (situation.desired.exists and situation.desired.active):
            # A creation in doubt that is to be undone: "absent" would be a guess that leaves an account active.
            raise RemoteUnavailableError("this connector cannot find an account by its userName", ambiguous=True)
        return None

    async def lost(self, situation: Situation) -> frozenset[str]:
        """Return what a refused step named and is not there any more, by remote id: groups, or accounts to be added."""
        operations = self.connector.operations
        if situation.step in GRANTING and "get_group" in operations:
            asked = [group for group in sorted(situation.desired.links) if not group.startswith(LOCAL)]
            return frozenset([group for group in asked if await self._find_group(group) is None])
        if situation.step is Step.ADD_GROUP_MEMBERS:
            asked = sorted(situation.portion)
            return frozenset([user for user in asked if not await self._is_there(self.connector.get_user(user))])
        return frozenset()

    async def _find_group(self, remote_id: str, *, deleted: bool = False) -> Remote[Group] | None:
        """Return a group, or ``None`` when it is not there.

        A group that is gone is taken as left by everybody; so unless it is to be gone, a listing has to say so as well.

        :raises RemoteUnavailableError: When the listing shows it: one of both answers is wrong.
        """
        try:
            return await self.connector.get_group(remote_id)
        except RemoteNotFoundError:
            cursor, more = None, not deleted
            while more:
                page = await self.connector.list_groups(cursor, GROUPS_PER_PAGE)
                if any(group.remote_id == remote_id for group in page.items):
                    raise RemoteUnavailableError(
                        "a group is listed and said not to be there", ambiguous=False
                    ) from None
                cursor = page.cursor
                more = cursor is not None
            return None

    async def members(self, remote_id: str) -> frozenset[str]:
        """Return the remote ids of who is in a group; of none where the remote system cannot list them, or not now.

        :raises RemoteUnavailableError: When it may be able to, later.
        :raises RemoteCredentialsError: Likewise.
        """
        found: set[str] = set()
        cursor, more = None, "list_group_members" in self.connector.operations
        while more:
            try:
                page = await self.connector.list_group_members(remote_id, cursor, GROUPS_PER_PAGE)
            except (RemoteUnavailableError, RemoteCredentialsError):
                raise
            except ConnectorError:
                break
            cursor, more = page.cursor, page.cursor is not None and not found.issuperset(page.members)
            found.update(page.members)
        return frozenset(found)

    @staticmethod
    async def _is_there(reading: Awaitable[object]) -> bool:
        try:
            await reading
        except RemoteNotFoundError:
            return False
        return True

    async def take(self, situation: Situation, step: Step) -> Answer:  # noqa: C901, PLR0911 - one hook a step
        """Call the hook of a step."""
        connector, remote_id = self.connector, situation.row.remote_id or ""
        match step:
            case Step.CREATE_USER:
                return await connector.create_user(situation.user())
            case Step.REACTIVATE_USER:
                return await connector.reactivate_user(remote_id, situation.user())
            case Step.UPDATE_USER:
                return await connector.update_user(remote_id, situation.user_before(), situation.user())
            case Step.SET_USER_GROUPS:
                return await connector.set_user_groups(remote_id, situation.user(), sorted(situation.desired.links))
            case Step.FINISH_USER:
                await connector.finish_user(remote_id)
            case Step.DEACTIVATE_USER:
                await connector.deactivate_user(remote_id, situation.user())
            case Step.DELETE_USER:
                await connector.delete_user(remote_id)
            case Step.CREATE_GROUP:
                return await self._create_group(situation)
            case Step.UPDATE_GROUP:
                return await connector.update_group(remote_id, situation.group_before(), situation.group())
            case Step.DELETE_GROUP:
                await connector.delete_group(remote_id)
            case Step.ADD_GROUP_MEMBERS:
                await connector.add_group_members(remote_id, sorted(situation.portion))
            case Step.REMOVE_GROUP_MEMBERS:
                await connector.remove_group_members(remote_id, sorted(situation.portion))
        return None

    async def _create_group(self, situation: Situation) -> Answer:
        """Create a group; of a system without groups, keep it in the bridge alone."""
        if Step.CREATE_GROUP in self.connector.operations:
            return await self.connector.create_group(situation.group())
        return Remote(f"{LOCAL}{situation.row.id}", situation.group())


NOT_OF_THE_MEMBERS = (RemoteRateLimitedError, RemoteSuspendedError)
"""Failures that say nothing about how many members a call was given, or which."""


class Portions:
    """The portions of one connection's calls about members.

    :param most: How many members the connector takes at most.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.size = most
        self._behind: dict[str, set[str]] = {}
        """Members whose call failed though it was about them alone, by group: the others go first."""

    def cut(self, situation: Situation) -> Situation:
        """Return the same, about as many members as the next call is given."""
        if not situation.portion:
            self._behind.pop(situation.row.id, None)
            return situation
        first = situation.portion - self._behind.get(situation.row.id, set()) or situation.portion
        return situation.of_members(frozenset(sorted(first)[: self.size]))

    def done(self, situation: Situation) -> None:
        """Take note that a call about members came to its end."""
        if situation.portion:
            self.size = min(self.most, max(self.size, 2 * len(situation.portion)))
            self._behind.get(situation.row.id, set()).difference_update(situation.portion)

    def failed(self, situation: Situation, error: ConnectorError) -> None:
        """Take note that one did not."""
        members = situation.portion
        if not isinstance(error, RemoteUnavailableError) or isinstance(error, NOT_OF_THE_MEMBERS):
            return
        if len(members) > 1:
            self.size = max(1, len(members) // 2)
        elif members:
            self._behind.setdefault(situation.row.id, set()).update(members)


REMOVAL_TRIES = 32
"""Parts of a refused removal that are tried in one go; the rest follows when it is tried again."""

NO_REFUSALS = (RemoteUnavailableError, RemoteCredentialsError, RemoteNotFoundError)
"""Failures that are not about single members."""


LETTING = frozenset({Step.CREATE_USER, Step.REACTIVATE_USER, Step.DEACTIVATE_USER, Step.DELETE_USER})
"""Steps that let somebody in or out."""

TURN_SECONDS = 1.0
"""When a User whose userName is another's at the moment is tried again."""


class Turns:
    """Lets one User of a userName at a time in or out.

    A removal that is sent again, since its answer was lost, would take whoever was let in under the same userName
    meanwhile: some systems give them the same id.
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()

    @contextmanager
    def of(self, situation: Situation, step: Step) -> Iterator[None]:
        """Keep the userNames of a step while it is taken and recorded.

        :raises RemoteUnavailableError: While another User's are kept; nothing was sent.
        """
        names: set[str] = set()
        if step in LETTING:
            own = situation.row.name
            names = {fold(own), fold(str(situation.seen.attributes.get("userName") or own))}
        if not names.isdisjoint(self._taken):
            raise RemoteUnavailableError(
                "another User of this userName is being let in or out", ambiguous=False, retry_after=TURN_SECONDS
            )
        self._taken |= names
        try:
            yield
        finally:
            self._taken -= names


class Record(Protocol):
    """Runs a transaction that records something about a resource."""

    def __call__(self, resource_id: str, work: Callable[[Transaction], T]) -> Awaitable[T]:
        """Run it, unless another process leads by now."""


class Attempts:
    """Takes the steps of one connection.

    :param refuse: Records what was refused of a step, and returns what comes next.
    :param keep_unmanaged: Whether members whom no client manages keep a group that its client deletes.
    """

    def __init__(
        self,
        steps: Steps,
        recorder: Recorder,
        *,
        record: Record,
        refuse: Callable[[Situation, ConnectorError], Awaitable[Situation | None]],
        keep_unmanaged: bool,
    ) -> None:
        self.steps = steps
        self.recorder = recorder
        self.record = record
        self.refuse = refuse
        self.keep_unmanaged = keep_unmanaged
        self.portions = Portions(steps.connector.members_per_call)
        self.turns = Turns()

    async def take(self, situation: Situation, step: Step) -> Situation | None:
        """Take one step, and return what comes next.

        :raises ConnectorError: When it failed, or was refused as a whole.
        """
        if step is Step.DELETE_GROUP and self.keep_unmanaged and await self._others_inside(situation):
            row = situation.row
            return await self.record(row.id, lambda tx: self.recorder.load(tx, row.kind, row.id))
        situation = self.portions.cut(situation)
        try:
            with self.turns.of(situation, step):
                following = await self._call(situation, step)
        except ConnectorError as error:
            self.portions.failed(situation, error)
            if len(situation.portion) < 2 or isinstance(error, NO_REFUSALS) or error.ambiguous:
                raise
            return await self._in_parts(situation, step, error)
        self.portions.done(situation)
        return following

    async def _others_inside(self, situation: Situation) -> bool:
        """Look for members of whom nothing was known; a group is looked at when all who were to leave it have left."""
        inside = await self.steps.members(situation.row.remote_id or "")
        row_id = situation.row.id
        return bool(inside) and await self.record(row_id, lambda tx: self.recorder.inside(tx, situation, inside))

    async def _call(self, situation: Situation, step: Step) -> Situation | None:
        """Call the hook of a step and record that it was done, or what it named is not there any more."""
        key = situation.row.id
        try:
            answer = await self.steps.take(situation, step)
        except (RemoteInvalidValueError, RemoteNotFoundError) as error:
            ambiguous = error.ambiguous
            try:
                lost = await self.steps.lost(situation)
            except ConnectorError as unseen:
                if situation.is_removal:
                    raise error from unseen  # what it takes away does not wait for an answer about what it adds
                unseen.ambiguous = unseen.ambiguous or ambiguous
                raise
            if not lost:
                raise
            return await self.record(key, lambda tx: self.recorder.lost(tx, situation, lost, ambiguous=ambiguous))
        return await self.record(key, lambda tx: self.recorder.done(tx, situation, step, answer))

    async def _in_parts(self, situation: Situation, step: Step, error: ConnectorError) -> Situation | None:
        """Take a refused step about members in halves, and those in halves; one who is refused holds up nobody else.

        A newer write of the client ends it. What was done before a failure is recorded.
        """
        row, load = situation.row, self.recorder.load
        parts = deque(_halves(situation))
        refused: frozenset[str] = frozenset()
        tries = REMOVAL_TRIES if situation.is_removal else 2 * len(situation.portion)
        while parts and tries:
            part, tries = parts.popleft(), tries - 1
            if not await self.record(row.id, lambda tx: self.recorder.is_current(tx, situation)):
                return await self.record(row.id, lambda tx: load(tx, row.kind, row.id))
            try:
                await self._call(part, step)
            except ConnectorError as one:
                if isinstance(one, NO_REFUSALS) or one.ambiguous:
                    raise
                error = one
                if len(part.portion) > 1:
                    parts.extend(_halves(part))
                else:
                    refused |= part.portion
        refused = refused.union(*(part.portion for part in parts))
        if not refused:  # each went through alone
            return await self.record(row.id, lambda tx: load(tx, row.kind, row.id))
        return await self.refuse(situation.of_members(refused), error)


def _halves(situation: Situation) -> list[Situation]:
    members = sorted(situation.portion)
    middle = len(members) // 2
    return [situation.of_members(frozenset(half)) for half in (members[:middle], members[middle:])]
