"""What the last comparison of a connection found, by name, and since when."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from scim_bridge.models import Kind
from scim_bridge.provisioning import drift
from scim_bridge.provisioning.drift import SECURITY, DriftClass
from scim_bridge.store import resources
from scim_bridge.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class DriftRow:
    """One difference.

    :param security: Whether somebody has more than they should.
    :param differs: Attribute paths, or names of groups; of a group that is not known, its remote id.
    :param then: *repaired*: handed to the driver, see ``pending`` for what has not come through; *reported*: left.
    :param since: When a comparison first found it.
    """

    connection: str
    drift: DriftClass
    security: bool
    kind: Kind
    name: str | None
    differs: tuple[str, ...]
    then: Literal["repaired", "reported"]
    since: datetime
    id: str
    remote_id: str


@dataclass(frozen=True, slots=True)
class LastRun:
    """The last comparison of a connection that reached its end.

    :param applied: Whether it might repair; else it only told.
    :param compared: How many accounts and groups the remote system listed.
    :param unmanaged: How many were new to the bridge, and are no client's.
    :param number: How many differed; of a great many not all are ``found``.
    """

    connection: str
    at: datetime
    applied: bool
    compared: int
    unmanaged: int
    number: int
    found: tuple[DriftRow, ...]


def last_run(tx: Transaction, connection_id: str) -> LastRun | None:
    """Return the last comparison, or ``None`` when there was none yet."""
    kept = drift.last(tx, connection_id)
    if kept is None:
        return None
    found = tuple(_row(tx, connection_id, one) for one in kept.drifts)
    return LastRun(connection_id, kept.at, kept.applied, kept.compared, kept.unmanaged, kept.number, found)


def _row(tx: Transaction, connection_id: str, kept: drift.KeptDrift) -> DriftRow:
    one = kept.drift
    row = resources.get(tx, connection_id, one.kind, one.resource_id, deleted=True) if one.resource_id else None
    return DriftRow(
        connection_id,
        one.drift,
        one.drift in SECURITY,
        one.kind,
        None if row is None else row.name,
        tuple(_name(tx, connection_id, part) for part in one.subject),
        "repaired" if one.repaired else "reported",
        kept.since,
        one.resource_id,
        one.remote_id,
    )


def _name(tx: Transaction, connection_id: str, part: str) -> str:
    """Return the name of a group by its remote id; an attribute path is its own."""
    row = resources.find_by_remote_id(tx, connection_id, "Group", part)
    return part if row is None else row.name
