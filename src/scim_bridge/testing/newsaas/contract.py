"""The rules that the bridge relies on, and what of the connector is its own."""

from collections.abc import Mapping
from typing import Any

import httpx2
import pytest

from scim_bridge.connector import Connector
from scim_bridge.hookspecs import HOOKS
from scim_bridge.testing.connector_contract import ConnectorContract, HttpRemote
from scim_bridge.testing.newsaas.connector import NewsaasConnector
from scim_bridge.testing.newsaas.fake import FakeNewsaas, own_error


class TestNewsaas(ConnectorContract):
    """All rules; one about a hook that is not there is skipped, unless the hook is named here."""

    required_operations = HOOKS - {
        "delete_user",
        "explain_user",
        "finish_user",
        "list_entitlements",
        "schemas",
        "set_user_groups",
    }

    @pytest.fixture
    def connector_type(self) -> type[Connector[Any]]:
        """Return the class."""
        return NewsaasConnector

    @pytest.fixture
    def settings(self) -> Mapping[str, Any]:
        """Return the ``config`` table of a connection."""
        return {"token": FakeNewsaas.token}

    @pytest.fixture
    def remote(self) -> HttpRemote:
        """Return a fresh Newsaas for each test."""
        self.fake = FakeNewsaas()
        return HttpRemote(httpx2.ASGITransport(app=self.fake), own_error=own_error)

    def truth(self, remote_id: str) -> bool | None:
        """Look into it, past the connector: whether somebody is let in."""
        return remote_id in self.fake.people and self.fake.people[remote_id].active
