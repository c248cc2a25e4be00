"""Each word of the glossary stands once, in order, and names a thing that is there."""

import re
from importlib import import_module

import pytest

from tests.unit.docs.pages import text

ROW = re.compile(r"^\| ([a-z][a-z -]*) \| ([^|]+) \| (?:`([\w.]+?)(?::([\w.]+))?`)? ?\|$", re.MULTILINE)
ROWS = ROW.findall(text("docs/glossary.md"))


def test_every_word_stands_once_and_in_order() -> None:
    """A table of one row a word; a row that is not understood would be left out of every test."""
    words = [word for word, *_ in ROWS]
    assert words == sorted(set(words))
    assert len(words) == len(re.findall(r"^\| (?!word |-)", text("docs/glossary.md"), re.MULTILINE)) > 30


@pytest.mark.parametrize(
    ("module", "name"), [row[2:] for row in ROWS if row[2]], ids=[row[0] for row in ROWS if row[2]]
)
def test_what_a_word_is_called_in_the_code_is_there(module: str, name: str) -> None:
    """The last column names a module, a class, or something of a class."""
    found: object = import_module(module)
    for part in filter(None, name.split(".")):
        found = getattr(found, part)
    assert found.__doc__ or name.isupper()
