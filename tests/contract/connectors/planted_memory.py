"""Connectors with one planted bug each, made from the memory connectors."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from scim_bridge.connector import ConnectorContext
from scim_bridge.errors import ConnectorError, RemoteForbiddenError, RemoteNotFoundError
from scim_bridge.hookspecs import hookimpl
from scim_bridge.models import Explanation, Group, Page, RateLimit, Remote, User
from scim_bridge.testing.memory import MemoryConfig, MemoryConnector


class SynchronousHook(MemoryConnector):
    """Has a hook that is not async."""

    @hookimpl
    def schemas(self) -> list[dict[str, Any]]:
        """Return nothing, at once."""
        return []


class LooseConfig(BaseModel):
    """Ignores what it does not know."""

    remote: str | None = None
    latency: float = 0.0
    faults: ClassVar[dict[str, list[str]]] = {}


class LooseSettings(MemoryConnector):
    """Takes misspelt settings."""

    config_model = LooseConfig


class PlainConfig(MemoryConfig):
    """Holds a token in the open."""

    model_config = ConfigDict(extra="forbid")
    api_token: str = "planted-plain"


class PlainSecret(MemoryConnector):
    """Shows its token in every ``repr``."""

    config_model = PlainConfig


class OpensInInit(MemoryConnector):
    """Opens a client in ``__init__``."""

    def __init__(self, context: ConnectorContext[MemoryConfig]) -> None:
        super().__init__(context)
        self.client = context.http_client(base_url="https://x.example", account="x", rate_limit=RateLimit(1, 1.0))


class SharedCache(MemoryConnector):
    """Keeps a cache on the class."""

    cache: ClassVar[dict[str, str]] = {}


SHARED: list[str] = []


class SharedByModule(MemoryConnector):
    """Keeps a list of the module in the object."""

    def __init__(self, context: ConnectorContext[MemoryConfig]) -> None:
        super().__init__(context)
        self.seen_names = SHARED


class ClosesForAll(MemoryConnector):
    """Takes the others down when it closes."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.remote.down = RemoteNotFoundError("closed")


class SameForAll(MemoryConnector):
    """Tells the vendor, not the account."""

    @hookimpl
    async def identify(self) -> str | None:
        """Tell what all accounts have in common."""
        return await super().identify() and "memory"


class AnotherEachTime(MemoryConnector):
    """Tells an id of the session."""

    @hookimpl
    async def identify(self) -> str | None:
        """Tell which object asks."""
        return f"{await super().identify()} {id(self)}"


class OutageAsNobody(MemoryConnector):
    """Takes an outage for a remote system that tells no identity."""

    @hookimpl
    async def identify(self) -> str | None:
        """Swallow whatever goes wrong."""
        with suppress(ConnectorError):
            return await super().identify()
        return None


class AnswersAnotherId(MemoryConnector):
    """Calls a new account by its name and reads it by its number."""

    @hookimpl
    async def create_user(self, user: User) -> Remote[User]:
        """Create, and answer with the wrong id."""
        created = await super().create_user(user)
        return replace(created, remote_id=str(user.user_name))


class AlwaysNew(MemoryConnector):
    """Makes a second account for the same person."""

    @hookimpl
    async def create_user(self, user: User) -> Remote[User]:
        """Create without looking."""
        async with self.remote.call("create_user"):
            remote_id = self.remote.add_account(str(user.user_name))
            self.remote.accounts[remote_id].user = self.kept(user)
            self.remote.changed()
            return self.seen(remote_id)


class AdoptsAnybody(MemoryConnector):
    """Adopts the first account whoever asks."""

    @hookimpl
    async def create_user(self, user: User) -> Remote[User]:
        """Take any account."""
        if self.remote.accounts:
            return self.seen(next(iter(self.remote.accounts)), existed=True)
        return await super().create_user(user)


class MindsTheCase(MemoryConnector):
    """Finds a userName only as it is spelt."""

    @hookimpl
    async def find_user(self, user_name: str) -> Remote[User] | None:
        """Compare to the letter."""
        found = await super().find_user(user_name)
        return found if found is not None and found.resource.user_name == user_name else None


