"""Both memory connectors against the contract."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from scim_bridge.connector import Connector
from scim_bridge.hookspecs import HOOKS
from scim_bridge.testing.connector_contract import ConnectorContract
from scim_bridge.testing.contract_rules.bench import ContractFixtures
from scim_bridge.testing.memory import MemoryConnector, MemoryGroupsConnector
from scim_bridge.testing.memory_remote import MemoryRemote
from tests.contract.connectors.memory_faults import MemoryFaults


class MemoryFixtures(ContractFixtures):
    """What both share: a fresh remote system per test."""

    @pytest.fixture
    def settings(self) -> Mapping[str, Any]:
        """Name the remote system."""
        return {"remote": "contract"}

    @pytest.fixture
    def remote(self) -> Iterator[MemoryFaults]:
        """Return the remote system, with the kit's faults."""
        MemoryRemote.forget("contract")
        yield MemoryFaults(MemoryRemote.named("contract"))
        MemoryRemote.forget("contract")


class TestMemory(MemoryFixtures, ConnectorContract):
    """The connector that keeps the groups on the person."""

    required_operations = HOOKS - {"add_group_members", "remove_group_members", "schemas"}

    @pytest.fixture
    def connector_type(self) -> type[Connector[Any]]:
        """Return the type."""
        return MemoryConnector


class TestMemoryGroups(MemoryFixtures, ConnectorContract):
    """The connector that keeps the members on the group."""

    required_operations = HOOKS - {"set_user_groups", "schemas", "explain_user"}

    @pytest.fixture
    def connector_type(self) -> type[Connector[Any]]:
        """Return the type."""
        return MemoryGroupsConnector
