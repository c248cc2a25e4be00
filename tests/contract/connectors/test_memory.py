"""The memory connectors against the contract."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Self

import pytest

from scim_bridge.connector import Connector, ConnectorContext
from scim_bridge.errors import RemoteUnavailableError
from scim_bridge.hookspecs import HOOKS, hookimpl
from scim_bridge.models import Remote, User
from scim_bridge.testing.connector_contract import ConnectorContract
from scim_bridge.testing.contract_rules.bench import Bench, ContractFixtures
from scim_bridge.testing.memory import MemoryConfig, MemoryConnector, MemoryGroupsConnector, MemoryRostersConnector
from scim_bridge.testing.memory_remote import MemoryRemote
from scim_bridge.testing.memory_roles import MemoryRolesConnector, MemoryRosterRolesConnector
from scim_bridge.testing.virtual_time import VirtualTimeLoop
from tests.contract.connectors.memory_faults import MemoryFaults


class MemoryFixtures(ContractFixtures):
    """What both share: a fresh remote system per test."""

    @pytest.fixture
    def settings(self) -> Mapping[str, Any]:
        """Name the remote system."""
        return {"remote": "contract"}

    @pytest.fixture
    def other_settings(self) -> Mapping[str, Any]:
        """Name another one."""
        return {"remote": "contract-other"}

    @pytest.fixture
    def remote(self) -> Iterator[MemoryFaults]:
        """Return the remote system, with the kit's faults."""
        MemoryRemote.forget("contract")
        yield MemoryFaults(MemoryRemote.named("contract"))
        MemoryRemote.forget("contract")

    def truth(self, remote_id: str) -> bool | None:
        """Look into the remote system."""
        account = MemoryRemote.named("contract").accounts.get(remote_id)
        return account is not None and account.active


class TestMemory(MemoryFixtures, ConnectorContract):
    """The connector that keeps the groups on the person."""

    required_operations = HOOKS - {
        "finish_user",
        "add_group_members",
        "remove_group_members",
        "list_group_members",
        "list_entitlements",
        "schemas",
    }

    @pytest.fixture
    def connector_type(self) -> type[Connector[Any]]:
        """Return the type."""
        return MemoryConnector


class TestMemoryRoles(MemoryFixtures, ConnectorContract):
    """The connector that tells what people hold."""

    required_operations = TestMemory.required_operations | {"list_entitlements"}

    @pytest.fixture
    def connector_type(self) -> type[Connector[Any]]:
        """Return the type."""
        return MemoryRolesConnector


class TestMemoryGroups(MemoryFixtures, ConnectorContract):
    """The connector that keeps the members on the group."""

    required_operations = HOOKS - {
        "finish_user",
        "set_user_groups",
        "list_group_members",
        "list_entitlements",
        "schemas",
        "explain_user",
    }

    @pytest.fixture
    def connector_type(self) -> type[Connector[Any]]:
        """Return the type."""
        return MemoryGroupsConnector


class TestMemoryRosters(MemoryFixtures, ConnectorContract):
    """The connector whose groups list their members."""

    required_operations = TestMemoryGroups.required_operations | {"list_group_members"}

    @pytest.fixture
    def connector_type(self) -> type[Connector[Any]]:
        """Return the type."""
        return MemoryRostersConnector


class RemovingConnector(MemoryConnector):
    """Deactivates by removing the account, as HubSpot does, and brings it back under another remote id."""

    name = "memory-removing"

    def __init__(self, context: ConnectorContext[MemoryConfig]) -> None:
        super().__init__(context)
        self.inactive_is_absent = True

    @hookimpl
    async def deactivate_user(self, remote_id: str) -> None:
        """Remove the account. :raises RemoteNotFoundError: When there is none."""
        self.remote.account(remote_id)
        await self.delete_user(remote_id)

    @hookimpl
    async def reactivate_user(self, remote_id: str, user: User) -> Remote[User]:
        """Make the account again."""
        return await self.create_user(user)


class TestMemoryRemoving(MemoryFixtures, ConnectorContract):
    """A connector whose deactivated accounts are not to be found."""

    required_operations = TestMemory.required_operations

    @pytest.fixture
    def connector_type(self) -> type[Connector[Any]]:
        """Return the type."""
        return RemovingConnector


class TestMemoryRosterRoles(MemoryFixtures, ConnectorContract):
    """The same, which tells what people hold."""

    required_operations = TestMemoryRosters.required_operations | {"list_entitlements"}

    @pytest.fixture
    def connector_type(self) -> type[Connector[Any]]:
        """Return the type."""
        return MemoryRosterRolesConnector


