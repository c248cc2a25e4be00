"""``scim-bridge check``: whether this is going to work."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import click

from scim_bridge.app import connectors_of
from scim_bridge.cli import REMOTE_DIFFERS
from scim_bridge.cli.tables import as_json, show
from scim_bridge.cli.token import require_connection
from scim_bridge.config import Settings, load_settings
from scim_bridge.connections import ConnectionPool
from scim_bridge.errors import ConnectorError, StoreConfigurationError, StoreUnavailableError
from scim_bridge.models import Finding
from scim_bridge.provisioning import checks, observing
from scim_bridge.provisioning.checks import REMOTE
from scim_bridge.provisioning.identification import Pin, identity_of, judge, pinned
from scim_bridge.store.engine import Store
from scim_bridge.store.kept import KeptState

STYLES = {"ok": "green", "info": "cyan", "warning": "yellow", "error": "bold red"}
COLUMNS = {"level": "", "connection": "Connection", "subject": "What", "message": "Found", "remedy": "What to do"}


@click.command()
@click.argument("connection", required=False)
@as_json
@click.pass_obj
def check(path: Path | None, connection: str | None, *, as_json: bool) -> None:
    """Check the configuration, the database and what each remote system allows.

    Exit status 1 when something cannot work, 2 when the configuration is wrong, 3 when a remote system is not the one
    that the connection had, or is that of another connection, too.
    """
    settings = load_settings(path, connectors=None if connection is None else (connection,))
    settings.require_connections()
    if connection is not None:
        require_connection(settings, connection)
    found = asyncio.run(_findings(settings, connection))
    rows = [
        {"level": one.level, "connection": id_, "subject": one.subject, "message": one.message, "remedy": one.remedy}
        for id_, findings in found.items()
        for one in findings
    ]
    show("What was checked", COLUMNS, rows, as_json=as_json, styles=STYLES)
    wrong = {row["subject"] for row in rows if row["level"] == "error"}
    raise SystemExit(REMOTE_DIFFERS if REMOTE in wrong else 1 if wrong else 0)


class Database:
    """The database during a check, shared with the server that has it.

    An SQLite file that is not there yet is made by the server, or here when there is something to keep.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings.store
        self._opening = asyncio.Lock()
        self._store: Store | None = None

    @property
    def missing(self) -> bool:
        """Whether there is none yet."""
        return self._settings.file is not None and not self._settings.file.exists()

    async def store(self) -> Store:
        """Open it. :raises StoreConfigurationError: In one line, why it cannot be used."""
        async with self._opening:
            if self._store is None:
                url, production = self._settings.url, self._settings.production
                self._store = await Store.open(url, production=production, exclusive=False)
            return self._store

    async def close(self) -> None:
        """Close it."""
        if self._store is not None:
            await self._store.close()


class CheckedState:
    """The small durable store of a connector that is checked (:class:`~scim_bridge.connector.ConnectorState`).

    A check may use up what is kept, such as a refresh token: so it reads it, and keeps what comes in its place.
    """

    def __init__(self, database: Database, connection_id: str) -> None:
        self._database = database
        self._connection_id = connection_id

    async def _kept(self) -> KeptState:
        try:
            store = await self._database.store()
        except StoreConfigurationError as error:
            raise StoreUnavailableError(str(error)) from None
        return KeptState(store, self._connection_id, clock=partial(datetime.now, UTC))

    async def get(self, key: str) -> dict[str, Any] | None:
        """Return the value of a key, or ``None``."""
        return None if self._database.missing else await (await self._kept()).get(key)

    async def put(self, key: str, value: Mapping[str, Any]) -> None:
        """Write a value; it is durable on return."""
        await (await self._kept()).put(key, value)

    async def delete(self, key: str) -> None:
        """Forget a key."""
        if not self._database.missing:
            await (await self._kept()).delete(key)


@asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[Database]:
    database = Database(settings)
    try:
        yield database
    finally:
        await database.close()


async def _findings(settings: Settings, only: str | None) -> dict[str, list[Finding]]:
    async with _database(settings) as database:
        of_store, pins = await _store(settings, database)
        return {"": of_store, **await _of_connectors(settings, only, pins, database)}


async def of_connectors(settings: Settings) -> dict[str, list[Finding]]:
    """Tell of each connection what its connector and the remote system say of it."""
    async with _database(settings) as database:
        _, pins = await _store(settings, database)
        return await _of_connectors(settings, None, pins, database)


async def _of_connectors(
    settings: Settings, only: str | None, pins: Mapping[str, Pin], database: Database
) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    chosen = settings if only is None else settings.only(only)
    async with connectors_of(chosen, state=partial(CheckedState, database)) as pool:
        remotes = await _remotes(settings, pool, pins)
        for connection_id in pool:
            found[connection_id] = [
                *await checks.of_connector(pool[connection_id]),
                *remotes[connection_id],
                *await checks.of_guard(pool[connection_id], settings.connections[connection_id].policy().guard),
            ]
    return found


async def _remotes(settings: Settings, pool: ConnectionPool, pins: Mapping[str, Pin]) -> dict[str, list[Finding]]:
    """Tell of each connection whether its remote system is the one it had, and its alone."""
    now = datetime.now(UTC)
    found: dict[str, list[Finding]] = {connection_id: [] for connection_id in pool}
    told: dict[str, str | None] = {}
    for connection_id in pool:
        try:
            told[connection_id] = await identity_of(pool[connection_id])
        except ConnectorError as error:
            found[connection_id].append(checks.unasked(error))
    first = {id_: Pin(identity, now) for id_, identity in told.items()}
    for connection_id, identity in told.items():
        others = {id_: {**first, **pins}.get(id_, Pin()) for id_ in settings.apart(connection_id)}
        pin = judge(pins.get(connection_id, Pin()), identity, connection_id, others, now=now)
        found[connection_id] += checks.of_remote(pin, identity, connection_id)
    return found


async def _store(settings: Settings, database: Database) -> tuple[list[Finding], dict[str, Pin]]:
    """Tell whether the database can be used, what observes, and which remote system each connection had."""
    file = settings.store.file
    if file is not None and database.missing:
        if file.parent.is_dir() and os.access(file.parent, os.W_OK):
            return [Finding("database", "info", f"{file} is made at the start")], {}
        remedy = "create its directory, for the bridge's account"
        return [Finding("database", "error", f"{file} cannot be made", remedy)], {}
    try:
        store = await database.store()
    except StoreConfigurationError as error:
        return [Finding("database", "error", str(error))], {}
    held = [await store.read(partial(observing.current, connection_id=id_)) for id_ in settings.connections]
    pins = {id_: await store.read(partial(pinned, connection_id=id_)) for id_ in settings.connections}
    modes = [
        await store.read(partial(observing.is_said_otherwise, connection_id=id_, mode=one.mode))
        for id_, one in settings.connections.items()
    ]
    remedy = "scim-bridge plan ID and scim-bridge reconcile ID tell what would happen; then scim-bridge go-live ID"
    told = [Finding("observing", "warning", one.detail, remedy) for one in held if one is not None]
    told += [
        Finding("mode", "info", one, "scim-bridge hold ID --plan, or go-live ID, switches it") for one in modes if one
    ]
    return [Finding("database", "ok", "it can be used"), *told], {id_: pin for id_, pin in pins.items() if pin != Pin()}
