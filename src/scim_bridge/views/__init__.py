"""The queries behind what operators are shown: one answer, and several faces (command line, JSON, CSV).

Every question is one function that takes a read transaction first and returns values of frozen dataclasses: no face
asks the store by itself. Nothing is asked of a remote system here, and nothing is changed. What may be long comes in
pages.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

Position = Sequence[str | int]
"""Where a page ends; JSON-able, and of no meaning but to the query that gave it."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of an answer.

    :param next: Where the next page begins; ``None``: this is the last one.
    """

    items: tuple[T, ...]
    next: Position | None = None