class LaterConnector(MemoryConnector):
    """Its remote system accepts creations, and orders to let somebody in or out, and does them later, one at a time."""

    name = "memory-later"
    accepted: set[str]
    orders: dict[str, tuple[bool, float]]

    async def __aenter__(self) -> Self:
        """Begin with nothing under way."""
        self.accepted, self.orders = set(), {}
        return await super().__aenter__()

    def seen(self, remote_id: str, *, existed: bool = False) -> Remote[User]:
        """Return an account as it is now."""
        self.carry_out()
        return super().seen(remote_id, existed=existed)

    def carry_out(self) -> None:
        """Do what was ordered long enough ago."""
        now = asyncio.get_running_loop().time()
        for remote_id, (active, at) in list(self.orders.items()):
            if at <= now:
                del self.orders[remote_id]
                self.remote.accounts[remote_id].active = active

    def order(self, remote_id: str, *, active: bool) -> None:
        """Order that somebody is in or out, unless they are.

        :raises RemoteUnavailableError: While something is under way about them.
        """
        self.carry_out()
        account = self.remote.account(remote_id)
        if remote_id not in self.orders:
            if account.active == active:
                return
            self.orders[remote_id] = (active, asyncio.get_running_loop().time() + 45)
        raise RemoteUnavailableError("accepted, and done later", ambiguous=True, retry_after=30)

    @hookimpl
    async def create_user(self, user: User) -> Remote[User]:
        """Make an account once it was accepted."""
        name = str(user.user_name)
        if await self.find_user(name) is None and name not in self.accepted:
            self.accepted.add(name)
            raise RemoteUnavailableError("accepted, and done later", ambiguous=True, retry_after=30)
        return await super().create_user(user)

    @hookimpl
    async def deactivate_user(self, remote_id: str) -> None:
        """End access: done when nothing else is under way."""
        async with self.remote.call("deactivate_user", remote_id):
            self.order(remote_id, active=False)

    @hookimpl
    async def reactivate_user(self, remote_id: str, user: User) -> Remote[User]:
        """Give access again, likewise, after what is not to come with it is taken."""
        async with self.remote.call("reactivate_user", remote_id, user=user.model_copy(deep=True)):
            self.granted(remote_id, user)
            self.order(remote_id, active=True)
            return self.seen(remote_id)


class LaterFixtures(MemoryFixtures):
    """Of a remote system that does things later."""

    finishes_later = True


class TestLater(LaterFixtures, ConnectorContract):
    """Work that finishes later is called for again."""

    required_operations = TestMemory.required_operations

    @pytest.fixture
    def connector_type(self) -> type[Connector[Any]]:
        """Return the type."""
        return LaterConnector


class TellsAcceptedAsDone(LaterConnector):
    """Takes the acceptance of a removal for its end."""

    @hookimpl
    async def deactivate_user(self, remote_id: str) -> None:
        """Say that it is done."""
        with suppress(RemoteUnavailableError):
            await super().deactivate_user(remote_id)


class OutWhileComingBack(LaterConnector):
    """Takes who is out for out, although they are about to be let in."""

    @hookimpl
    async def deactivate_user(self, remote_id: str) -> None:
        """Order nothing about who is out."""
        if (await self.get_user(remote_id)).resource.active:
            await super().deactivate_user(remote_id)


class BackWhileLeaving(LaterConnector):
    """Takes who is in for in, although they are about to be out."""

    @hookimpl
    async def reactivate_user(self, remote_id: str, user: User) -> Remote[User]:
        """Order nothing about who is in."""
        there = await self.get_user(remote_id)
        return there if there.resource.active else await super().reactivate_user(remote_id, user)


@pytest.mark.parametrize(
    ("planted", "rule"),
    [
        (TellsAcceptedAsDone, TestLater.test_a_deactivated_account_reads_back_inactive),
        (OutWhileComingBack, TestLater.test_the_later_of_two_orders_holds),
        (BackWhileLeaving, TestLater.test_the_later_of_two_orders_holds),
    ],
)
def test_what_is_accepted_is_not_done(
    planted: type[LaterConnector], rule: Callable[[LaterFixtures, Bench], None]
) -> None:
    """The rules find a connector that ends where the work begins, and one that does not see what is under way."""
    bench = Bench(planted, {"remote": "accepted"}, None, VirtualTimeLoop, finishes_later=True)
    try:
        with pytest.raises(AssertionError):
            rule(TestLater(), bench)
    finally:
        MemoryRemote.forget("accepted")
