"""Makes pages of values. Every value is escaped; what is a name is kept from reordering the text around it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from scim_bridge.views.faces import text

MARKS = {
    "live": ("good", "●"),
    "settled": ("good", "●"),
    "confirmed": ("good", "●"),
    "valid": ("good", "●"),
    "active": ("good", "●"),
    "repaired": ("good", "●"),
    "ok": ("good", "●"),
    "info": ("past", "○"),
    "warning": ("wait", "◐"),
    "error": ("stop", "✕"),
    "observes": ("wait", "◐"),
    "plans": ("wait", "◐"),
    "pending": ("wait", "◐"),
    "missing": ("wait", "◐"),
    "invited": ("wait", "◐"),
    "attribute": ("wait", "◐"),
    "reported": ("wait", "◐"),
    "held": ("stop", "▲"),
    "refused": ("stop", "✕"),
    "blocked": ("stop", "✕"),
    "expired": ("stop", "✕"),
    "extra_active": ("stop", "▲"),
    "extra_privilege": ("stop", "▲"),
    "revoked": ("past", "○"),
    "inactive": ("past", "○"),
    "absent": ("past", "○"),
    "deleted": ("past", "○"),
    "withdrawn": ("past", "○"),
    "rejected": ("past", "○"),
}
"""The colour and the icon of a word; the word itself always stands beside them."""

CARRIES = frozenset({"mode", "state", "there", "drift", "then"})
"""The fields whose words are marked."""


def shown(value: object) -> str:
    """Return a value as text; of several, each on a line of its own is kept whole."""
    if value is None or value in ((), [], ""):
        return Markup("&#8211;")
    if isinstance(value, datetime):
        return Markup('<time datetime="{}">{}</time>').format(f"{value:%Y-%m-%dT%H:%M:%SZ}", text(value))
    if isinstance(value, list | tuple):
        return Markup("<br>").join(Markup("<bdi>{}</bdi>").format(text(one)) for one in value)
    return Markup("<bdi>{}</bdi>").format(text(value))


def marked(value: object) -> str:
    """Return a word with its colour and icon."""
    colour, icon = MARKS.get(str(value), ("", ""))
    if not colour:
        return escape(text(value))
    return Markup('<span class="mark {}"><span aria-hidden="true">{}</span> {}</span>').format(colour, icon, value)


def cell(item: Any, name: str) -> str:
    """Return a value of a row."""
    value = getattr(item, name)
    return marked(value) if name in CARRIES and value is not None else shown(value)


def ago(value: datetime, now: datetime) -> str:
    """Return how far from now a time is, in words."""
    seconds = int((now - value).total_seconds())
    size = abs(seconds)
    for length, word in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if size >= length:
            number = size // length
            amount = f"{number} {word}{'' if number == 1 else 's'}"
            return f"{amount} ago" if seconds > 0 else f"in {amount}"
    return "just now" if seconds >= 0 else "in a moment"


class Rendering:
    """The templates."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=PackageLoader("scim_bridge.console"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {"shown": shown, "marked": marked}
        self._environment.globals |= {"cell": cell, "ago": ago}

    def page(self, template: str, values: Mapping[str, Any]) -> str:
        """Return a page."""
        return self._environment.get_template(f"{template}.html").render(values)
