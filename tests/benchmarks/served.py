"""One system in a process of its own: ``python -m tests.benchmarks.served bridge|peer|floor DIRECTORY USERS``.

It seeds its directory unless that is there already, listens on a port the kernel chooses, and writes what a client
needs to know to ``DIRECTORY/KIND.json``. It uses nothing of the bridge that an earlier commit, put first on
``PYTHONPATH``, does not have.
"""

import asyncio
import json
import logging
import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import uvicorn
from scim2_models import Resource, ScimProvider
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from scim_bridge import app
from scim_bridge.cli.logs import configure_logging
from scim_bridge.config import Settings
from scim_bridge.connector import ConnectorRegistry
from scim_bridge.models import Group, Kind, User
from scim_bridge.store import documents, index, membership_changes, resources, tables, tokens
from scim_bridge.store.clock import to_microseconds
from scim_bridge.store.engine import Store
from scim_bridge.store.rows import Observed, ResourceRow
from scim_bridge.store.transaction import Transaction
from tests.benchmarks.remote import IndexedConnector, IndexedRemote

CORE = "urn:ietf:params:scim:schemas:core:2.0"
SPARE = 2_000
"""Users that are in no group, to be added to one."""

READ_ONLY = 100_000
"""From how many Users on a directory is only read."""

MARK = 4_242_424
"""The number of the person that the others are made after."""

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
GOLDEN = 0x9E3779B97F4A7C15F39CC0605CEDC835


def id_of(number: int) -> str:
    """Return the id of a number: the same in every system, and in no order."""
    return str(UUID(int=GOLDEN * (number + 1) % (1 << 128)))


def sizes_of(users: int) -> tuple[int, ...]:
    """Return the sizes of the groups of a directory."""
    return (min(users, 10_000),)


def person(number: int) -> User:
    """Return the User of a number, as an identity provider fills one in."""
    name = f"person.{number}@example.com"
    return User.model_validate(
        {
            "schemas": [f"{CORE}:User"],
            "userName": name,
            "externalId": f"idp-{number}",
            "name": {"givenName": f"Given{number}", "familyName": f"Family{number}"},
            "displayName": f"Given{number} Family{number}",
            "emails": [{"value": name, "type": "work", "primary": True}],
            "active": True,
        }
    )


# -- The bridge --------------------------------------------------------------------------------------------------------


def bridge(directory: Path, users: int) -> None:
    """Serve a bridge on an SQLite file whose directory is settled: what it holds, the remote system holds too."""
    asyncio.run(_seeded(directory, users))
    remote = cast("IndexedRemote", IndexedRemote.named("benchmark"))
    # What is only read needs nobody on the other side.
    for user in map(person, range(users + SPARE if users < READ_ONLY else 0)):
        remote.add_account(str(user.user_name), name=user.name, display_name=user.display_name)
    accounts = list(remote.accounts)
    for size in sizes_of(users):
        group = remote.add_group(f"Group of {size}")
        for account in accounts[:size]:
            remote.assign(account, {group})
    registry = ConnectorRegistry()
    registry.add(IndexedConnector)
    vars(app)["discover"] = lambda *_, **__: registry
    connection = {"connector": "memory-indexed", "config": {"remote": "benchmark"}}
    settings = Settings.model_validate(
        {
            "server": {"port": 0},
            "store": {"url": f"sqlite:///{directory / 'bridge.db'}"},
            "connections": {"acme": connection | {"import_at_start": False, "reconcile_minutes": 0}},
        }
    )
    configure_logging("INFO")
    token = (directory / "token").read_text()

    def started(url: str) -> None:
        _tell(directory, "bridge", f"{url}/acme/scim/v2", token)

    _run(app.run(settings, started=started))


def _run(main: Coroutine[Any, Any, None]) -> None:
    try:
        from scim_bridge.server.serve import run_loop
    except ImportError:  # an earlier commit runs on Python's own event loop
        asyncio.run(main)
    else:
        run_loop(main)


async def _seeded(directory: Path, users: int) -> None:
    if (directory / "token").exists():
        return
    store = await Store.open(f"sqlite:///{directory / 'bridge.db'}")
    token, record = tokens.mint("acme", now=datetime.now(UTC), environment="test")

    def fill(tx: Transaction) -> None:
        tokens.create(tx, record)
        for start in range(0, users + SPARE, 5_000):
            _insert(tx, range(start, min(start + 5_000, users + SPARE)))
        for size in sizes_of(users):
            group = Group(display_name=f"Group of {size}")
            row = _row("Group", group, f"Group of {size}", f"group-{users + SPARE + 1}", -2)
            resources.insert(tx, row, group)
            members = [id_of(number) for number in range(size)]
            membership_changes.set_desired(tx, "acme", row.id, members, desired=True)
            membership_changes.observe_group(tx, "acme", row.id, added=members, removed=())

    await store.write(fill)
    await store.close()
    (directory / "token").write_text(token)


