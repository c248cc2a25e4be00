"""What HubSpot showed of accounts a moment ago, so that not everything is asked again before something is given.

It is kept in memory and for a moment only, and proves nothing by itself: what it has become wrong for, HubSpot refuses.
A write makes what was seen before it worthless, and so what a read shows that began before the write had ended.
"""

import asyncio
from collections.abc import Iterable
from itertools import count
from typing import TypeVar

from .wire import PublicUser

SEEN_SECONDS = 60.0
"""For how long an account is taken to be as it was seen, or an address to be nobody's."""

MADE_SECONDS = 600.0
"""The same of an account that the bridge has made: to put people into groups follows, and takes its time."""

LISTED_SECONDS = 1200.0
"""For how long whoever no complete list had is taken not to be there when an account is made: HubSpot makes no second
one. Longer than from one comparison to the next."""

MOST = 20_000
"""So many are kept at most; the limit of calls lets fewer be seen."""


T = TypeVar("T")


class Sightings:
    """What was seen of the accounts of one connection. Time is the running loop's."""

    def __init__(self) -> None:
        self._turns = count(1)
        self._seen: dict[str, tuple[float, PublicUser]] = {}
        self._written: dict[str, int] = {}
        self._since = 0  # reads that began before are not kept, of whomever
        self._missed: dict[str, float] = {}
        self._listed: tuple[float, set[int]] = (0.0, set())
        self._listing: tuple[float, set[int]] | None = None
        self._following: str | None = None

    def begin(self) -> int:
        """Return the turn of a read that begins."""
        return next(self._turns)

    def saw(self, user: PublicUser, turn: int | None = None, *, seconds: float = SEEN_SECONDS) -> None:
        """Keep what an answer shows of an account, if it tells all that is needed.

        :param turn: That of the read; ``None``: it is the answer to a write, and new.
        """
        self.has_somebody(user.normal_email)
        if not user.is_complete or (turn is not None and turn < self._written.get(user.id, self._since)):
            return
        self._kept(self._seen)[user.id] = (_now() + seconds, user)

    def of(self, user_id: str) -> PublicUser | None:
        """Return an account as it was seen a moment ago; ``None`` if it was not."""
        until, user = self._seen.get(user_id, (0.0, None))
        return user if _now() < until else None

    def wrote(self, user_id: str) -> None:
        """Note that a write about an account begins, or has ended."""
        self._seen.pop(user_id, None)
        if len(self._written) >= MOST:
            self._since = next(self._turns)
        self._kept(self._written)[user_id] = next(self._turns)

    def missed(self, address: str) -> None:
        """Note that nobody has an address."""
        self._kept(self._missed)[address] = _now() + SEEN_SECONDS

    def listed(
        self, cursor: str | None, addresses: Iterable[str], following: str | None, hidden: Iterable[str] | None
    ) -> None:
        """Note who is on a page of the list of accounts; after its last page all are known.

        :param following: The cursor of the next page.
        :param hidden: Addresses of people whom the list may leave out; ``None``: it is not known whom.
        """
        if cursor is None:
            self._listing = None if hidden is None else (_now() + LISTED_SECONDS, set(map(hash, hidden)))
        elif cursor != self._following:  # of another round
            self._listing = None
        self._following = following
        if self._listing is None:
            return
        self._listing[1].update(map(hash, addresses))
        if following is None:
            self._listed, self._listing = self._listing, None

    def has_somebody(self, address: str) -> None:
        """Note that an address is somebody's, or is about to be: it is looked for before another account is made."""
        self._missed.pop(address, None)
        self._listed[1].add(hash(address))

    def is_nobodys(self, address: str) -> bool:
        """Whether an address was nobody's a moment ago, or when all accounts were listed."""
        until, addresses = self._listed
        return _now() < self._missed.get(address, 0.0) or (_now() < until and hash(address) not in addresses)

    @staticmethod
    def _kept(kept: dict[str, T]) -> dict[str, T]:
        """Make room."""
        if len(kept) >= MOST:
            kept.clear()
        return kept


def _now() -> float:
    return asyncio.get_running_loop().time()
