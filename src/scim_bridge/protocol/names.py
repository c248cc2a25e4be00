"""What a userName and a displayName have to be: there, and seen as what they are."""

import re
from typing import Any

from scim2_models import Group, InvalidValueException

_CONTROLS = r"\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff"
_UNSEEN: dict[str, re.Pattern[str]] = {
    "displayName": re.compile(f"[{_CONTROLS}]"),
    "userName": re.compile(f"[{_CONTROLS}\u00ad\u034f\u180e\u200b-\u200d\u2060-\u2065\U000e0000-\U000e0fff]"),
}
"""Control and direction characters, and of a userName whatever is not seen: with them, a name reads as another one
(RFC 8264 §9.11, §9.13). Names of groups may join: emoji and some scripts need it."""


def pattern(attribute: str) -> str:
    """Return what a userName or displayName must match, as ECMA 262 has regular expressions."""
    unseen = _UNSEEN[attribute].pattern[1:-1]
    return rf"^[^{unseen}]*[^{unseen}\s][^{unseen}]*$"


def require_name(resource: Any) -> None:
    """Refuse an empty userName or displayName (RFC 7643 §4.1.1, §4.2), and take blanks around one off.

    Remote systems do: with them, two resources would stand for one account. Filters are read so, too.

    :raises InvalidValueException: When it is empty.
    """
    attribute, field = _naming(resource)
    name = getattr(resource, field)
    if not isinstance(name, str) or not name.strip():
        raise InvalidValueException(detail=f"{attribute} must not be empty")
    if name != name.strip():
        setattr(resource, field, name.strip())


def require_visible(resource: Any, current: Any = None) -> None:
    """Refuse a name with characters that are not seen.

    :param current: The resource before the change: who has such a name already can still be deactivated.
    :raises InvalidValueException: When the new name holds one.
    """
    attribute, field = _naming(resource)
    name = getattr(resource, field)
    if _UNSEEN[attribute].search(name) and name != getattr(current, field, None):
        raise InvalidValueException(detail=f"{attribute} must not hold control, direction or invisible characters")


def _naming(resource: Any) -> tuple[str, str]:
    return ("displayName", "display_name") if isinstance(resource, Group) else ("userName", "user_name")
