"""What is kept for connectors and for their HTTP clients beyond the process."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from scim_bridge.store import connector_state, rate_windows
from scim_bridge.store.engine import Store

OF_ALL = ""
"""Stands for no connection: several may use one remote account."""


class KeptState:
    """The small durable store of one connection's connector (:class:`~scim_bridge.connector.ConnectorState`)."""

    def __init__(self, store: Store, connection_id: str, *, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._connection_id = connection_id
        self._clock = clock

    async def get(self, key: str) -> dict[str, Any] | None:
        """Return the value of a key, or ``None``."""
        return await self._store.read(lambda tx: connector_state.get(tx, self._connection_id, key))

    async def put(self, key: str, value: Mapping[str, Any]) -> None:
        """Write a value; it is durable on return."""
        await self._store.write(lambda tx: connector_state.put(tx, self._connection_id, key, value, self._clock()))

    async def delete(self, key: str) -> None:
        """Forget a key."""
        await self._store.write(lambda tx: connector_state.delete(tx, self._connection_id, key))


class KeptCircuit:
    """The circuit of one remote account in the store (``upstream.CircuitKeeper``).

    :param account: Its name, as its HTTP clients have it.
    """

    def __init__(self, store: Store, clock: Callable[[], datetime], account: str) -> None:
        self._store = store
        self._clock = clock
        self._key = f"circuit of {account}"

    async def load(self) -> bool:
        """Return whether it was left open."""
        return await self._store.read(lambda tx: connector_state.get(tx, OF_ALL, self._key)) is not None

    async def save(self, *, is_open: bool) -> None:
        """Remember that it is open, or forget it."""
        if is_open:
            await self._store.write(lambda tx: connector_state.put(tx, OF_ALL, self._key, {}, self._clock()))
        else:
            await self._store.write(lambda tx: connector_state.delete(tx, OF_ALL, self._key))


class KeptWindow:
    """The calls of all processes to one remote account in the store (``upstream.Share``).

    :param process: Names this process.
    :param account: Its name, as its HTTP clients have it.
    """

    def __init__(self, store: Store, clock: Callable[[], datetime], process: str, account: str) -> None:
        self._store = store
        self._clock = clock
        self._process = process
        self._account = account

    async def __call__(self, own: Sequence[float], requests: int, seconds: float) -> Sequence[float]:
        """Record the calls of this process, if all together are within the limit; return those of the others."""
        account, process, now = self._account, self._process, self._clock
        return await self._store.write(
            lambda tx: rate_windows.take(tx, account, process, own, requests=requests, seconds=seconds, now=now())
        )
