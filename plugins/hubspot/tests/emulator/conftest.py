"""A HubSpot for each test, on a clock that only tests move."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest

from scim_bridge_hubspot.emulator import HubSpotEmulator, Switches


class Clock:
    """Seconds that pass only when somebody waits."""

    def __init__(self) -> None:
        self.seconds = 1_000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        """Return the time."""
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.slept.append(seconds)
        self.seconds += seconds


class Api(httpx2.AsyncClient):
    """A client of one emulator, with the token that may do everything."""

    def __init__(self, hubspot: HubSpotEmulator, token: str | None = None) -> None:
        headers = {"Authorization": f"Bearer {token or hubspot.token}"}
        super().__init__(transport=hubspot.transport(), base_url="https://api.hubapi.com", headers=headers)
        self.hubspot = hubspot

    async def create(self, email: str, version: str = "2026-03", **values: Any) -> httpx2.Response:
        """Invite a person."""
        return await self.post(f"/settings/users/{version}", json={"email": email, "sendWelcomeEmail": False} | values)

    async def made(self, email: str, version: str = "2026-03", **values: Any) -> str:
        """Invite a person and return the id."""
        answer = await self.create(email, version, **values)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def read(self, person_id: str, version: str = "2026-03") -> httpx2.Response:
        """Read a person."""
        return await self.get(f"/settings/users/{version}/{person_id}")

    async def write(self, person_id: str, version: str = "2026-03", /, **values: Any) -> httpx2.Response:
        """Update a person."""
        return await self.put(f"/settings/users/{version}/{person_id}", json=values)

    async def remove(self, person_id: str) -> httpx2.Response:
        """Remove a person."""
        return await self.delete(f"/settings/users/2026-03/{person_id}")


Connect = Callable[..., Api]


@pytest.fixture
def clock() -> Clock:
    """The clock of every emulator of a test."""
    return Clock()


@pytest.fixture
async def connect(clock: Clock) -> AsyncIterator[Connect]:
    """Make an emulator with these switches and return a client of it."""
    clients: list[Api] = []

    def open_client(profile: str = "enterprise", **switches: Any) -> Api:
        hubspot = HubSpotEmulator(switches=Switches(**switches), profile=profile, clock=clock, sleep=clock.sleep)
        clients.append(Api(hubspot))
        return clients[-1]

    yield open_client
    for client in clients:
        await client.aclose()


@pytest.fixture
def api(connect: Connect) -> Api:
    """A client of an Enterprise portal with the default readings."""
    return connect()


@pytest.fixture
def hubspot(api: Api) -> HubSpotEmulator:
    """The emulator behind ``api``."""
    return api.hubspot
