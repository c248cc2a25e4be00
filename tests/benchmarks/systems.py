"""What is measured in this process: the bridge as a raw ASGI application with a seeded directory."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from scim_bridge.models import Group, Kind, User
from scim_bridge.provisioning.policy import Budget, GuardPolicy, ProvisioningPolicy
from scim_bridge.store import documents, membership_changes, resources
from scim_bridge.store.rows import Observed, ResourceRow
from scim_bridge.store.transaction import Transaction
from tests.benchmarks.remote import IndexedConnector, IndexedRemote
from tests.http.bridge import USER, Tenant, bridge

Message = MutableMapping[str, Any]
Application = Callable[[Any, Any, Any], Awaitable[None]]

LONG_AGO = datetime.now(UTC) - timedelta(days=365)

_LIMITLESS = Budget(share=100.0)
COUNTING = ProvisioningPolicy(guard=GuardPolicy(removals=_LIMITLESS, removals_of_a_day=_LIMITLESS))
"""The guard counts every deactivation, as it does by default, and holds none: a benchmark is one mass offboarding."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request below the base path of a system."""

    method: str
    path: str
    query: str = ""
    body: Any = None


@dataclass
class System:
    """A service provider with a directory.

    :param users: Ids and userNames of the Users, without the spare ones.
    :param spare: Ids of Users that are in no group.
    :param groups: Ids of Groups by their number of members.
    :param settle: Waits until nothing of earlier requests is left to do.
    """

    name: str
    application: Application
    base: str
    token: str
    users: list[tuple[str, str]] = field(default_factory=list)
    spare: list[str] = field(default_factory=list)
    groups: dict[int, str] = field(default_factory=dict)
    settle: Callable[[], Awaitable[None]] | None = None

    async def send(self, request: Request) -> bytes:
        """Send a request as a server would hand it over, and return the body of the answer.

        :raises RuntimeError: When it did not succeed: what failed is not measured.
        """
        content = b"" if request.body is None else json.dumps(request.body).encode()
        status, answer = 0, bytearray()

        async def receive() -> Message:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            answer.extend(message.get("body", b""))

        await self.application(self._scope(request), receive, send)
        if not 200 <= status < 300:
            raise RuntimeError(f"{self.name}: {request.method} {request.path}: {status} {bytes(answer[:500])!r}")
        return bytes(answer)

    def _scope(self, request: Request) -> Message:
        path = self.base + request.path
        headers = [(b"host", b"bridge.test"), (b"authorization", f"Bearer {self.token}".encode())]
        if request.body is not None:
            headers.append((b"content-type", b"application/scim+json"))
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": request.query.encode(),
            "headers": headers,
            "client": ("127.0.0.1", 40000),
            "server": ("bridge.test", 80),
        }


def person(number: int) -> User:
    """Return the User of a number, as an identity provider fills one in."""
    return User.model_validate(
        {
            "schemas": [USER],
            "userName": f"person.{number}@example.com",
            "externalId": f"idp-{number}",
            "name": {"givenName": f"Given{number}", "familyName": f"Family{number}"},
            "displayName": f"Given{number} Family{number}",
            "emails": [{"value": f"person.{number}@example.com", "type": "work", "primary": True}],
            "active": True,
        }
    )


# -- The bridge --------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def bridge_system(directory: Path, users: int, spare: int, groups: tuple[int, ...]) -> AsyncIterator[System]:
    """Run a bridge on an SQLite file whose directory is settled: what it holds, the remote system holds too."""
    directory.mkdir()
    async with bridge(directory, policy=COUNTING, connector_type=IndexedConnector) as (tenant,):
        system = System(f"bridge, {users:,} users", tenant.server, "/acme/scim/v2", tenant.token)
        system.settle = tenant.provisioning.driver.idle
        await tenant.store.write(lambda tx: _seed(tx, tenant, system, users, spare, groups))
        await tenant.settled()
        yield system


def _seed(tx: Transaction, tenant: Tenant, system: System, users: int, spare: int, groups: tuple[int, ...]) -> None:
    remote = tenant.remote
    assert isinstance(remote, IndexedRemote)
    for number in range(users + spare):
        user = person(number)
        remote_id = remote.add_account(str(user.user_name), name=user.name, display_name=user.display_name)
        attributes = {
            "userName": user.user_name,
            "name.givenName": f"Given{number}",
            "name.familyName": f"Family{number}",
            "displayName": user.display_name,
        }
        row = _row("User", user, str(user.user_name), remote_id, attributes, number)
        resources.insert(tx, row, user)
        if number < users:
            system.users.append((row.id, row.name))
        else:
            system.spare.append(row.id)
    accounts = list(remote.accounts)
    for number, size in enumerate(groups):
        group = Group(display_name=f"Group of {size}")
        remote_id = remote.add_group(f"Group of {size}")
        row = _row("Group", group, f"Group of {size}", remote_id, {"displayName": f"Group of {size}"}, number)
        resources.insert(tx, row, group)
        members = [user_id for user_id, _ in system.users[:size]]
        membership_changes.set_desired(tx, "acme", row.id, members, desired=True)
        membership_changes.observe_group(tx, "acme", row.id, added=members, removed=())
        for account in accounts[:size]:
            remote.assign(account, remote.groups_of(account) | {remote_id})
        system.groups[size] = row.id


def _row(
    kind: Kind, resource: User | Group, name: str, remote_id: str, attributes: dict[str, Any], number: int
) -> ResourceRow:
    resource_id = str(uuid4())
    return ResourceRow(
        connection_id="acme",
        id=resource_id,
        kind=kind,
        name=name,
        document=documents.encode(resource, resource_id),
        created_at=LONG_AGO + timedelta(seconds=number),
        modified_at=LONG_AGO + timedelta(seconds=number),
        external_id=resource.external_id,
        remote_id=remote_id,
        observed_generation=1,
        observed=Observed(present=True, active=True, attributes=attributes),
    )
