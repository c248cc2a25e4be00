"""Notes of two accounts of one person, where one is made in the place of the other (:mod:`.recreating`)."""

import asyncio
from dataclasses import asdict, dataclass
from typing import Any

from scim_bridge.connector import ConnectorState

from .wire import PublicUser

KEY = "recreations"


@dataclass(frozen=True, slots=True)
class Recreation:
    """A note of two accounts of one person.

    :param old: Id of the account that is replaced.
    :param old_address: Its address; whoever is invited under it has its id again.
    :param address: Address of the one that takes its place.
    :param new: Its id, once known.
    :param found: Whether it was there before, by somebody else's hand.
    :param gone: Whether the old one was not there when the new one was to be made: the person comes back.
    """

    old: str
    old_address: str
    address: str
    new: str | None = None
    found: bool = False
    gone: bool = False

    def other(self, remote_id: str) -> str | None:
        """Return the id of the other account; ``None`` when it is not known, or there is none."""
        return self.new if remote_id == self.old else None if self.gone else self.old

    def told(self, remote_id: str) -> str:
        """Say what is under way, for people."""
        other = self.other(remote_id)
        goes = f"the other account of the person ({other}) is removed next" if other else "nothing is left to remove"
        return f"made anew as {self.address}; {goes}"

    def hides(self, account: PublicUser) -> bool:
        """Whether an account is the one of the two that the core does not know (yet, or any more)."""
        if self.new is not None:
            return account.id == self.old and not self.gone
        return account.id != self.old and account.normal_email == self.address


class Recreations:
    """The notes of a connection: those of the moment, in one value, so that each change of them is one write."""

    def __init__(self, state: ConnectorState) -> None:
        self._state = state
        self._lock = asyncio.Lock()

    async def all(self) -> list[Recreation]:
        """Return all notes."""
        kept = await self._state.get(KEY)
        return [] if kept is None else [Recreation(**each) for each in kept["notes"]]

    async def of(self, remote_id: str) -> Recreation | None:
        """Return the note about an account, by either id."""
        return next((each for each in await self.all() if remote_id in {each.old, each.new}), None)

    async def at(self, address: str) -> Recreation | None:
        """Return the note about an address: an account that HubSpot makes there may be about to be removed."""
        return next((each for each in await self.all() if address in {each.old_address, each.address}), None)

    async def hide(self, account: PublicUser) -> bool:
        """Whether an account is the other one of a person, and nobody's to be found."""
        return any(each.hides(account) for each in await self.all())

    async def put(self, note: Recreation) -> None:
        """Write a note; it replaces every other about one of its accounts."""
        await self._change(note, {note.old, note.new} - {None})

    async def drop(self, note: Recreation) -> None:
        """Forget a note."""
        await self._change(None, {note.old})

    async def _change(self, note: Recreation | None, ids: set[Any]) -> None:
        async with self._lock:
            kept = [each for each in await self.all() if not ids & {each.old, each.new}]
            notes: list[dict[str, Any]] = [asdict(each) for each in (*kept, *([note] if note else []))]
            if notes:
                await self._state.put(KEY, {"notes": notes})
            else:
                await self._state.delete(KEY)
