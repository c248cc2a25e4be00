"""Forward paging as HubSpot does it: opaque cursors, an order that means nothing, and a cap on the page size."""

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, TypeVar
from urllib.parse import urlencode

from .wire import API_BASE, invalid

ItemT = TypeVar("ItemT")

CAP = 100
"""The most items of a page."""

INT32 = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Pager:
    """Cuts pages. An item removed between two pages shifts nothing, since a cursor names the item it follows.

    :param seed: Makes the order; another seed, another order.
    :param over_cap: What a limit above the cap does: ``capped`` or ``400``.
    """

    seed: int
    over_cap: str = "capped"
    cap: int = CAP

    def page(
        self, query: Mapping[str, str], path: str, items: Iterable[tuple[str, ItemT]], default_limit: int = CAP
    ) -> tuple[list[ItemT], dict[str, Any]]:
        """Return the items of the page that a query asks for, and the ``paging`` part of the answer.

        The paging link is absolute, to HubSpot's own host: nobody should follow it with a token.

        :param items: Each with a key that identifies it.
        :raises RefusalError: 400 for a limit or a cursor that is none.
        """
        limit, after = self.limit(query, default_limit), self.position(query.get("after"))
        ranked = ((self.rank(key), item) for key, item in items)
        rest = sorted((entry for entry in ranked if entry[0] > after), key=itemgetter(0))
        chosen = rest[:limit]
        if len(rest) <= limit:
            return [item for _, item in chosen], {}
        cursor = base64.urlsafe_b64encode(chosen[-1][0].encode()).decode().rstrip("=")
        link = f"{API_BASE}{path}?{urlencode({'limit': limit, 'after': cursor})}"
        return [item for _, item in chosen], {"paging": {"next": {"after": cursor, "link": link}}}

    def limit(self, query: Mapping[str, str], default: int) -> int:
        """Return the page size of a query."""
        text = query.get("limit", str(default))
        if not text.isascii() or not text.isdigit() or not 1 <= int(text[:11]) <= INT32:
            raise invalid("limit must be a positive 32-bit integer", "limit")
        if int(text) > self.cap and self.over_cap == "400":
            raise invalid(f"limit must be at most {self.cap}", "limit")
        return min(int(text), self.cap)

    def rank(self, key: str) -> str:
        """Return where an item stands."""
        return hashlib.blake2b(f"{self.seed}/{key}".encode(), digest_size=9).hexdigest()

    def position(self, cursor: str | None) -> str:
        """Return the rank that a cursor names, the empty text when there is none."""
        if not cursor:
            return ""
        try:
            rank = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        except ValueError:
            rank = ""
        if not re.fullmatch("[0-9a-f]{18}", rank):
            raise invalid("after is not a cursor of this list", "after")
        return rank
