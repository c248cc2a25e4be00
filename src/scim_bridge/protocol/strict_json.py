"""A JSON decoder that refuses whatever two parsers could read differently (RFC 8259, RFC 7493).

Python's own decoder keeps the last of two equal names, accepts ``NaN`` and lone surrogates, and dies of deep nesting;
SCIM attribute names are compared without regard to case (RFC 7643 §2.1), so ``userName`` beside ``USERNAME`` is a
duplicate too.
"""

import json
import math
from functools import cache
from itertools import chain
from re import Pattern
from re import compile as compiled
from typing import Any, NoReturn
from unicodedata import combining, normalize

from scim2_models import InvalidSyntaxException, PayloadTooLargeException

ASCII_LENGTH, TEXT_LENGTH = 262_144, 16_384
"""The most characters of a text, and of one beyond ASCII, which is normalised and folded for comparisons."""

MARKS = 30
"""The most combining marks in a row (UAX #15, Stream-Safe Text Format): to put them in order takes time that grows with
the square of their number. No language has a third of it."""

MAX_INTEGER = 2**63 - 1
"""Integers beyond 64 bits are refused: no store and few clients hold them."""


def decode(body: bytes, *, depth: int = 32, nodes: int = 20_000) -> Any:
    """Return the value of a JSON text.

    :param body: The text in UTF-8, without a byte order mark.
    :param depth: How deep objects and arrays may nest.
    :param nodes: How many values (objects, arrays and scalars) it may hold.
    :raises InvalidSyntaxException: When it is no JSON, or ambiguous.
    :raises PayloadTooLargeException: When it holds too many values.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidSyntaxException(detail="The request body is not valid UTF-8") from error
    if text.startswith("\ufeff"):
        refuse("it begins with a byte order mark")
    try:
        value = _DECODER.decode(text)
    except RecursionError:
        refuse(f"it nests deeper than {depth} levels")
    except ValueError as error:
        raise InvalidSyntaxException(detail=f"The request body is not valid JSON: {error}") from error
    _measure(value, depth, nodes)
    return value


def refuse(reason: str) -> NoReturn:
    """Raise the error of a text that is JSON by its grammar only."""
    raise InvalidSyntaxException(detail=f"The request body is refused: {reason}")


def _measure(root: Any, depth: int, nodes: int) -> None:
    """Walk a decoded value without recursion, and refuse what is too deep, too large or not text."""
    count = 0
    level = [root]
    for _ in range(depth + 1):
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                for name in value:
                    _check_text(name)
                below.extend(value.values())
            elif isinstance(value, list):
                below.extend(value)
            elif isinstance(value, str):
                _check_text(value)
        count += len(level)
        if count > nodes:
            raise PayloadTooLargeException(detail=f"The request body holds more than {nodes} values")
        if not below:
            return
        level = below
    refuse(f"it nests deeper than {depth} levels")


def _check_text(text: str) -> None:
    is_ascii = text.isascii()
    if len(text) > (ASCII_LENGTH if is_ascii else TEXT_LENGTH):
        refuse(f"a string is longer than {TEXT_LENGTH} characters ({ASCII_LENGTH} where it is ASCII)")
    if is_ascii:
        if "\x00" in text:
            refuse("a string holds the character NUL")
        return
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        refuse("a string holds a lone surrogate")
    if "\x00" in text:
        refuse("a string holds the character NUL")
    if len(text) > MARKS and _too_many_marks().search(text):
        refuse(f"a string holds more than {MARKS} combining marks in a row")


@cache
def _too_many_marks() -> Pattern[str]:
    """Return what finds a run of marks that is too long, also of those that are marks when they are decomposed."""
    planes = chain(range(0x300, 0x20000), range(0xE0000, 0xE0200))
    marks = [chr(code) for code in planes if _begins_with_mark(chr(code))]
    return compiled(f"[{''.join(marks)}]{{{MARKS + 1}}}")


def _begins_with_mark(character: str) -> bool:
    return combining(character) > 0 or combining((normalize("NFKD", character) or " ")[0]) > 0


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object whose names differ by more than their case."""
    value = dict(pairs)
    if len(value) != len(pairs) or len({name.casefold() for name in value}) != len(pairs):
        refuse("an object holds the same name twice")
    return value


def _integer(digits: str) -> int:
    if len(digits) > 20 or abs(int(digits)) > MAX_INTEGER:
        refuse("a number does not fit 64 bits")
    return int(digits)


def _number(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        refuse("a number is not finite")
    return value


def _constant(name: str) -> NoReturn:
    refuse(f"{name} is not JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_number, parse_constant=_constant, strict=True
)