class ChangesArguments(MemoryConnector):
    """Sets an attribute of the user that it is given."""

    @hookimpl
    async def update_user(self, remote_id: str, before: User, after: User) -> Remote[User]:
        """Change the argument."""
        after.display_name = "changed"
        return await super().update_user(remote_id, before, after)


class ReturnsItsOwn(MemoryConnector):
    """Hands out the object that it keeps."""

    def seen(self, remote_id: str, *, existed: bool = False) -> Remote[User]:
        """Return no copy."""
        account = self.remote.account(remote_id)
        account.user.active = account.active
        return Remote(remote_id, account.user, existed=existed)


class UnknownIsForbidden(MemoryConnector):
    """Answers an unknown id with the wrong error."""

    @hookimpl
    async def get_group(self, remote_id: str) -> Remote[Group]:
        """Refuse instead of not finding."""
        if remote_id not in self.remote.groups:
            raise RemoteForbiddenError("who are you?")
        return await super().get_group(remote_id)


class UnknownIsAKeyError(MemoryConnector):
    """Lets an exception of its own escape."""

    @hookimpl
    async def get_user(self, remote_id: str) -> Remote[User]:
        """Look up without care."""
        return self.seen(self.remote.accounts[remote_id].remote_id)


class Accumulates(MemoryConnector):
    """Adds to a value instead of setting it."""

    @hookimpl
    async def update_user(self, remote_id: str, before: User, after: User) -> Remote[User]:
        """Append to the title."""
        await super().update_user(remote_id, before, after)
        account = self.remote.account(remote_id)
        self.count = getattr(self, "count", 0) + 1
        account.user.nick_name = "again" * self.count
        return self.seen(remote_id)


class LosesAnAttribute(MemoryConnector):
    """Announces the title and does not keep it."""

    def kept(self, user: User) -> User:
        """Forget the title."""
        kept = super().kept(user)
        kept.title = None
        return kept


class ClearsNothing(MemoryConnector):
    """Writes what has a value, and nothing else."""

    @hookimpl
    async def update_user(self, remote_id: str, before: User, after: User) -> Remote[User]:
        """Leave a title that the person is to have no more."""
        kept = after.model_copy(update={"title": after.title or before.title})
        return await super().update_user(remote_id, before, kept)


class WritesAnyway(MemoryConnector):
    """Writes what is already there."""

    @hookimpl
    async def update_user(self, remote_id: str, before: User, after: User) -> Remote[User]:
        """Count as a change whatever comes."""
        updated = await super().update_user(remote_id, before, after)
        self.remote.changed()
        return updated


class DeletesOnce(MemoryConnector):
    """Fails when there is nothing to delete."""

    @hookimpl
    async def delete_user(self, remote_id: str) -> None:
        """Insist on the account."""
        self.remote.account(remote_id)
        await super().delete_user(remote_id)


class ExplainsByWriting(MemoryConnector):
    """Changes something in order to explain it."""

    @hookimpl
    async def explain_user(self, remote_id: str, groups: Sequence[str]) -> Explanation:
        """Write."""
        explanation = await super().explain_user(remote_id, groups)
        self.remote.changed()
        return explanation


class BornInactive(MemoryConnector):
    """Creates accounts that cannot be used."""

    @hookimpl
    async def create_user(self, user: User) -> Remote[User]:
        """Create, inactive."""
        created = await super().create_user(user)
        if not created.existed:
            self.remote.account(created.remote_id).active = False
        return created


class RemembersTheEnd(MemoryConnector):
    """Notes who is out, and tells the remote system nothing."""

    def __init__(self, context: ConnectorContext[MemoryConfig]) -> None:
        super().__init__(context)
        self.out: set[str] = set()

    @hookimpl
    async def deactivate_user(self, remote_id: str) -> None:
        """Remember it."""
        self.out.add(remote_id)

    @hookimpl
    async def reactivate_user(self, remote_id: str, user: User) -> Remote[User]:
        """Forget it."""
        self.out.discard(remote_id)
        return await super().reactivate_user(remote_id, user)

    def seen(self, remote_id: str, *, existed: bool = False) -> Remote[User]:
        """Tell what is remembered."""
        told = super().seen(remote_id, existed=existed)
        told.resource.active = told.resource.active and remote_id not in self.out
        return told


