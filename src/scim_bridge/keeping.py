"""Keeps the audit chains beside a bridge: signs their heads, prunes what is old, tells how the bridge was configured.

Every process of a store does; who comes first has done it for all.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from functools import partial

from pydantic import SecretStr

from scim_bridge.config import Settings
from scim_bridge.connections import BoundConnector
from scim_bridge.errors import StoreError
from scim_bridge.provisioning.journal import acting
from scim_bridge.store import audit, connector_state, departed
from scim_bridge.store.engine import Store
from scim_bridge.store.transaction import Transaction
from scim_bridge.tasks import beside
from scim_bridge.views.departures import note_unrevoked
from scim_bridge.views.pruning import needed

LOOK_SECONDS = 60.0
DAY = timedelta(days=1)

CONFIGURATION = "bridge:configuration"
"""The key under which the keyed hash of each setting is kept."""

logger = logging.getLogger(__name__)


class PruneRefusedError(Exception):
    """The entries are needed; the text says what for."""


async def prune(store: Store, connection_id: str, before: datetime, *, others: Collection[str], now: datetime) -> int:
    """Delete the entries of a chain before a time; return how many they were.

    :param others: The other connections.
    :raises PruneRefusedError: When they are needed.
    """
    why = await store.scan(partial(needed, connection_id=connection_id, before=before, others=others, now=now))
    if why is not None:
        raise PruneRefusedError(why)
    told = acting()

    def work(tx: Transaction) -> int:
        departed.forget(tx, connection_id, before)
        return audit.prune(tx, connection_id, before, told, now=now)

    return await store.write(work)


async def sign_due(settings: Settings, store: Store, now: datetime) -> None:
    """Sign the heads whose time has come."""
    key, every = settings.audit.key(), timedelta(minutes=settings.audit.sign_minutes)
    if key is not None:
        for id_ in sorted(settings.connections):
            await store.write(partial(audit.sign, connection_id=id_, key=key, every=every, now=now))


async def prune_due(settings: Settings, store: Store, now: datetime) -> None:
    """Prune what is older than it is to be kept, unless it is needed."""
    if settings.audit.keep_days:
        before = now - timedelta(days=settings.audit.keep_days)
        for id_ in sorted(settings.connections):
            try:
                await prune(store, id_, before, others=sorted(set(settings.connections) - {id_}), now=now)
            except PruneRefusedError as refusal:
                logger.warning("the audit chain of %s is not pruned: %s", id_, refusal)


async def hide_due(settings: Settings, store: Store, now: datetime) -> None:
    """Put keyed hashes in the place of names that were to be kept until now."""
    before = now - timedelta(days=settings.store.departures_days)
    for id_ in sorted(settings.connections):
        await store.write(partial(departed.hide, connection_id=id_, before=before, now=now))


def note_start(tx: Transaction, settings: Settings, *, now: datetime) -> None:
    """Append to each chain with what configuration the bridge starts, and which settings are others than last time.

    Of each value a keyed hash is kept, and of none the value: settings of connectors may be secrets.
    """
    whole, hashed = settings.model_dump(exclude={"connections"}), departed.hashing(tx, now=now)
    for id_, connection in sorted(settings.connections.items()):
        document = whole | {"connections": {id_: connection.model_dump()}}
        kept = connector_state.get(tx, id_, CONFIGURATION) or {}
        found = {path: hashed(value) for path, value in _flat(document)}
        changed = sorted(path for path in kept.keys() | found.keys() if kept.get(path) != found.get(path))
        digest = hashed(json.dumps(found, sort_keys=True))
        entry = {"event": "configuration", "operation": "start", "digest": digest, **acting()}
        audit.append(tx, id_, entry | {"changed": changed if kept else []}, now=now)
        connector_state.put(tx, id_, CONFIGURATION, found, now)


def _flat(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield each setting by its path in the file, with a text of its value."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, SecretStr):
        yield path, repr(value.get_secret_value())
    else:
        yield path, repr(sorted(value) if isinstance(value, frozenset) else value)


@asynccontextmanager
async def keeping(
    settings: Settings,
    store: Store,
    clock: Callable[[], datetime],
    connectors: Mapping[str, BoundConnector] | None = None,
) -> AsyncIterator[None]:
    """Tell of the start, and keep the chains for the length of a ``with`` block.

    :param connectors: By connection: what they say that goes on when somebody's access was ended.
    """
    await store.write(partial(note_start, settings=settings, now=clock()))
    for id_, connector in (connectors or {}).items():
        await store.write(partial(note_unrevoked, connection_id=id_, told=connector.unrevoked, now=clock()))
    async with beside(_keep(settings, store, clock), "keep audit"):
        yield


async def _keep(settings: Settings, store: Store, clock: Callable[[], datetime]) -> None:
    due = clock()
    while True:
        with suppress(StoreError):  # what failed is still due at the next look
            await sign_due(settings, store, clock())
            if clock() >= due:
                await hide_due(settings, store, clock())
                await prune_due(settings, store, clock())
                due = clock() + DAY
        await asyncio.sleep(LOOK_SECONDS)
