"""The log of every call, for tests to assert on. It holds what was sent, personal data included."""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Call:
    """One call as it went.

    :param number: Counts from 1.
    :param at: Seconds since the epoch.
    :param template: The route's template; empty when nothing matched.
    :param status: The status that was sent; ``None`` when no answer was.
    :param committed: Whether it was a write that took effect, a repeated removal included.
    :param fault: The kind of the fault that struck it, empty for none.
    :param answer: The beginning of the body that was sent.
    """

    number: int
    at: float
    method: str
    template: str
    path: str
    query: str
    body: str
    status: int | None
    committed: bool
    fault: str = ""
    answer: str = ""


class CallLog:
    """The newest calls, bounded.

    :param size: How many are kept; older ones are dropped, though :attr:`total` counts them.
    """

    def __init__(self, size: int = 10_000) -> None:
        self._calls: deque[Call] = deque(maxlen=size)
        self.total = 0

    def __iter__(self) -> Iterator[Call]:
        return iter(list(self._calls))

    def __len__(self) -> int:
        return len(self._calls)

    def __getitem__(self, index: int) -> Call:
        return self._calls[index]

    def add(self, call: Call) -> None:
        """Keep a call."""
        self._calls.append(call)

    def matching(self, method: str | None = None, path: str = "") -> list[Call]:
        """Return the calls of a method whose path the regular expression is found in."""
        return [call for call in self if method in (None, call.method) and re.search(path, call.path)]

    def clear(self) -> None:
        """Forget all calls; the count goes on."""
        self._calls.clear()
