"""One connection with a real SQLite store, a remote system in memory and a running driver."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from scim_bridge.models import Group, Name, User
from scim_bridge.provisioning import Provisioning, ProvisioningPolicy
from scim_bridge.provisioning.service import now
from scim_bridge.store import memberships, resources, work
from scim_bridge.store.engine import Store
from scim_bridge.store.rows import ResourceRow, State
from scim_bridge.testing.contexts import connected
from scim_bridge.testing.memory import MemoryConnector, MemoryGroupsConnector
from scim_bridge.testing.memory_remote import MemoryRemote

CONNECTION = "acme"
SOON = timedelta(seconds=4)
"""What is tried again later than this waits for more than a failure or two."""

BUDGET = 25.0
"""Seconds for an answer, as in production; what the remote system puts off for longer is pending at once."""


def always(etag: str) -> None:
    """Let every request pass: no If-Match was sent."""


def user(name: str = "ada@corp.example", **attributes: Any) -> User:
    """Build a User as a client creates it."""
    return User(user_name=name, name=Name(given_name="Ada", family_name="Byron"), active=True, **attributes)


def setting(**values: Any) -> Callable[[Any], Any]:
    """Return a change that sets attributes, or tells that nothing changes."""

    def change(current: Any) -> Any:
        if all(getattr(current, name) == value for name, value in values.items()):
            return None
        for name, value in values.items():
            setattr(current, name, value)
        return current

    return change


@dataclass
class Bridge:
    """A connection under test."""

    provisioning: Provisioning
    remote: MemoryRemote
    store: Store

    async def row(self, kind: Any, resource_id: str) -> ResourceRow:
        """Return a resource, deleted ones included."""
        row = await self.store.read(lambda tx: resources.get(tx, CONNECTION, kind, resource_id, deleted=True))
        assert row is not None
        return row

    async def groups_of(self, user_id: str) -> dict[str, tuple[bool, bool]]:
        """Return (desired, observed) by displayName of the groups of a User."""
        found = await self.store.read(lambda tx: memberships.groups_of(tx, CONNECTION, [user_id]))
        return {group.name: (group.desired, group.observed) for group in found.get(user_id, [])}

    async def group_with(self, name: str, *members: str) -> str:
        """Create a group of the client with these members and return its id."""
        group = Group.model_validate({"displayName": name, "members": [{"value": member} for member in members]})
        return (await self.provisioning.create_group(group)).row.id

    def answer_within(self, seconds: float = BUDGET) -> None:
        """Give requests another budget from now on."""
        self.provisioning.policy = replace(self.provisioning.policy, budget=seconds)

    async def turn(self) -> None:
        """Let others run."""
        await asyncio.sleep(0.001)

    async def idle(self) -> None:
        """Wait until nothing is pending."""
        driver = self.provisioning.driver
        while driver.busy() or await self.store.read(self._pending):
            driver.wake()
            await asyncio.sleep(0.001)

    async def settle(self) -> None:
        """Wait until nothing is pending, and see that nothing is put off for longer than a few failures take."""
        driver = self.provisioning.driver
        while driver.busy() or await self.store.read(self._pending):
            due = await self.store.read(lambda tx: work.next_due(tx, CONNECTION, now=now() + SOON))
            assert due is None, f"put off until {due}"
            driver.wake()
            await asyncio.sleep(0.001)

    @staticmethod
    def _pending(tx: Any) -> bool:
        counts = resources.counts(tx, CONNECTION)
        return any(state is State.PENDING for _, state in counts)


@asynccontextmanager
async def bridge_on(
    path: Path | str,
    remote: MemoryRemote,
    *,
    policy: ProvisioningPolicy | None = None,
    groups: bool = False,
    clock: Callable[[], datetime] = now,
) -> AsyncIterator[Bridge]:
    """Open a connection on a store file, or a store's URL; entering it a second time is a restart."""
    store = await Store.open(path if isinstance(path, str) else f"sqlite:///{path}")
    connector_type = MemoryGroupsConnector if groups else MemoryConnector
    name = f"remote-{id(remote)}"
    MemoryRemote._named[name] = remote
    policy = policy or ProvisioningPolicy(budget=BUDGET)
    try:
        async with connected(connector_type, {"remote": name}, connection_id=CONNECTION) as connector:
            provisioning = Provisioning(CONNECTION, store, connector, policy, clock=clock, chance=lambda: 0.0)
            running = asyncio.create_task(provisioning.driver.run())
            try:
                yield Bridge(provisioning, remote, store)
            finally:
                running.cancel()
                provisioning.driver.abandon()
                with suppress(asyncio.CancelledError):
                    await running
    finally:
        MemoryRemote.forget(name)
        await store.close()


@pytest.fixture
def remote() -> MemoryRemote:
    """An empty remote system."""
    return MemoryRemote()


@pytest.fixture
async def bridge(tmp_path: Path, remote: MemoryRemote) -> AsyncIterator[Bridge]:
    """A connection whose groups are on the person."""
    async with bridge_on(tmp_path / "bridge.db", remote) as opened:
        yield opened


@pytest.fixture
async def grouped(tmp_path: Path, remote: MemoryRemote) -> AsyncIterator[Bridge]:
    """A connection whose members are on the group."""
    async with bridge_on(tmp_path / "bridge.db", remote, groups=True) as opened:
        yield opened


__all__ = ["CONNECTION", "Bridge", "always", "bridge_on", "replace", "setting", "user"]
