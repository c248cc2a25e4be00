"""How each connection stands, and what needs an operator."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from scim_bridge.models import Lane
from scim_bridge.provisioning import drift, observing
from scim_bridge.provisioning.drift import SECURITY
from scim_bridge.store import audit, inventory, tokens
from scim_bridge.store.engine import Connection
from scim_bridge.store.rows import ResourceRow, State
from scim_bridge.views.work import WORDS

LATE = timedelta(minutes=15)
"""How long a removal may take before an operator is told to look."""

ENDS_SOON = timedelta(days=14)
"""How long before its end an operator is told of a token."""

LOOKED_AT = 200
"""How many entries of the audit chain are looked at for the last answer of the remote system."""

ANSWERS = frozenset({"done", "present", "absent", "refused"})
"""Outcomes that the remote system has told."""

Mode = Literal["live", "observes", "held"]


@dataclass(frozen=True, slots=True)
class ConnectionStatus:
    """How a connection stands.

    :param mode: *live*; *observes*: an operator has it take writes and send nothing; *held*: it does so by itself,
        since its remote system is not the one it had.
    :param why: Why it is not live.
    :param since: Since when.
    :param pending: How many changes wait; ``removals`` of them end somebody's access, or take a group away.
    :param held: How many changes wait for an operator.
    :param refused: How many changes the remote system refused; they wait for their client.
    :param oldest_removal: Whose removal was asked for first of those that are not confirmed.
    :param oldest_removal_at: When it was last asked for.
    :param client_seen: When a client last came with a token, to a minute.
    :param remote_answered: When the remote system last answered something that is kept: an entry of the audit chain,
        or a comparison.
    :param compared: When everything was last compared.
    :param differ: How many differences that found.
    :param driver: On PostgreSQL, the process that drives it.
    :param driver_seen: When that process last gave a sign of life.
    :param needs: What an operator has to look at, a sentence each, with the command for it.
    """

    connection: str
    mode: Mode
    why: str | None
    since: datetime | None
    people: int
    groups: int
    pending: int
    removals: int
    held: int
    refused: int
    oldest_removal: str | None
    oldest_removal_at: datetime | None
    client_seen: datetime | None
    remote_answered: datetime | None
    compared: datetime | None
    differ: int | None
    driver: str | None
    driver_seen: datetime | None
    needs: tuple[str, ...]


def status(tx: Connection, connection_id: str, *, now: datetime) -> ConnectionStatus:
    """Return how a connection stands. Costs what is not settled, not how many people there are.

    On PostgreSQL people and groups are counted, since it keeps no number of them.
    """
    observes = observing.current(tx, connection_id)
    numbers = inventory.counts(tx, connection_id)
    oldest = inventory.oldest_removal(tx, connection_id, states=(State.PENDING, State.HELD))
    driven = inventory.oldest_removal(tx, connection_id, states=(State.PENDING,))
    records = tokens.list_tokens(tx, connection_id)
    driver = inventory.driver(tx, connection_id)
    compared = drift.last(tx, connection_id)
    answered, failing = _answers(tx, connection_id, None if compared is None else compared.at)
    held = _sum(numbers, State.HELD)
    needs = [
        *([] if observes is None else [observes.detail]),
        *([f"{failing}: scim-bridge pending {connection_id}"] if failing else ()),
        *_of_removals(connection_id, driven, now),
        *([f"held changes wait for you ({held}): scim-bridge held {connection_id}"] if held else ()),
        *_of_comparison(connection_id, compared),
        *_of_tokens(connection_id, records, now),
    ]
    return ConnectionStatus(
        connection_id,
        "live" if observes is None else "held" if observes.reason == "remote" else "observes",
        None if observes is None else observes.detail,
        None if observes is None else observes.since,
        inventory.total(tx, connection_id, "User"),
        inventory.total(tx, connection_id, "Group"),
        _sum(numbers, State.PENDING),
        numbers.get((State.PENDING, Lane.REMOVE), 0),
        held,
        _sum(numbers, State.BLOCKED),
        None if oldest is None else oldest.name,
        None if oldest is None else oldest.modified_at,
        max((one.used_at for one in records if one.used_at), default=None),
        answered,
        None if compared is None else compared.at,
        None if compared is None else compared.number,
        None if driver is None else driver[0].rpartition(":")[0],
        None if driver is None else driver[1],
        tuple(needs),
    )


def _sum(numbers: dict[tuple[State, Lane], int], state: State) -> int:
    return sum(number for (one, _), number in numbers.items() if one is state)


def _of_removals(connection_id: str, oldest: ResourceRow | None, now: datetime) -> list[str]:
    if oldest is None or now - oldest.modified_at < LATE:
        return []
    minutes = int((now - oldest.modified_at).total_seconds() // 60)
    return [
        f"the removal of {oldest.name} is not confirmed after {minutes} minutes: scim-bridge pending {connection_id}"
    ]


def _of_comparison(connection_id: str, compared: drift.LastComparison | None) -> list[str]:
    """Tell what a comparison found and left."""
    left = [] if compared is None else [one.drift for one in compared.drifts if not one.drift.repaired]
    security = sum(one.drift in SECURITY for one in left)
    others = len(left) - security
    return [
        *([f"people have more than they should ({security}): scim-bridge drift {connection_id}"] if security else ()),
        *([f"differences are only reported ({others}): scim-bridge drift {connection_id}"] if others else ()),
    ]


def _of_tokens(connection_id: str, records: Iterable[tokens.TokenRecord], now: datetime) -> list[str]:
    """Tell when no token is left, or the last one is near its end."""
    make = f"scim-bridge token create {connection_id}"
    valid = [one for one in records if one.revoked_at is None and (one.expires_at is None or one.expires_at > now)]
    if not valid:
        return [f"no token is valid, every request is refused: {make}"]
    ends = [one.expires_at for one in valid if one.expires_at is not None]
    if len(ends) < len(valid) or max(ends) - now > ENDS_SOON:
        return []
    return [f"the last valid token ends on {max(ends):%Y-%m-%d}: {make}"]


def _answers(tx: Connection, connection_id: str, compared: datetime | None) -> tuple[datetime | None, str | None]:
    """Return when the remote system last answered, and why it has not done so since, as far as the chain tells.

    :param compared: When everything was last compared: then it did answer.
    """
    failing = None
    for one in audit.latest(tx, connection_id, limit=LOOKED_AT):
        if compared is not None and one.at <= compared:
            break
        if one.event.get("outcome") in ANSWERS:
            return one.at, failing
        failing = failing or WORDS.get(str(one.event.get("error")))
    return compared, failing
