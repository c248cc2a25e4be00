"""A HubSpot portal in process, and the connector as the bridge opens it, for all tests of this directory."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2

from scim_bridge.connections import BoundConnector
from scim_bridge.models import Group, Remote, User
from scim_bridge.testing.contexts import MemoryState, connected
from scim_bridge.upstream import HttpClients
from scim_bridge_hubspot.connector import HubSpotConnector
from scim_bridge_hubspot.emulator import Call, HubSpotEmulator, Role, Switches

BASE_URL = "http://localhost"
SCIM_URL = "http://localhost/scim/v2"
ADA = "ada@corp.example"


def person(
    email: str = ADA, given: str = "Ada", family: str = "Byron", *, groups: Iterable[str] = (), **attributes: Any
) -> User:
    """Return a SCIM User as hooks get it."""
    document = {
        "userName": email,
        "name": {"givenName": given, "familyName": family},
        "active": True,
        "groups": [{"value": group} for group in groups],
        **attributes,
    }
    return User.model_validate(document)


def group_named(name: str) -> Group:
    """Return a SCIM Group as hooks get it."""
    return Group.model_validate({"displayName": name})


def role(made: Role) -> str:
    """Return the remote id of the group that a permission set is."""
    return f"role:{made.id}"


def groups_of(remote: Remote[User]) -> set[str]:
    """Return the groups that an answer tells."""
    return {str(group.value) for group in remote.resource.groups or ()}


@dataclass
class World:
    """A portal and what a connector needs to reach it; a connector may come and go, its state stays."""

    hubspot: HubSpotEmulator
    settings: dict[str, Any] = field(default_factory=dict)
    state: MemoryState = field(default_factory=MemoryState)

    @asynccontextmanager
    async def connector(
        self,
        *,
        api: httpx2.AsyncBaseTransport | None = None,
        scim: httpx2.AsyncBaseTransport | None = None,
        **settings: Any,
    ) -> AsyncIterator[BoundConnector]:
        """Open a connector on the portal, as the bridge does.

        :param api: Answers in place of the emulator.
        :param scim: Answers in place of its SCIM.
        """
        config = {"token": self.hubspot.token, "base_url": BASE_URL, **self.settings, **settings}
        transport = self.hubspot.transport()
        transports = {SCIM_URL: scim or transport, BASE_URL: api or transport}
        clients = HttpClients(transports, random=lambda: 0.5)
        async with connected(HubSpotConnector, config, http_client=clients, state=self.state, deadline=60.0) as made:
            yield made

    def account(self) -> Any:
        """What Ada has in HubSpot; ``None`` when she is not there."""
        return self.hubspot.snapshot().get(ADA)

    def calls(self, method: str | None = None, path: str = "") -> list[Call]:
        """Return the calls made so far."""
        return self.hubspot.calls.matching(method, path)

    def writes(self) -> list[Call]:
        """Return the calls that could have changed an account."""
        return [call for call in self.calls(None, r"^/settings/") if call.method != "GET"]


def world(profile: str = "enterprise", **switches: Any) -> World:
    """Return a portal of a tier, with these readings of what is uncertain; call it inside a test."""
    clock = asyncio.get_running_loop().time
    return World(HubSpotEmulator(switches=Switches(**switches), profile=profile, clock=clock))
