"""A program on everything that plugins may import, for the type checker: what it takes and returns is a promise.

It is checked with the rest of the repository (``make types``); a change that breaks it breaks plugins.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Self, assert_type

import httpx2
from pydantic import BaseModel

from scim_bridge import Connector, ConnectorContext, ConnectorRegistry, hookimpl
from scim_bridge.connector import ConnectorState
from scim_bridge.errors import ConnectorError, RemoteNotFoundError, RemoteUnavailableError, ServingError
from scim_bridge.models import (
    Entitlement,
    Explanation,
    Finding,
    Group,
    GroupMembership,
    MemberPage,
    Name,
    Page,
    RateLimit,
    Remote,
    Unrevoked,
    User,
)
from scim_bridge.paths import attributes_of, value_at, with_values
from scim_bridge.upstream import (
    About,
    ClientCredentials,
    about,
    misrouted,
    raise_for_status,
    read_json,
    read_model,
    retry_after,
    urgent,
)


class Settings(BaseModel):
    """The ``config`` table of a connection."""

    url: str = "https://api.typed.example"


class Person(BaseModel):
    """What the remote system answers."""

    id: str
    mail: str


class TypedConnector(Connector[Settings]):
    """Every hook of the shape that keeps membership on the person, with its whole signature."""

    name = "typed"
    config_model = Settings
    user_attributes = frozenset({"userName", "name.givenName"})
    unrevoked = (
        Unrevoked("their API keys", "Revoke them there", "https://typed.example/keys"),
        Unrevoked("copies", "Ask"),
    )

    async def __aenter__(self) -> Self:
        assert_type(self.config, Settings)
        assert_type(self.context, ConnectorContext[Settings])
        assert_type(self.context.connection_id, str)
        state: ConnectorState = self.context.state
        assert_type(await state.get("key"), dict[str, Any] | None)
        await state.put("key", {"value": 1})
        await state.delete("key")
        self.client = self.context.http_client(
            base_url=self.config.url,
            account=self.config.url,
            rate_limit=RateLimit(requests=10, seconds=1.0),
            headers={"X-Version": "1"},
            auth=ClientCredentials(f"{self.config.url}/token", "id", "secret", "scope"),
            pause_after=retry_after,
        )
        assert_type(self.client, httpx2.AsyncClient)
        return self

    async def _person(self, path: str) -> Remote[User]:
        answer = raise_for_status(await self.client.get(path), "person", own_error=is_own)
        assert_type(answer, httpx2.Response)
        person = read_model(answer, Person)
        assert_type(person, Person)
        user = User(user_name=person.mail, name=Name(given_name="A"), groups=[GroupMembership(value="7")])
        return Remote(person.id, user, existed=False, holds=frozenset({"7"}))

    @hookimpl
    async def check_connection(self) -> list[Finding]:
        """Check."""
        return [Finding("scope", "ok", "is there")]

    @hookimpl
    async def identify(self) -> str | None:
        """Identify."""
        with urgent():
            return str(read_json(await self.client.get("/account")))

    @hookimpl
    async def list_users(self, cursor: str | None, limit: int) -> Page[User]:
        """List."""
        return Page([await self._person(f"/people?after={cursor}&limit={limit}")], None)

    @hookimpl
    async def find_user(self, user_name: str) -> Remote[User] | None:
        """Find."""
        return await self._person(f"/people?mail={user_name}")

    @hookimpl
    async def get_user(self, remote_id: str) -> Remote[User]:
        """Read."""
        return await self._person(f"/people/{remote_id}")

    @hookimpl
    async def create_user(self, user: User) -> Remote[User]:
        """Create."""
        assert_type(user.user_name, str | None)
        return await self._person("/people")

    @hookimpl
    async def update_user(self, remote_id: str, before: User, after: User) -> Remote[User]:
        """Update."""
        document: Mapping[str, Any] = after.model_dump()
        assert_type(attributes_of(document, self.user_attributes), dict[str, Any])
        assert_type(with_values(document, ["userName"], before.model_dump()), dict[str, Any])
        value_at(document, "name.givenName")
        return await self._person(f"/people/{remote_id}")

    @hookimpl
    async def finish_user(self, remote_id: str) -> None:
        """Finish."""

    @hookimpl
    async def deactivate_user(self, remote_id: str, user: User) -> None:
        """Deactivate."""
        answer = await self.client.delete(f"/people/{remote_id}")
        if about(answer, is_own) is About.ROAD:
            raise misrouted(answer)

    @hookimpl
    async def reactivate_user(self, remote_id: str, user: User) -> Remote[User]:
        """Reactivate."""
        return await self._person(f"/people/{remote_id}")

    @hookimpl
    async def delete_user(self, remote_id: str) -> None:
        """Delete."""
        raise RemoteUnavailableError("the answer was lost", ambiguous=True, retry_after=1.0)

    @hookimpl
    async def list_groups(self, cursor: str | None, limit: int) -> Page[Group]:
        """List."""
        return Page([Remote("7", Group(display_name="Sales"))])

    @hookimpl
    async def get_group(self, remote_id: str) -> Remote[Group]:
        """Read."""
        raise RemoteNotFoundError("there is no such group")

    @hookimpl
    async def set_user_groups(self, remote_id: str, user: User, groups: Sequence[str]) -> Remote[User]:
        """Set."""
        return await self._person(f"/people/{remote_id}")

    @hookimpl
    async def list_entitlements(self) -> list[Entitlement]:
        """List."""
        return [Entitlement("7", "Sales", "Entitlement", "Team", several=True, assignable=True, privileged=False)]

    @hookimpl
    async def schemas(self) -> list[dict[str, Any]]:
        """Describe."""
        return []

    @hookimpl
    async def explain_user(self, remote_id: str, user: User, groups: Sequence[str]) -> Explanation:
        """Explain."""
        return Explanation("as it is", effective=tuple(groups), shadowed={}, notes=())


def is_own(body: Any) -> bool:
    """Return whether a body is an error in the remote system's own form."""
    return isinstance(body, dict) and "error" in body


def told(error: ConnectorError) -> tuple[int, str | None, str, bool]:
    """Return what the bridge reads of an error."""
    serving: ServingError = error
    return serving.status, serving.scim_type, serving.detail, error.ambiguous


def members() -> MemberPage:
    """Return a page of the other shape of membership."""
    return MemberPage(["7"], cursor=None)


@hookimpl
def register_connectors(registry: ConnectorRegistry) -> None:
    """Register it."""
    registry.add(TypedConnector)
