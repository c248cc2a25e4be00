"""What a comparison finds, and what is kept of the last one for operators: ids and paths, no values."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from scim_bridge.models import Kind
from scim_bridge.store import connector_state
from scim_bridge.store.transaction import Transaction

KEY = "bridge:compared"

KEPT = 1000
"""How many differences of the last comparison are kept, those of security first."""


class DriftClass(StrEnum):
    """What kind of difference a comparison found."""

    EXTRA_ACTIVE = "extra_active"
    """An account is active that should not be."""
    EXTRA_PRIVILEGE = "extra_privilege"
    """An account holds a group that it should not hold."""
    MISSING = "missing"
    """An account or group that should be there is not, or is inactive, or lacks a group."""
    ATTRIBUTE = "attribute"
    UNMANAGED = "unmanaged"
    """An account or group that no client owns, new to the bridge."""


SECURITY = frozenset({DriftClass.EXTRA_ACTIVE, DriftClass.EXTRA_PRIVILEGE})
"""Drift that gives somebody more than they should have."""


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference.

    :param subject: Attribute paths or remote ids of groups that differ; never their values.
    :param repaired: Whether it was handed to the driver.
    """

    drift: DriftClass
    kind: Kind
    resource_id: str
    remote_id: str
    subject: tuple[str, ...] = ()
    repaired: bool = False

    @property
    def is_missing_account(self) -> bool:
        """Whether the account itself is missing, rather than one of its groups."""
        return self.drift is DriftClass.MISSING and self.kind == "User" and not self.subject


@dataclass(slots=True)
class Comparison:
    """What a comparison came to.

    :param compared: How many accounts and groups the remote system listed.
    :param displaced: How many of them are not taken in yet, because another resource has their name: that one's account
        may have been renamed by hand, which the driver finds out.
    :param complete: Whether it reached the end.
    """

    compared: int = 0
    displaced: int = 0
    drifts: list[Drift] = field(default_factory=list)
    complete: bool = False

    @property
    def security(self) -> list[Drift]:
        """The drift that gives somebody more than they should have."""
        return [one for one in self.drifts if one.drift in SECURITY]

    @property
    def missing_accounts(self) -> list[Drift]:
        """The accounts that should be there, are not, or are inactive, and stay so until somebody asks for them."""
        return [one for one in self.drifts if one.is_missing_account and not one.repaired]


@dataclass(frozen=True, slots=True)
class KeptDrift:
    """A difference of the last comparison.

    :param since: When a comparison first found it; every one since then has found it again.
    """

    drift: Drift
    since: datetime


@dataclass(frozen=True, slots=True)
class LastComparison:
    """The last comparison that reached its end.

    :param at: When it ended.
    :param applied: Whether it might repair; else it only told.
    :param compared: How many accounts and groups the remote system listed.
    :param unmanaged: How many were new to the bridge, and are no client's.
    :param number: How many differences there were besides; at most :data:`KEPT` of them are ``drifts``.
    """

    at: datetime
    applied: bool
    compared: int
    unmanaged: int
    number: int
    drifts: tuple[KeptDrift, ...]


def keep(tx: Transaction, connection_id: str, comparison: Comparison, *, applied: bool, now: datetime) -> None:
    """Keep what a comparison came to, in place of the one before."""
    before = last(tx, connection_id)
    known = {} if before is None else {_same(one.drift): one.since for one in before.drifts}
    drifts = [one for one in comparison.drifts if one.drift is not DriftClass.UNMANAGED]
    kept = sorted(drifts, key=lambda one: one.drift not in SECURITY)[:KEPT]
    document: dict[str, Any] = {
        "at": now.isoformat(),
        "applied": applied,
        "compared": comparison.compared,
        "unmanaged": len(comparison.drifts) - len(drifts),
        "number": len(drifts),
        "drifts": [
            [one.drift, one.kind, one.resource_id, one.remote_id, one.subject, one.repaired, since.isoformat()]
            for one, since in ((one, known.get(_same(one), now)) for one in kept)
        ],
    }
    connector_state.put(tx, connection_id, KEY, document, now)


def last(tx: Transaction, connection_id: str) -> LastComparison | None:
    """Return what is kept of the last comparison, or ``None``."""
    saved = connector_state.get(tx, connection_id, KEY)
    if saved is None:
        return None
    drifts = tuple(
        KeptDrift(
            Drift(DriftClass(drift), kind, resource_id, remote_id, tuple(subject), repaired),
            datetime.fromisoformat(since),
        )
        for drift, kind, resource_id, remote_id, subject, repaired, since in saved["drifts"]
    )
    at = datetime.fromisoformat(saved["at"])
    return LastComparison(at, saved["applied"], saved["compared"], saved["unmanaged"], saved["number"], drifts)


def _same(one: Drift) -> tuple[str, ...]:
    """Return what makes a difference the same one in the next comparison."""
    return (one.drift, one.kind, one.resource_id, one.remote_id)
