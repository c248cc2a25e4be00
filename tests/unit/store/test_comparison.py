"""Comparison keys."""

import sys
from unicodedata import category

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scim_bridge.store.comparison import fold


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ada@Example.COM", "ada@example.com"),
        ("\u00e9", "e\u0301"),
        ("\uff21\uff22", "ab"),
        ("STRASSE", "stra\u00dfe"),
        ("\ufb01n", "FIN"),
        ("\u212a", "k"),
        ("\u03c3", "\u03c2"),
        ("\u1e9e", "ss"),
    ],
)
def test_strings_that_scim_takes_for_one_have_one_key(one: str, other: str) -> None:
    """Case, composition, width and compatibility forms do not tell names apart (RFC 7644 §5, PRECIS)."""
    assert fold(one) == fold(other)


def test_the_key_of_a_key_is_itself_for_every_character() -> None:
    """scim2-models may fold a stored key again: no character changes a second time."""
    unstable = [
        hex(code)
        for code in range(sys.maxunicode + 1)
        if category(chr(code)) != "Cs" and fold(key := fold(chr(code))) != key
    ]
    assert unstable == []


@settings(max_examples=1000)
@given(st.text(max_size=20))
def test_the_key_of_a_key_is_itself_for_any_text(text: str) -> None:
    """The same of any combination of characters."""
    assert fold(fold(text)) == fold(text)
    assert fold(text.upper()) == fold(text.upper().upper())
