"""A client that does one thing after the other, and knows what it was answered."""

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

import httpx2

from tests.faults.simulation.network import BridgeTransport, Inbound
from tests.faults.simulation.world import BASE_URL, World

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
ATTEMPTS = 3
MOST_WAIT = 90.0

Document = Mapping[str, Any]


class Answer(NamedTuple):
    """What a request was answered in the end. :param status: 429 when it still is not done."""

    status: int
    document: Document

    @property
    def ok(self) -> bool:
        """Whether it is done."""
        return 200 <= self.status < 300

    @property
    def waits(self) -> bool:
        """Whether it was accepted and not done."""
        return self.status == 429

    @property
    def detail(self) -> str:
        """What the refusal says."""
        return str(self.document.get("detail", ""))


class Unheard:
    """Sees nothing: the client judges each answer itself."""

    def asked(self, exchange: Inbound) -> None:
        """Nothing has reached the bridge yet."""

    def arrived(self, exchange: Inbound) -> None:
        """A request reaches the bridge."""

    def answered(self, exchange: Inbound) -> None:
        """The bridge answers it."""

    def heard(self, exchange: Inbound) -> None:
        """The client has the answer."""


class Client:
    """Sends SCIM requests over the bridge's own door."""

    def __init__(self, world: World) -> None:
        transport = BridgeTransport("client", world.listening, world.weather, Unheard())
        self.http = httpx2.AsyncClient(base_url=BASE_URL, transport=transport)
        self._headers = {"Authorization": world.authorization, "Content-Type": "application/scim+json"}
        self._note = world.note

    async def send(self, method: str, path: str, body: Document | None = None) -> Answer:
        """Send a request, again while it is answered with 429, a few times."""
        answer = Answer(0, {})
        for _ in range(ATTEMPTS):
            got = await self.http.request(method, path, json=body, headers=self._headers)
            answer = Answer(got.status_code, got.json() if got.content else {})
            if method != "GET":
                self._note(
                    f"{method} {path} {dict(body or {}).get('Operations', '')} -> {answer.status} {answer.detail}"
                )
            if not answer.waits:
                break
            await asyncio.sleep(min(float(got.headers.get("retry-after", "5")), MOST_WAIT))
        return answer

    async def patch(self, path: str, operation: Document) -> Answer:
        """Send a PATCH with one operation."""
        return await self.send("PATCH", path, {"schemas": [PATCH_OP], "Operations": [operation]})

    async def create(self, email: str) -> Answer:
        """Create somebody."""
        names = {"givenName": email.partition("@")[0].title(), "familyName": "Byron"}
        return await self.send(
            "POST",
            "/Users",
            {"schemas": [USER], "userName": email, "externalId": email, "active": True, "name": names},
        )

    async def active(self, user_id: str, *, active: bool) -> Answer:
        """Change ``active``."""
        return await self.patch(f"/Users/{user_id}", {"op": "replace", "path": "active", "value": active})

    async def call(self, user_id: str, email: str) -> Answer:
        """Change the userName."""
        return await self.patch(f"/Users/{user_id}", {"op": "replace", "path": "userName", "value": email})

    async def join(self, group_id: str, user_id: str) -> Answer:
        """Add somebody to a group."""
        operation = {"op": "add", "path": "members", "value": [{"value": user_id}]}
        return await self.patch(f"/Groups/{group_id}", operation)

    async def leave(self, group_id: str, user_id: str) -> Answer:
        """Remove somebody from a group."""
        return await self.patch(f"/Groups/{group_id}", {"op": "remove", "path": f'members[value eq "{user_id}"]'})

    async def group(self, name: str) -> str:
        """Return the id of a group, pushing it when there is none; empty when it is refused."""
        found = await self.send("GET", f'/Groups?filter=displayName%20eq%20"{name}"&excludedAttributes=members')
        for group in found.document.get("Resources") or ():
            return str(group["id"])
        made = await self.send("POST", "/Groups", {"schemas": [GROUP], "displayName": name})
        return str(made.document["id"]) if made.ok else ""

    async def all(self, kind: str) -> list[Document]:
        """Return every User or Group."""
        found = await self.send("GET", f"/{kind}?count=200")
        resources: list[Document] = found.document.get("Resources") or []
        return resources