def _insert(tx: Transaction, numbers: range) -> None:
    """Insert Users as :func:`scim_bridge.store.resources.insert` does, a few hundred times as fast: from a template."""
    user = person(MARK)
    row = _row("User", user, str(user.user_name), f"user-{MARK}", MARK)
    template = {name: value for name, value in resources._values(row).items() if name not in ("id", "document")}
    columns = json.dumps(template | {"document": row.document.decode()})
    values = json.dumps(index.index_values(user))
    rows, indexed = [], []
    for number in numbers:
        made = json.loads(columns.replace(str(MARK), str(number)))
        at = to_microseconds(LONG_AGO + timedelta(seconds=number))
        document = made["document"].replace(row.id, id_of(number)).encode()
        rows.append(
            made
            | {"sequence": number + 1, "id": id_of(number), "remote_id": f"account-{number + 1}", "document": document}
            | {"created_at": at, "modified_at": at}
        )
        key = {"connection_id": "acme", "resource": number + 1}
        indexed += [key | each for each in json.loads(values.replace(str(MARK), str(number)))]
    tx.execute(tables.resource.insert(), rows)
    tx.execute(tables.attribute_value.insert(), indexed)


def _row(kind: Kind, resource: User | Group, name: str, remote_id: str, number: int) -> ResourceRow:
    at = LONG_AGO + timedelta(seconds=max(number, 0))
    seen = {"displayName": name}
    if kind == "User":
        names = {"name.givenName": f"Given{number}", "name.familyName": f"Family{number}"}
        seen = names | {"displayName": f"Given{number} Family{number}", "userName": name}
    return ResourceRow(
        connection_id="acme",
        id=id_of(number),
        kind=kind,
        name=name,
        document=documents.encode(resource, id_of(number)),
        created_at=at,
        modified_at=at,
        external_id=resource.external_id,
        remote_id=remote_id,
        observed_generation=1,
        observed=Observed(present=True, active=True, attributes=seen),
    )


# -- The peer and the floor --------------------------------------------------------------------------------------------


def peer(directory: Path, users: int) -> None:
    """Serve scim2-server's ASGI application before its own storage in memory, seeded through that storage."""
    from scim2_server.applications.asgi import ASGIApplication
    from scim2_server.memory import AsyncInMemoryStorage
    from scim2_server.utils import (
        load_default_resource_types,
        load_default_schemas,
        load_default_service_provider_config,
    )

    provider = ScimProvider.from_discovery(
        load_default_schemas().values(),
        load_default_resource_types().values(),
        config=load_default_service_provider_config(),
    )
    storage = AsyncInMemoryStorage()
    types = {type_.name: type_ for type_ in provider.resource_types}
    models = {name: cast("type[Resource[Any]]", provider.model_for(type_)) for name, type_ in types.items()}
    ids: list[str] = []

    async def fill() -> str:
        for number in range(users + SPARE):
            user = models["User"].model_validate(person(number).model_dump())
            ids.append(str((await storage.create(types["User"], user)).id))
        (size,) = sizes_of(users)
        members = [{"value": id_} for id_ in ids[:size]]
        group = {"schemas": [f"{CORE}:Group"], "displayName": f"Group of {size}", "members": members}
        return str((await storage.create(types["Group"], models["Group"].model_validate(group))).id)

    group_id = asyncio.run(fill())
    application = ASGIApplication(storage, provider)
    _serve(application, lambda url: _tell(directory, "peer", f"{url}/v2", "unused", ids=ids, group=group_id))


def floor(directory: Path, users: int) -> None:
    """Serve bare Starlette, which answers the bytes of one User whatever is asked."""
    del users
    body = documents.encode(person(7), id_of(7))[:-1] + b',"meta":{"resourceType":"User","version":"1"}}' + b" " * 150

    async def answer(request: Request) -> Response:
        return Response(body, media_type="application/scim+json")

    application = Starlette(routes=[Route("/{rest:path}", answer)])
    _serve(application, lambda url: _tell(directory, "floor", url, "unused"))


def _serve(application: Any, started: Callable[[str], None]) -> None:
    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            port = self.servers[0].sockets[0].getsockname()[1]
            started(f"http://127.0.0.1:{port}")

    Server(
        uvicorn.Config(application, port=0, loop="uvloop", http="httptools", access_log=False, log_config=None)
    ).run()


def _tell(directory: Path, kind: str, base: str, token: str, **more: Any) -> None:
    path = directory / f"{kind}.json"
    path.with_suffix(".part").write_text(json.dumps({"base": base, "token": token, **more}))
    path.with_suffix(".part").rename(path)


def main() -> None:
    """Run one system."""
    kind, directory, users = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    logging.disable(logging.NOTSET)
    {"bridge": bridge, "peer": peer, "floor": floor}[kind](directory, users)


if __name__ == "__main__":
    main()
