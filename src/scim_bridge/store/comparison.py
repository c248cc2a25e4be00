"""How strings are compared: prepared in Python and stored, never by a database's ``lower()``.

RFC 7644 §5 asks for PRECIS preparation of names. This is its effect on comparison: compatibility forms (full width,
ligatures) and case are folded, composed and decomposed characters are one.
"""

from functools import lru_cache
from unicodedata import normalize

from scim2_models.path import AttributeBinding

REMEMBERED = 256
"""The longest text whose key is remembered, in characters."""


def comparison_key(binding: AttributeBinding, value: str) -> str:
    """Return the string that comparisons use in place of a value, for ``ScimPolicy(comparison_key=…)``.

    :param binding: The attribute; of a ``caseExact`` one only the normal form (NFC) is unified.
    :param value: The string; the key of a key is the key itself.
    """
    return exact(value) if binding.case_exact else fold(value)


def exact(value: str) -> str:
    """Return the comparison key of a string whose case counts, such as an externalId."""
    return normalize("NFC", value)


def fold(value: str) -> str:
    """Return the comparison key of a string whose case does not count, such as a userName."""
    if value.isascii():
        return value.lower()
    return _folded_again(value) if len(value) <= REMEMBERED else _folded(value)


@lru_cache(maxsize=4096)
def _folded_again(value: str) -> str:
    return _folded(value)


def _folded(value: str) -> str:
    # Folding may yield characters that normalisation changes again; two rounds reach the fixed point.
    for _ in range(2):
        value = normalize("NFKC", value).casefold()
    return normalize("NFKC", value)
