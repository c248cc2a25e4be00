"""What is read at each scrape: from the store, the same on every replica, and from this process."""

from collections.abc import Awaitable, Callable, Collection
from datetime import datetime
from pathlib import Path

from scim_bridge.connector import ClientFactory
from scim_bridge.errors import StoreError
from scim_bridge.provisioning.policy import Watch
from scim_bridge.server.metrics import Gauges
from scim_bridge.store.engine import Store
from scim_bridge.store.leadership import Leadership
from scim_bridge.upstream import HttpClients
from scim_bridge.views.gauges import GAUGES, gauges
from scim_bridge.views.needs import free_on_disk

Scrape = list[Callable[[], Awaitable[Gauges]]]
"""What is asked at each scrape."""

NONE: dict[str, str] = {}
OWN_GAUGES = {
    "store_answers": "Whether the database answers: 1 or 0.",
    "store_disk_free": "Which share of the disk of an SQLite database is free.",
    "leader": "Whether this process drives the connection: 1 or 0.",
    "upstream_limit_used": "Which share of a remote account's rate limit is used up, as this process knows.",
    "upstream_circuit_open": "1 while a remote account fails and is only probed.",
}
"""What is a process's own, with its meaning."""


def scraped(
    store: Store,
    connections: Collection[str],
    watch: Watch,
    leading: Leadership,
    clients: ClientFactory,
    *,
    file: Path | None,
    clock: Callable[[], datetime],
) -> Scrape:
    """Return what reads the gauges of a bridge.

    :param connections: The ids of its connections; read at each scrape.
    :param watch: From when on an operator is told of something that lasts.
    :param file: That of an SQLite database.
    :param clients: What opened the clients of remote systems; of another factory nothing is known.
    """
    standing = clients.standing if isinstance(clients, HttpClients) else tuple

    async def of_store() -> Gauges:
        now, told = clock(), ("store_answers", OWN_GAUGES["store_answers"], NONE)
        try:
            found = await store.scan(
                lambda tx: [(id_, list(gauges(tx, id_, watch, now=now))) for id_ in sorted(connections)]
            )
        except StoreError:
            return [(*told, 0)]
        each = ((id_, one) for id_, those in found for one in those)
        return [
            (*told, 1),
            *((name, GAUGES[name], {"connection": id_} | labels, value) for id_, (name, labels, value) in each),
        ]

    async def of_process() -> Gauges:
        leads, free = ("leader", OWN_GAUGES["leader"]), free_on_disk(file)
        disk = [] if free is None else [("store_disk_free", OWN_GAUGES["store_disk_free"], NONE, free[0])]
        return [*disk, *((*leads, {"connection": id_}, id_ in leading.led) for id_ in sorted(connections))]

    async def of_accounts() -> Gauges:
        used, opened = ((name, OWN_GAUGES[name]) for name in ("upstream_limit_used", "upstream_circuit_open"))
        found = [({"account": one.name}, one) for one in standing()]
        return [
            gauge
            for labels, one in found
            for gauge in ((*used, labels, one.limit_used), (*opened, labels, one.circuit_open))
        ]

    return [of_store, of_process, of_accounts]
