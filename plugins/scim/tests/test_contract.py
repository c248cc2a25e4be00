"""The bridge's own contract for connectors, against service providers that others wrote."""

from collections.abc import Mapping
from typing import Any

import pytest

from plugins.scim.tests.providers import BASE_URL, ERROR, scim2_server, without_paging
from scim_bridge.connector import Connector
from scim_bridge.hookspecs import HOOKS
from scim_bridge.testing.connector_contract import ConnectorContract, HttpRemote
from scim_bridge.testing.contract_rules.bench import ContractFixtures
from scim_bridge_scim.connector import ScimConnector


def own_error(status: int, message: str) -> dict[str, Any]:
    """Return an error in SCIM's form."""
    return {"schemas": [ERROR], "status": str(status), "detail": message}


class ScimFixtures(ContractFixtures):
    """What all service providers share."""

    required_operations = HOOKS - {"finish_user", "identify", "list_entitlements", "set_user_groups", "schemas"}

    @pytest.fixture
    def connector_type(self) -> type[Connector[Any]]:
        """Return the type."""
        return ScimConnector

    @pytest.fixture
    def settings(self) -> Mapping[str, Any]:
        """Say where it is."""
        return {"base_url": BASE_URL, "token": "t", "requests_per_second": 1000}


class TestScim2Server(ScimFixtures, ConnectorContract):
    """scim2-server, with PATCH."""

    @pytest.fixture
    def remote(self) -> HttpRemote:
        """Return a fresh one."""
        return HttpRemote(scim2_server(), own_error=own_error)


class TestWithoutPatch(ScimFixtures, ConnectorContract):
    """scim2-server, without PATCH: resources are read and replaced."""

    @pytest.fixture
    def remote(self) -> HttpRemote:
        """Return a fresh one."""
        return HttpRemote(scim2_server(patch=False), own_error=own_error)


class TestWithoutPaging(ScimFixtures, ConnectorContract):
    """A service provider that answers whole lists."""

    @pytest.fixture
    def remote(self) -> HttpRemote:
        """Return a fresh one."""
        return HttpRemote(without_paging(scim2_server()), own_error=own_error)