class InvitesAsActive(MemoryConnector):
    """Tells an invitation as access."""

    def seen(self, remote_id: str, *, existed: bool = False) -> Remote[User]:
        """Say that everybody has yet to accept, and is in."""
        return replace(super().seen(remote_id, existed=existed), invited=True)


class LeavesTheInvitation(MemoryConnector):
    """Ends the access, and leaves an invitation behind."""

    def seen(self, remote_id: str, *, existed: bool = False) -> Remote[User]:
        """Say that whoever is out has only to accept."""
        told = super().seen(remote_id, existed=existed)
        return replace(told, invited=not told.resource.active)


class DeactivatesACopy(MemoryConnector):
    """Looks right and does nothing: the bug of a copy."""

    @hookimpl
    async def deactivate_user(self, remote_id: str) -> None:
        """Set the copy inactive."""
        async with self.remote.call("deactivate_user", remote_id):
            if remote_id in self.remote.accounts:
                self.seen(remote_id).resource.active = False


class Toggles(MemoryConnector):
    """Turns the account over instead of off."""

    @hookimpl
    async def deactivate_user(self, remote_id: str) -> None:
        """Toggle."""
        async with self.remote.call("deactivate_user", remote_id):
            if remote_id in self.remote.accounts:
                account = self.remote.account(remote_id)
                account.active = not account.active


class TakesNobodyForDone(MemoryConnector):
    """Tells a deactivation of an account that is gone as its own doing."""

    @hookimpl
    async def deactivate_user(self, remote_id: str) -> None:
        """Pass over that it is absent."""
        with suppress(RemoteNotFoundError):
            await super().deactivate_user(remote_id)


class NeverBack(MemoryConnector):
    """Does not reactivate."""

    @hookimpl
    async def reactivate_user(self, remote_id: str, user: User) -> Remote[User]:
        """Only look."""
        async with self.remote.call("reactivate_user", remote_id):
            return self.seen(remote_id)


class BackWithEverything(MemoryConnector):
    """Gives back the groups that the account had."""

    def granted(self, remote_id: str, user: User) -> None:
        """Leave the groups as they were."""


class LeavesATask(MemoryConnector):
    """Starts work that outlives the call."""

    @hookimpl
    async def update_user(self, remote_id: str, before: User, after: User) -> Remote[User]:
        """Start something and forget it."""
        self.forgotten = asyncio.ensure_future(asyncio.sleep(3600))
        await asyncio.sleep(0.01)
        return await super().update_user(remote_id, before, after)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if hasattr(self, "forgotten"):
            self.forgotten.cancel()


class IgnoresCancellation(MemoryConnector):
    """Goes on although it was cancelled."""

    @hookimpl
    async def update_user(self, remote_id: str, before: User, after: User) -> Remote[User]:
        """Shield and wait."""
        try:
            await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            await asyncio.sleep(3600)
        return await super().update_user(remote_id, before, after)


class SwallowsCancellation(MemoryConnector):
    """Answers as if it had not been cancelled."""

    @hookimpl
    async def update_user(self, remote_id: str, before: User, after: User) -> Remote[User]:
        """Swallow, and look."""
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0.01)
        return await super().update_user(remote_id, before, after)


class Blocks(MemoryConnector):
    """Sleeps in the event loop's thread."""

    @hookimpl
    async def deactivate_user(self, remote_id: str) -> None:
        """Let everybody wait."""
        time.sleep(0.001)
        await super().deactivate_user(remote_id)


class LogsNames(MemoryConnector):
    """Writes whom it deactivates into the log."""

    @hookimpl
    async def deactivate_user(self, remote_id: str) -> None:
        """Tell whom."""
        account = self.remote.accounts.get(remote_id)
        self.context.logger.debug("deactivating %s", account and account.user.user_name)
        await super().deactivate_user(remote_id)


