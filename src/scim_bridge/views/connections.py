"""How each connection stands, and what needs an operator."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from scim_bridge.models import Lane
from scim_bridge.provisioning import drift, observing
from scim_bridge.provisioning.policy import USUAL, Watch
from scim_bridge.store import inventory, tokens
from scim_bridge.store.rows import State
from scim_bridge.store.transaction import Transaction
from scim_bridge.views.needs import answered, needs

Mode = Literal["live", "plans", "observes", "held"]


@dataclass(frozen=True, slots=True)
class ConnectionStatus:
    """How a connection stands.

    :param mode: *live*; *plans*: clients are answered as if what they want were so, and nothing is sent; *observes*: an
        operator has it take writes and send nothing; *held*: it does so by itself,
        since its remote system is not the one it had.
    :param why: Why it is not live.
    :param since: Since when; of one that is live, when an operator last let it go live.
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


def status(tx: Transaction, connection_id: str, watch: Watch = USUAL, *, now: datetime) -> ConnectionStatus:
    """Return how a connection stands. Costs what is not settled, not how many people there are.

    On PostgreSQL people and groups are counted, since it keeps no number of them.
    """
    observes = observing.current(tx, connection_id)
    numbers = inventory.counts(tx, connection_id)
    oldest = inventory.oldest_removal(tx, connection_id, states=(State.PENDING, State.HELD))
    records = tokens.list_tokens(tx, connection_id)
    driver = inventory.driver(tx, connection_id)
    compared = drift.last(tx, connection_id)
    last, _ = answered(tx, connection_id, None if compared is None else compared.at)
    return ConnectionStatus(
        connection_id,
        _mode(observes),
        None if observes is None else observes.detail,
        observing.live_since(tx, connection_id) if observes is None else observes.since,
        inventory.total(tx, connection_id, "User"),
        inventory.total(tx, connection_id, "Group"),
        _sum(numbers, State.PENDING),
        numbers.get((State.PENDING, Lane.REMOVE), 0),
        _sum(numbers, State.HELD),
        _sum(numbers, State.BLOCKED),
        None if oldest is None else oldest.name,
        None if oldest is None else oldest.modified_at,
        max((one.used_at for one in records if one.used_at), default=None),
        last,
        None if compared is None else compared.at,
        None if compared is None else compared.number,
        None if driver is None else driver[0].rpartition(":")[0],
        None if driver is None else driver[1],
        tuple(str(one) for one in needs(tx, connection_id, watch, now=now) if one.asks),
    )


def _mode(observes: observing.Observing | None) -> Mode:
    if observes is None:
        return "live"
    return "held" if observes.reason == "remote" else "plans" if observes.plans else "observes"


def _sum(numbers: dict[tuple[State, Lane], int], state: State) -> int:
    return sum(number for (one, _), number in numbers.items() if one is state)
