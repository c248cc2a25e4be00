"""A remote system that costs nothing that grows: what is measured is the bridge, not the stand-in behind it."""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from scim_bridge.connector import ConnectorContext
from scim_bridge.models import GroupMembership, Remote, User
from scim_bridge.testing.memory import MemoryConfig, MemoryConnector
from scim_bridge.testing.memory_remote import Account, MemoryRemote


class IndexedRemote(MemoryRemote):
    """A remote system in memory whose every call costs the same, whatever it holds.

    The kit's own walks all accounts for a userName and all memberships for one person, and keeps every call: right for
    a test that changes its fields by hand and looks at what arrived, wrong where time and memory are measured.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._by_name: dict[str, str] = {}
        self._groups_of: defaultdict[str, frozenset[str]] = defaultdict(frozenset)

    @asynccontextmanager
    async def call(self, hook: str, remote_id: str | None = None, **arguments: Any) -> AsyncIterator[None]:
        """Keep nothing of a call, and let it take effect."""
        del hook, remote_id, arguments
        yield

    def changed(self) -> None:
        """Keep nothing of what changed."""

    def add_account(self, user_name: str, *, active: bool = True, **attributes: object) -> str:
        """Make an account and return its remote id."""
        remote_id = super().add_account(user_name, active=active, **attributes)
        self._by_name[user_name.casefold()] = remote_id
        return remote_id

    def find(self, user_name: str | None) -> Account | None:
        """Return the account of a userName."""
        return self.accounts.get(self._by_name.get(str(user_name).casefold(), ""))

    def groups_of(self, remote_id: str) -> frozenset[str]:
        """Return the remote ids of the groups an account is in."""
        return self._groups_of[remote_id]

    def members_of(self, remote_id: str) -> frozenset[str]:
        """Return the remote ids of the accounts in a group."""
        return frozenset(member for member, groups in self._groups_of.items() if remote_id in groups)

    def assign(self, remote_id: str, groups: Iterable[str]) -> None:
        """Make the groups of an account exactly these."""
        self._groups_of[remote_id] = frozenset(groups)


class IndexedConnector(MemoryConnector):
    """The kit's connector, groups kept on the person, before an :class:`IndexedRemote`."""

    name = "memory-indexed"

    def __init__(self, context: ConnectorContext[MemoryConfig]) -> None:
        IndexedRemote.named(context.config.remote or context.connection_id)
        super().__init__(context)

    def seen(self, remote_id: str, *, existed: bool = False) -> Remote[User]:
        """Return an account as it is now; the bridge changes no answer, so that a copy of its outside is enough."""
        account = self.remote.account(remote_id)
        groups = [GroupMembership(value=group) for group in sorted(self.remote.groups_of(remote_id))]
        user = account.user.model_copy(update={"active": account.active, "groups": groups})
        return Remote(remote_id, user, existed=existed)

    def grant(self, remote_id: str, groups: Sequence[str]) -> None:
        """Make the groups of an account exactly these."""
        for group in groups:
            self.remote.group(group)
        if self.remote.groups_of(remote_id) != frozenset(groups):
            assert isinstance(self.remote, IndexedRemote)
            self.remote.assign(remote_id, groups)
            self.remote.changed()
