"""What lasts, and what each channel was told of it."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from scim_bridge.store import connector_state
from scim_bridge.store.kept import OF_ALL
from scim_bridge.store.transaction import Transaction
from scim_bridge.views.needs import Need

KEY = "bridge:alerts"

OVER = timedelta(minutes=2)
"""For how long something must be gone before it is told as over: what comes and goes is told once."""

UNTOLD = frozenset({"observes", "failing", "reported"})
"""Conditions that are no alerts: an operator's own doing, what the driver mends, what a setting only reports."""

State = Literal["raised", "resolved"]


@dataclass(frozen=True, slots=True)
class Told:
    """What a channel was last told of an alert."""

    state: State
    at: datetime
    number: int


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that lasts, or is over and not told to everybody.

    :param since: Since when, or when it was first seen.
    :param gone: When it was first seen to be gone.
    :param told: What each channel was told, by its name.
    """

    condition: str
    connection: str
    text: str
    command: str
    name: str | None
    number: int
    ids: tuple[str, ...]
    since: datetime
    gone: datetime | None = None
    told: Mapping[str, Told] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """What makes it the same alert: one is told once."""
        return f"{self.condition} {self.connection}".strip()

    def state(self, now: datetime) -> State:
        """Return what is to be told of it."""
        return "resolved" if self.gone is not None and now - self.gone >= OVER else "raised"

    def due(self, channel: str, now: datetime, remind: timedelta) -> bool:
        """Tell whether a channel is to be told: of a change, of much more of it, or again as it lasts."""
        told, state = self.told.get(channel), self.state(now)
        if told is None or told.state != state:
            return True
        lasts = state == "raised" and self.gone is None
        return lasts and (self.number >= 2 * told.number or (bool(remind) and now - told.at >= remind))

    def tell(self, channel: str, sent: "Alert", now: datetime) -> "Alert":
        """Return it as one of which a channel was told, as it was when that was sent."""
        return replace(self, told={**self.told, channel: Told(sent.state(now), now, sent.number)})


Ledger = Mapping[str, Alert]


def settle(ledger: Ledger, found: Iterable[Need], channels: Collection[str], now: datetime) -> dict[str, Alert]:
    """Return the ledger after a look at what needs somebody.

    :param channels: Whom everything is told; what they all know to be over is forgotten.
    """
    lasting = {alert.key: alert for alert in (_alert(need, now) for need in found if need.condition not in UNTOLD)}
    settled = {
        key: replace(alert, since=min(ledger[key].since, alert.since), told=ledger[key].told)
        if key in ledger
        else alert
        for key, alert in lasting.items()
    }
    for key, alert in ledger.items():
        if key in lasting:
            continue
        gone = replace(alert, gone=alert.gone or now)
        known = all(channel in gone.told and gone.told[channel].state == "resolved" for channel in channels)
        if gone.state(now) == "raised" or not known:
            settled[key] = gone
    return settled


def _alert(need: Need, now: datetime) -> Alert:
    since = need.since or now
    return Alert(
        need.condition, need.connection, need.text, need.command, need.name, need.number, need.ids, min(since, now)
    )


def load(tx: Transaction) -> dict[str, Alert]:
    """Return what is kept."""
    kept = connector_state.get(tx, OF_ALL, KEY) or {}
    return {key: _read(document) for key, document in kept.items()}


def save(tx: Transaction, ledger: Ledger, now: datetime) -> None:
    """Keep a ledger in place of the one before."""
    connector_state.put(tx, OF_ALL, KEY, {key: _written(alert) for key, alert in ledger.items()}, now)


def _written(alert: Alert) -> dict[str, Any]:
    document = {**asdict(alert), "since": alert.since.isoformat(), "gone": alert.gone and alert.gone.isoformat()}
    document["told"] = {name: [one.state, one.at.isoformat(), one.number] for name, one in alert.told.items()}
    return document


def _read(document: Mapping[str, Any]) -> Alert:
    told = {
        name: Told(state, datetime.fromisoformat(at), number) for name, (state, at, number) in document["told"].items()
    }
    gone = document["gone"]
    return Alert(
        **{
            **document,
            "ids": tuple(document["ids"]),
            "since": datetime.fromisoformat(document["since"]),
            "gone": None if gone is None else datetime.fromisoformat(gone),
            "told": told,
        }
    )
