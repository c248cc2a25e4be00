"""Keeps what was asked, and the calls that it caused, for the operator: beside the answers, never in their way.

What is noted waits in memory, so much of it at most, and is written in portions once a second. When the store does not
take it, it is lost: counted, told in the log once, and no matter to any request.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from scim_bridge.errors import StoreError
from scim_bridge.models import Kind
from scim_bridge.server.access_log import Entry
from scim_bridge.store import request_log as store_log
from scim_bridge.store.engine import Store
from scim_bridge.store.request_log import PORTION, KeptCall, KeptRequest
from scim_bridge.upstream import Call

MOST = 10_000
"""How many requests, and how many calls, wait to be written at most: some megabytes."""

REFUSED_A_MINUTE = 120
"""How many requests without a valid token are kept in a minute at most: anybody can send them."""

BATCH_SECONDS = 1.0
FORGET_SECONDS = 3600.0
KINDS: dict[str, Kind] = {"Users": "User", "Groups": "Group"}
ACTIONS = {"query": "read", "search_with_body": "search"}
"""What operators call an operation, where the routes have another word."""

Noted = tuple[float, Entry, int, float]
"""When a request was answered, what it asked for, its status, and the seconds that the answer took."""

logger = logging.getLogger("scim_bridge.server")


class RequestLog:
    """Keeps requests for some days.

    :param days: For how long; 0: nothing is kept.
    :param clock: Tells the seconds since 1970.
    :param lost: Called with how many entries were lost.
    """

    def __init__(
        self,
        days: int,
        *,
        clock: Callable[[], float] = time.time,
        lost: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._days = days
        self._clock = clock
        self._count_lost = lost
        self._requests: list[Noted] = []
        self._calls: list[KeptCall] = []
        self._noted = asyncio.Event()
        self._open = False
        self._told = False
        self._minute = (0, 0)
        self._forget_at = 0.0

    def note(self, entry: Entry, status: int, seconds: float) -> None:
        """Note a request that was answered, if it was of a connection."""
        if not self._open or entry.connection is None:
            return
        at = self._clock()
        if status == 401 and self._is_flood(int(at // 60)):
            return
        if len(self._requests) >= MOST:
            self._count_lost(1)
            return
        self._requests.append((at, entry, status, seconds))
        self._noted.set()

    def note_call(self, call: Call) -> None:
        """Note a call to a remote system, if a request caused it."""
        if not self._open or call.request_id is None:
            return
        if len(self._calls) >= MOST:
            self._count_lost(1)
            return
        at = datetime.fromtimestamp(self._clock(), UTC)
        told = (call.method, call.route, call.outcome, call.seconds, call.attempt)
        self._calls.append(KeptCall(at, call.request_id, *told))
        self._noted.set()

    def _is_flood(self, minute: int) -> bool:
        """Count a request without a valid token; tell whether there were too many to keep them."""
        number = self._minute[1] + 1 if self._minute[0] == minute else 1
        self._minute = (minute, number)
        return number > REFUSED_A_MINUTE

    @asynccontextmanager
    async def kept(self, store: Store) -> AsyncIterator[None]:
        """Write what is noted, for the length of a ``with`` block, and forget what is old."""
        writing = asyncio.create_task(self._run(store), name="request log")
        self._open = self._days > 0
        try:
            yield
        finally:
            self._open = False
            writing.cancel()
            with suppress(asyncio.CancelledError):
                await writing
            await self._write(store)

    async def _run(self, store: Store) -> None:
        loop = asyncio.get_running_loop()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(FORGET_SECONDS):
                    await self._noted.wait()
            await asyncio.sleep(BATCH_SECONDS)
            await self._write(store)
            if loop.time() >= self._forget_at:
                self._forget_at = loop.time() + FORGET_SECONDS
                await self._forget(store)

    async def _write(self, store: Store) -> None:
        self._noted.clear()
        while self._requests or self._calls:
            requests, self._requests = self._requests[:PORTION], self._requests[PORTION:]
            calls, self._calls = self._calls[:PORTION], self._calls[PORTION:]
            try:
                reads, others = _parted(requests)
                await store.write_apart(partial(store_log.write, requests=others, calls=calls, reads=reads))
            except Exception as error:  # noqa: BLE001 - whatever it is, the next portion is written
                self._lost(len(requests) + len(calls), error)
            else:
                self._told = False

    async def _forget(self, store: Store) -> None:
        """Delete what is old, a portion at a time; what cannot be deleted now is deleted an hour later."""
        before = datetime.fromtimestamp(self._clock(), UTC) - timedelta(days=self._days)
        more = True
        with suppress(StoreError):
            while more:
                more = await store.write_apart(lambda tx: store_log.forget(tx, before))
                await asyncio.sleep(BATCH_SECONDS / 10)

    def _lost(self, number: int, error: Exception) -> None:
        self._count_lost(number)
        if not self._told:
            self._told = True
            logger.warning(
                "the request log could not be written, %d entries are lost: %s", number, type(error).__name__
            )


def _parted(requests: Sequence[Noted]) -> tuple[list[dict[str, Any]], list[KeptRequest]]:
    """Return the rows of the reads that went well, and the others."""
    reads: dict[tuple[str, str | None], list[Sequence[Any]]] = {}
    others = []
    for at, entry, status, seconds in requests:
        if status != 200 or entry.method != "GET":
            others.append(_kept(at, entry, status, seconds))
            continue
        action, kind = ACTIONS.get(entry.operation, entry.operation), KINDS.get(entry.endpoint or "")
        read = [round(at - seconds, 3), entry.request_id, action, kind, entry.target, round(seconds, 6)]
        if entry.filter or entry.quirks or entry.trace_id:
            read.append(_told(entry))
        reads.setdefault((str(entry.connection), entry.token), []).append(read)
    return [store_log.reads(*key, those) for key, those in reads.items()], others


def _told(entry: Entry) -> dict[str, Any]:
    told = {
        "filter": entry.filter,
        "quirks": sorted(entry.quirks),
        "reason": entry.reason,
        "scimType": entry.scim_type,
        "refused": entry.refused,
        "trace": entry.trace_id,
        "operations": entry.operations,
    }
    return {name: value for name, value in told.items() if value}


def _kept(at: float, entry: Entry, status: int, seconds: float) -> KeptRequest:
    return KeptRequest(
        datetime.fromtimestamp(at - seconds, UTC),
        str(entry.connection),
        entry.request_id,
        entry.method if entry.method.isalpha() and len(entry.method) <= 10 else "unknown",
        ACTIONS.get(entry.operation, entry.operation),
        KINDS.get(entry.endpoint or ""),
        entry.target,
        status,
        seconds,
        entry.token,
        _told(entry),
    )