class EchoesWhatWasAsked(MemoryConnector):
    """Answers what it was asked for instead of what is there."""

    @hookimpl
    async def update_user(self, remote_id: str, before: User, after: User) -> Remote[User]:
        """Change nothing, and answer as if."""
        seen = self.seen(remote_id)
        answered = self.kept(after)
        answered.active, answered.groups = seen.resource.active, seen.resource.groups
        return replace(seen, resource=answered)


class DefaultRole(MemoryConnector):
    """Puts everybody who is new into a group."""

    @hookimpl
    async def create_user(self, user: User) -> Remote[User]:
        """Create, and grant."""
        created = await super().create_user(user)
        if not created.existed:
            self.remote.members.add((self.remote.add_group("Everybody"), created.remote_id))
        return self.seen(created.remote_id, existed=created.existed)


class AdoptsAsActive(MemoryConnector):
    """Lets in whom it adopts."""

    @hookimpl
    async def create_user(self, user: User) -> Remote[User]:
        """Create, active in any case."""
        created = await super().create_user(user)
        self.remote.account(created.remote_id).active = True
        return self.seen(created.remote_id, existed=created.existed)


class SendsTheWholeUser(MemoryConnector):
    """Writes every attribute at each update."""

    @hookimpl
    async def update_user(self, remote_id: str, before: User, after: User) -> Remote[User]:
        """Overwrite what somebody changed by hand."""
        updated = await super().update_user(remote_id, before, after)
        self.remote.account(updated.remote_id).user = self.kept(after)
        return self.seen(updated.remote_id)


class NewAndInactive(MemoryConnector):
    """Takes up what a deletion left, and tells it as new."""

    @hookimpl
    async def create_user(self, user: User) -> Remote[User]:
        """Create whom it has deleted as they were left."""
        created = await super().create_user(user)
        if str(user.user_name) in getattr(self, "gone", ()):
            self.remote.account(created.remote_id).active = False
        return created

    @hookimpl
    async def delete_user(self, remote_id: str) -> None:
        """Remember the name."""
        self.gone = {str(self.remote.account(remote_id).user.user_name)}
        await super().delete_user(remote_id)


class ListsNobodyInactive(MemoryConnector):
    """Leaves those out who are inactive."""

    @hookimpl
    async def list_users(self, cursor: str | None, limit: int) -> Page[User]:
        """List the active."""
        page = await super().list_users(cursor, limit)
        return replace(page, items=[one for one in page.items if one.resource.active])


class ListsNoGroups(MemoryConnector):
    """Shows everybody in no group."""

    @hookimpl
    async def list_users(self, cursor: str | None, limit: int) -> Page[User]:
        """List without groups, as if there were none."""
        page = await super().list_users(cursor, limit)
        for one in page.items:
            one.resource.groups = []
        return page


class CapsPages(MemoryConnector):
    """Shows fewer to a page than it was asked for, and goes on as if it had shown all."""

    @hookimpl
    async def list_users(self, cursor: str | None, limit: int) -> Page[User]:
        """Show two, and skip the rest of the page."""
        page = await super().list_users(cursor, limit)
        return replace(page, items=page.items[:2])


class IgnoresAFullLastPage(MemoryConnector):
    """Takes the page before a full last one for the last."""

    @hookimpl
    async def list_users(self, cursor: str | None, limit: int) -> Page[User]:
        """End where exactly one page is left."""
        page = await super().list_users(cursor, limit)
        left = len(self.remote.accounts) - int(page.cursor or 0)
        return replace(page, cursor=None if left == limit else page.cursor)


class ChangesBefore(MemoryConnector):
    """Sets an attribute of the state that was last seen."""

    @hookimpl
    async def update_user(self, remote_id: str, before: User, after: User) -> Remote[User]:
        """Change the argument."""
        updated = await super().update_user(remote_id, before, after)
        before.display_name = "changed"
        return updated
