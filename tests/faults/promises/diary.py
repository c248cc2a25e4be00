"""What was seen of several processes, some of which are killed: put together by the machine's clock."""

import asyncio
import itertools
import json
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from scim_bridge_hubspot.emulator import HubSpotEmulator, Person
from scim_bridge_hubspot.emulator.wire import Delivery, Request
from tests.faults.lives import Answer, Send
from tests.faults.promises.portals import account_of
from tests.faults.promises.record import Account, Ask, Record

Line = list[Any]
"""Seconds, what it is, and what that needs: ``asked``, ``answered`` or ``called``."""


class NotingEmulator(HubSpotEmulator):
    """An emulator that notes each call and the accounts that it changed."""

    def __init__(self, **options: Any) -> None:
        self.touched: dict[str, Person] = {}
        self.noted: list[Line] = []
        super().__init__(**options)

    def touch(self, person: Person) -> None:
        """Note that a record changed."""
        super().touch(person)
        self.touched[person.id] = person

    def handle(self, request: Request) -> Delivery:
        """Answer one request and note it."""
        self.touched.clear()
        delivery = super().handle(request)
        call = self.calls[-1]
        held = {key: account_of(self, one) if one.membership else None for key, one in self.touched.items()}
        changed = {key: one and [one.email, one.access, sorted(one.sets), one.admin] for key, one in held.items()}
        self.noted.append([time.monotonic(), "called", call.method, call.path, call.status or 0, call.fault, changed])
        return delivery


class Diary:
    """Notes on a file what a client sends and is answered. A killed process loses nothing of it."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._numbers = itertools.count()

    def note(self, what: str, *values: Any) -> None:
        """Write a line."""
        os.write(self._file, f"{json.dumps([time.monotonic(), what, *values])}\n".encode())

    def watch(self, send: Send) -> Send:
        """Return a way to send requests that notes them."""

        async def noted(method: str, path: str, body: Any) -> Answer:
            number = self._number()
            self.note("asked", number, method, path, body)
            answer = await send(method, path, body)
            told = answer.headers.get("retry-after", "")
            self.note("answered", number, answer.status, told, dict(answer.document))
            return answer

        return noted

    def _number(self) -> str:
        return f"{os.getpid()}.{id(self)}.{next(self._numbers)}"

    @staticmethod
    def read(path: Path) -> list[Line]:
        """Return all lines; the last may be cut off."""
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [json.loads(line) for line in lines if line.endswith("]")]


def shown(groups: Mapping[str, str], *, at: float) -> list[Line]:
    """Return the lines of a list of Groups, by displayName, that were made before anything was noted."""
    resources = [{"id": id_, "displayName": name} for name, id_ in groups.items()]
    number = "/".join(groups.values())
    return [
        [at, "asked", number, "GET", "/Groups", None],
        [at, "answered", number, 200, "", {"Resources": resources}],
    ]


def together(lines: Iterable[Line], initial: Mapping[str, Account], **options: Any) -> Record:
    """Return the record of what several processes noted.

    :param initial: The accounts that were there before all of it.
    :param options: Further fields of the record.
    """
    now = 0.0
    record = Record(lambda: now, **options)
    record.began(initial)
    asks: dict[str, Ask | None] = {}
    for line in sorted(lines, key=lambda line: line[0]):
        now, what, *values = line
        if what == "asked":
            number, method, path, body = values
            asks[number] = record.asked(method, path, b"" if body is None else json.dumps(body).encode())
        elif what == "answered":
            number, status, retry_after, document = values
            if (ask := asks.get(number)) is not None:
                record.answered(ask, status, retry_after, json.dumps(document).encode())
        else:
            *call, changed = values
            record.called(*call)
            accounts: dict[str, Account | None] = {**record.accounts}
            for key, held in changed.items():
                accounts[key] = held and Account(held[0], held[1], frozenset(held[2]), held[3])
            record.shows("bridge", {key: held for key, held in accounts.items() if held is not None})
    return record


async def lists(send: Send) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Return what a client reads: all Users, then all Groups."""
    users, groups = [await _insist(send, path) for path in ("/Users?count=200", "/Groups?count=200")]
    return users, groups


async def _insist(send: Callable[[str, str, Any], Awaitable[Answer]], path: str) -> list[Mapping[str, Any]]:
    while (answer := await send("GET", path, None)).status == 429:
        await asyncio.sleep(0.1)
    return list(answer.document["Resources"])
