"""Looks into the bridge's database from outside, whatever the bridge says: what is desired, what was noted."""

import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONNECTION = "corp"
"""The connection of a simulated bridge."""

_ROWS = """
SELECT u.name_key, u.id, u.active AND NOT u.deleted, u.state, u.ownership, g.name
FROM resource u
LEFT JOIN member m ON m.connection_id = u.connection_id AND m.user_id = u.id AND m.desired
LEFT JOIN resource g ON g.connection_id = m.connection_id AND g.id = m.group_id
WHERE u.connection_id = ? AND u.kind = 'User'
ORDER BY u.sequence
"""


@dataclass(frozen=True, slots=True)
class Desire:
    """What the bridge has durably noted that somebody should have.

    :param ids: SCIM ids of the rows about this person.
    :param groups: Names of the groups the person should be in.
    :param open: Whether something is still to be done.
    :param owned: Whether a client has ever written the account.
    """

    ids: tuple[str, ...]
    active: bool
    groups: frozenset[str]
    open: bool
    owned: bool


NOTHING = Desire((), active=False, groups=frozenset(), open=False, owned=False)
"""What is desired of whom the bridge has never heard."""


class Witness:
    """Reads a database that the bridge has open."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._version = -1
        self._desires: dict[str, Desire] = {}

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def desire(self, name: str) -> Desire:
        """Return what is desired of somebody, by folded userName."""
        version = self._connection.execute("PRAGMA data_version").fetchone()[0]
        if version != self._version:  # somebody committed; until then, the same answers are true
            self._version = version
            self._desires = self._read()
        return self._desires.get(name, NOTHING)

    def _read(self) -> dict[str, Desire]:
        rows_of: dict[str, list[Any]] = {}
        for name, *row in self._connection.execute(_ROWS, (CONNECTION,)):
            rows_of.setdefault(name, []).append(row)
        return {
            name: Desire(
                ids=tuple(dict.fromkeys(id_ for id_, *_ in rows)),
                active=any(active for _, active, *_ in rows),
                groups=frozenset(group for _, active, _, _, group in rows if active and group is not None),
                open=any(state == "pending" for _, _, state, *_ in rows),
                owned=any(ownership != "discovered" for _, _, _, ownership, _ in rows),
            )
            for name, rows in rows_of.items()
        }

    def last_event(self) -> int:
        """Return the sequence of the newest audit event."""
        found = self._connection.execute(
            "SELECT sequence FROM audit_head WHERE connection_id = ?", (CONNECTION,)
        ).fetchone()
        return 0 if found is None else int(found[0])

    def events(self) -> list[tuple[int, dict[str, Any]]]:
        """Return the whole audit trail."""
        rows = self._connection.execute(
            "SELECT sequence, event FROM audit WHERE connection_id = ? ORDER BY sequence", (CONNECTION,)
        )
        return [(sequence, json.loads(event)) for sequence, event in rows]

    def unsettled(self) -> list[tuple[str, str, str, str | None]]:
        """Return kind, name, state and refusal of what is not settled."""
        rows = self._connection.execute(
            "SELECT kind, name, state, refusal FROM resource WHERE connection_id = ? AND state <> 'settled'",
            (CONNECTION,),
        )
        return rows.fetchall()
