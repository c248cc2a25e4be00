"""The comparable values of a resource, as rows that filters and sorting can ask for."""

from unicodedata import normalize


def exact(value: str) -> str:
    """Return the comparison key of a string whose case counts, such as an externalId."""
    return normalize("NFC", value)


def write(tx, connection_id, sequence, resource) -> None:
    """Replace."""
