"""How answers are shown, the same in every face: the columns of each list, and a value as text, in JSON and in CSV."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any

NOTHING = "-"

PEOPLE = {
    "name": "Name",
    "wanted": "Wanted",
    "there": "There",
    "state": "State",
    "managed": "Managed",
    "groups": "Groups",
    "connection": "Connection",
    "id": "Id",
}
"""The heading of each column of a table by the field of its rows."""

GROUPS = {
    "name": "Name",
    "there": "There",
    "state": "State",
    "managed": "Managed",
    "members": "Members",
    "joining": "Joining",
    "leaving": "Leaving",
    "remote_id": "Remote id",
    "why": "Refused",
    "connection": "Connection",
    "id": "Id",
}
PENDING = {
    "state": "State",
    "lane": "What",
    "name": "Name",
    "kind": "Kind",
    "wanted": "Wanted",
    "why": "Why it waits",
    "since": "Since (UTC)",
    "attempts": "Failed",
    "next_at": "Next try",
    "connection": "Connection",
    "id": "Id",
}
HELD = {
    "name": "Name",
    "kind": "Kind",
    "wanted": "Wanted",
    "why": "Held since it is one of",
    "by": "Asked by",
    "since": "Since (UTC)",
    "next_at": "Released at",
    "connection": "Connection",
    "id": "Id",
}
DRIFT = {
    "drift": "Drift",
    "kind": "Kind",
    "name": "Name",
    "differs": "Differs in",
    "then": "Then",
    "since": "Since (UTC)",
    "remote_id": "Remote id",
    "connection": "Connection",
    "id": "Id",
}
DEPARTURES = {
    "state": "State",
    "name": "Name",
    "asked": "Asked (UTC)",
    "by": "By",
    "accepted": "Let through",
    "confirmed": "Confirmed",
    "minutes": "Minutes",
    "proof": "How it is known",
    "left": "Not ended",
    "connection": "Connection",
    "id": "Id",
}
PLAN = {"group": "Group", "name": "Name", "kind": "Kind", "what": "What", "privileged": "Privileged", "held": "Held"}
REQUESTS = {
    "status": "Status",
    "at": "At (UTC)",
    "action": "Asked to",
    "kind": "Kind",
    "name": "Name",
    "paths": "Changed",
    "filter": "Searched by",
    "reason": "Why not",
    "by": "By",
    "quirks": "Quirks",
    "milliseconds": "ms",
    "connection": "Connection",
    "id": "Request",
}
CALLS = {
    "outcome": "Outcome",
    "at": "At (UTC)",
    "method": "Method",
    "route": "Path",
    "attempt": "Attempt",
    "milliseconds": "ms",
}
TOKENS = {
    "token": "Token",
    "connection": "Connection",
    "name": "Name",
    "created": "Created (UTC)",
    "expires": "Expires",
    "used": "Last used",
    "state": "State",
}
AUDIT = {
    "sequence": "Entry",
    "at": "At (UTC)",
    "event": "Event",
    "what": "What",
    "outcome": "Outcome",
    "error": "Error",
    "by": "By",
    "reason": "Reason",
    "request": "Request",
    "about": "About",
    "connection": "Connection",
}
HISTORY = {
    "at": "At (UTC)",
    "event": "Event",
    "what": "What",
    "outcome": "Outcome",
    "error": "Error",
    "paths": "Changed",
    "by": "By",
    "reason": "Reason",
    "request": "Request",
}


def names(kind: type[Any]) -> list[str]:
    """Return what JSON and CSV have of each row: all its fields."""
    return [field.name for field in fields(kind)]


def lines(rows: Iterable[Sequence[str]]) -> str:
    """Return lines of a CSV file."""
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows(rows)
    return written.getvalue()


def cells(item: Any) -> list[str]:
    """Return a row as a CSV file has it."""
    return [cell(getattr(item, name)) for name in names(type(item))]


def text(value: object) -> str:
    """Return a value as people read it; times are UTC, to the second."""
    if value is None or value in ((), []):
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return ", ".join(map(str, value)) if isinstance(value, Sequence) and not isinstance(value, str) else str(value)


def plain(value: object) -> object:
    """Return what JSON has of a value that it does not know."""
    return value.isoformat() if isinstance(value, datetime) else str(value)


def cell(value: object) -> str:
    """Return a value as a CSV file has it.

    A spreadsheet takes some texts for formulas, and names are anybody's: such a text gets a ``'`` before it.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, int | float):
        return str(value)
    if is_dataclass(value) or isinstance(value, str):
        told = str(value)
    else:
        told = "; ".join(map(str, value)) if isinstance(value, Sequence) else str(value)
    return f"'{told}" if told[:1] in {"=", "+", "-", "@", "\t", "\r"} else told
