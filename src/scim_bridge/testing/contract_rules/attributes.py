"""Reads and writes attributes of a User by SCIM path, for the rule that what is announced is kept."""

from typing import Any

from scim_bridge.models import User
from scim_bridge.paths import value_at, with_values

SAMPLES: dict[str, tuple[Any, Any]] = {
    "userName": ("sample-one@example.com", "sample-two@example.com"),
    "preferredLanguage": ("en-US", "de-DE"),
    "locale": ("en-US", "de-DE"),
    "timezone": ("Europe/Berlin", "America/New_York"),
    "profileUrl": ("https://example.com/one", "https://example.com/two"),
    "emails": ([{"value": "one@example.com", "primary": True}], [{"value": "two@example.com", "primary": True}]),
    "phoneNumbers": ([{"value": "+49 30 1", "type": "work"}], [{"value": "+49 30 2", "type": "work"}]),
}
"""Two values for paths that do not take any text."""

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


def samples_of(path: str) -> tuple[Any, Any]:
    """Return two different values for a path."""
    return SAMPLES.get(path, ("Sample one", "Sample two"))


def value_of(user: User, path: str) -> Any:
    """Return the value that a user has at a path, ``None`` when it is unassigned."""
    return value_at(_document(user), path)


def with_value(user: User, path: str, value: Any) -> User:
    """Return a copy of a user with another value at a path; ``None``: without one."""
    document = with_values(_document(user), [path], {path: value})
    if ENTERPRISE in document and ENTERPRISE not in document["schemas"]:
        document["schemas"].append(ENTERPRISE)
    return User.model_validate(document)


def _document(user: User) -> dict[str, Any]:
    document: dict[str, Any] = user.model_dump(mode="json", by_alias=True, exclude_none=True)
    return document
