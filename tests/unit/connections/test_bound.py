"""The typed face of a connector."""

import inspect
import logging
from typing import Any

import pytest

from scim_bridge.connections import BoundConnector
from scim_bridge.errors import OperationNotSupportedError, RemoteNotFoundError
from scim_bridge.hookspecs import HOOKS, ConnectorSpec
from scim_bridge.models import User
from scim_bridge.testing.contexts import connected
from scim_bridge.testing.memory import MemoryConnector, MemoryGroupsConnector
from scim_bridge.testing.memory_remote import MemoryRemote


@pytest.fixture
def remote() -> MemoryRemote:
    """A fresh remote system for the connection ``test``."""
    MemoryRemote.forget("test")
    return MemoryRemote.named("test")


@pytest.mark.parametrize("hook", sorted(HOOKS))
def test_face_and_specification_agree(hook: str) -> None:
    """Each hook has a method of the same name, parameters, annotations and result."""
    method = getattr(BoundConnector, hook)

    assert inspect.signature(method) == inspect.signature(getattr(ConnectorSpec, hook))
    assert inspect.iscoroutinefunction(method)


def test_the_face_has_no_other_operations() -> None:
    """What is public on the face is a hook."""
    public = {name for name, _ in inspect.getmembers(BoundConnector, inspect.isfunction) if not name.startswith("_")}

    assert public == HOOKS


async def test_operations_are_the_implemented_hooks(remote: MemoryRemote) -> None:
    """Implementing a hook declares the capability, inherited hooks included."""
    async with connected(MemoryConnector, {}) as by_user, connected(MemoryGroupsConnector, {}) as by_group:
        assert "set_user_groups" in by_user.operations
        assert "add_group_members" not in by_user.operations
        assert by_group.operations - by_user.operations == {"add_group_members", "remove_group_members"}


async def test_an_absent_operation_is_refused(remote: MemoryRemote) -> None:
    """A hook that the connector does not have raises, and nothing reaches the remote system."""
    async with connected(MemoryConnector, {}) as connector:
        with pytest.raises(OperationNotSupportedError, match="memory connector does not support add_group_members"):
            await connector.add_group_members("group-1", ["account-1"])

    assert remote.calls == []


async def test_arguments_and_results_pass_through(remote: MemoryRemote) -> None:
    """Every argument reaches the hook that asks for it, and its result comes back."""
    group = remote.add_group("Sales")
    async with connected(MemoryConnector, {}) as connector:
        created = await connector.create_user(User(user_name="ada"))
        granted = await connector.set_user_groups(created.remote_id, User(user_name="ada"), [group])
        page = await connector.list_users(None, 10)

    assert remote.groups_of(created.remote_id) == {group}
    assert [str(one.value) for one in granted.resource.groups or ()] == [group]
    assert [one.remote_id for one in page.items] == [created.remote_id]


async def test_attributes_are_read_from_the_object(remote: MemoryRemote) -> None:
    """What an object set in ``__init__`` counts, not what its class says."""

    class Configured(MemoryConnector):
        name = "configured"

        def __init__(self, context: Any) -> None:
            super().__init__(context)
            self.user_attributes = frozenset({"userName"})
            self.inactive_is_absent = True

    async with connected(Configured, {}) as connector:
        assert connector.name == "configured"
        assert connector.user_attributes == {"userName"}
        assert connector.group_attributes == {"displayName"}
        assert connector.inactive_is_absent


async def test_two_connections_of_one_type_see_nothing_of_each_other() -> None:
    """Each connection has its own object and its own plugin manager."""
    for name in ("one", "two"):
        MemoryRemote.forget(name)
    async with (
        connected(MemoryConnector, {}, connection_id="one") as one,
        connected(MemoryConnector, {}, connection_id="two") as two,
    ):
        created = await one.create_user(User(user_name="ada"))
        with pytest.raises(RemoteNotFoundError):
            await two.get_user(created.remote_id)

    assert len(MemoryRemote.named("one").accounts) == 1
    assert not MemoryRemote.named("two").accounts
    assert logging.getLogger("scim_bridge.connection.one") is not logging.getLogger("scim_bridge.connection.two")
