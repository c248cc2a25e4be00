"""The bridge's own contract for connectors, under every pair of readings, tiers and versions."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import httpx2
import pytest

from plugins.hubspot.tests.connector.pairwise import Row, covering_array
from plugins.hubspot.tests.connector.portals import BASE_URL
from scim_bridge.connections import BoundConnector
from scim_bridge.connector import Connector
from scim_bridge.testing.connector_contract import ConnectorContract, HttpRemote
from scim_bridge_hubspot.connector import HubSpotConnector
from scim_bridge_hubspot.emulator import PROFILES, HubSpotEmulator, Switches

GROUPS = ("Contract one", "Contract two")
OTHER_URL = "http://127.0.0.1"
FREE_SEAT = "View-Only Seat"

CHOICES = Switches.choices()
TWO_WAY = {name: readings for name, readings in CHOICES.items() if len(readings) == 2}
VERSIONS = ("v3", "2026-03", "2026-09-beta")


def rows() -> list[Row]:
    """Return rows with every pair of the two-way switches, tiers and versions; other switches take turns."""
    made = covering_array({**TWO_WAY, "profile": tuple(PROFILES), "api_version": VERSIONS})
    others = {name: readings for name, readings in CHOICES.items() if name not in TWO_WAY}
    return [
        {**row, **{name: readings[number % len(readings)] for name, readings in others.items()}}
        for number, row in enumerate(made)
    ]


ROWS = rows()


def is_write(request: httpx2.Request) -> bool:
    """Tell writes from HubSpot's reads by POST: searches and questions about the token."""
    return request.method not in {"GET", "HEAD"} and not request.url.path.endswith(
        ("/search", "access-token-info", "/introspect", "/oauth/2026-03/token")
    )


CATEGORIES = {403: "FORBIDDEN", 404: "OBJECT_NOT_FOUND", 409: "CONFLICT"}


def own_error(status: int, message: str) -> dict[str, Any]:
    """Return an error in HubSpot's form."""
    return {"status": "error", "message": message, "correlationId": "1", "category": CATEGORIES.get(status, "OTHER")}


def settings_for(profile: str, api_version: str) -> dict[str, Any]:
    """Return settings under which the tier has two groups: permission sets, else teams, else seats."""
    settings: dict[str, Any] = {"base_url": BASE_URL, "token": HubSpotEmulator.token, "api_version": api_version}
    if profile == "enterprise":
        return {**settings, "fallback_permission_set": "Everybody"}
    if profile == "professional":
        return {**settings, "teams_as_groups": "primary"}
    version = "2026-09-beta" if api_version == "2026-03" else api_version
    return {**settings, "api_version": version, "seats_as_groups": True, "fallback_seat": FREE_SEAT}


@pytest.fixture(params=ROWS, ids=[f"row{number}" for number in range(len(ROWS))])
def row(request: pytest.FixtureRequest) -> Row:
    """Return one kind of portal."""
    made: Row = request.param
    return made


class TestHubSpot(ConnectorContract):
    """HubSpot, on every kind of portal."""

    required_operations: ClassVar[frozenset[str]] = frozenset(
        {"list_users", "find_user", "delete_user", "list_groups", "get_group", "set_user_groups", "explain_user"}
    )

    crowd = (
        11  # pages of HubSpot are read in `test_accounts`; a hundred people, on each of these portals, cost ten seconds
    )

    @pytest.fixture
    def connector_type(self) -> type[Connector[Any]]:
        """Return the connector type under test."""
        return HubSpotConnector

    @pytest.fixture
    def settings(self, row: Row) -> Mapping[str, Any]:
        """Return settings for the portal's tier and version."""
        return settings_for(row["profile"], row["api_version"])

    @pytest.fixture
    def other_settings(self, row: Row) -> Mapping[str, Any]:
        """Return settings for a portal at another address."""
        return {**settings_for(row["profile"], row["api_version"]), "base_url": OTHER_URL}

    @pytest.fixture
    def remote(self, row: Row) -> HttpRemote:
        """Return a portal with room for everybody, two groups to give, and nobody in it but its owner."""
        switches = Switches(**{name: value for name, value in row.items() if name in CHOICES})
        profile = replace(PROFILES[row["profile"]], max_users=2500, calls_per_ten_seconds=10_000)
        hubspot = HubSpotEmulator(switches=replace(switches, search_per_second=5), profile=profile)
        for name in (*GROUPS, "Everybody"):
            hubspot.add_role(name)
        for name in GROUPS:
            hubspot.add_team(name)
            hubspot.add_seat_pool(name)
        hubspot.add_seat_pool(FREE_SEAT)
        other = HubSpotEmulator(switches=hubspot.switches, profile=profile)
        other.portal_id += 1
        transports = {OTHER_URL: other.transport(), BASE_URL: hubspot.transport()}
        return HttpRemote(transports, is_write=is_write, own_error=own_error)

    async def two_groups(self, connector: BoundConnector) -> list[str]:
        """Return the remote ids of the two groups."""
        page = await connector.list_groups(None, 100)
        return [item.remote_id for item in page.items if item.resource.display_name in GROUPS]
