"""What needs an operator, condition by condition: behind ``status``, alerts, metrics and ``doctor``."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from scim_bridge.models import Lane
from scim_bridge.provisioning import drift, observing
from scim_bridge.provisioning.drift import SECURITY
from scim_bridge.provisioning.policy import USUAL, Watch
from scim_bridge.store import audit, connector_state, inventory, tokens
from scim_bridge.store.rows import State
from scim_bridge.store.transaction import Transaction
from scim_bridge.views.work import WORDS

LOOKED_AT = 200
"""How many entries of the audit chain are looked at for the last answer of the remote system."""

NAMED = 20
"""How many ids a condition names at most."""

ANSWERS = frozenset({"done", "present", "absent", "refused"})
"""Outcomes that the remote system has told."""

STILL = "bridge:still"
"""Where the process that drives a connection tells that its driver does not turn."""

UNASKED = "bridge:unasked"
"""Where the process that drives a connection tells that the remote system does not say who it is, and why not."""

IN_USE = timedelta(days=2)
"""How long ago a token was used at most of which it is told though another one is valid for longer."""

HEARD = timedelta(minutes=3)
"""How old the last sign of life of a process that drives may be; another one takes over long before."""

Condition = Literal[
    "observes",
    "remote",
    "credentials",
    "failing",
    "removal",
    "held",
    "drift",
    "repaired",
    "reported",
    "token",
    "driver",
    "disk",
]


@dataclass(frozen=True, slots=True)
class Need:
    """Something that an operator has to look at.

    :param connection: Empty of what is no single connection's.
    :param text: What it is, without anybody's name.
    :param command: What to run.
    :param name: Whose it is, where it is about one person.
    :param number: Of how many it holds.
    :param since: Since when, where that is known.
    :param ids: Of whom or what it holds, some of them.
    :param asks: Whether it waits for a decision or a deed, and is not only to be known.
    """

    condition: Condition
    connection: str
    text: str
    command: str
    name: str | None = None
    number: int = 1
    since: datetime | None = None
    ids: tuple[str, ...] = ()
    asks: bool = True

    def __str__(self) -> str:
        """Return the sentence for an operator's own terminal."""
        text = self.text if self.name is None else self.text.replace("of somebody", f"of {self.name}")
        return f"{text}: {self.command}" if self.command else text


def needs(tx: Transaction, connection_id: str, watch: Watch = USUAL, *, now: datetime) -> list[Need]:
    """Return what needs an operator in a connection, the most general first.

    Costs what is not settled, not how many people there are.
    """
    compared = drift.last(tx, connection_id)
    return [
        *_of_mode(tx, connection_id),
        *_of_driver(tx, connection_id, now),
        *_of_answers(tx, connection_id, None if compared is None else compared.at),
        *_of_removals(tx, connection_id, watch, now),
        *_of_held(tx, connection_id),
        *_of_comparison(connection_id, compared),
        *_of_tokens(connection_id, tokens.list_tokens(tx, connection_id), watch, now),
    ]


def of_disk(file: Path | None, watch: Watch) -> list[Need]:
    """Tell whether the disk of an SQLite database is nearly full. That of PostgreSQL its server knows alone."""
    free = free_on_disk(file)
    if free is None or free[0] >= watch.disk_free:
        return []
    text = f"the disk of the database has {100 * free[0]:.0f} % free ({free[1] // 2**20:,} MiB)"
    return [Need("disk", "", text, "free some, or move the database: scim-bridge doctor")]


def free_on_disk(file: Path | None) -> tuple[float, int] | None:
    """Return which share of the disk of an SQLite database is free, and how many bytes; ``None`` of another one."""
    if file is None or not file.parent.is_dir():
        return None
    usage = shutil.disk_usage(file.parent)
    return usage.free / usage.total, usage.free


def answered(tx: Transaction, connection_id: str, compared: datetime | None) -> tuple[datetime | None, str | None]:
    """Return when the remote system last answered, and with which class of error it has not done so since.

    :param compared: When everything was last compared: then it did answer.
    """
    failing = None
    for one in audit.latest(tx, connection_id, limit=LOOKED_AT):
        if compared is not None and one.at <= compared:
            break
        if one.event.get("outcome") in ANSWERS:
            return one.at, failing
        error = str(one.event.get("error"))
        failing = failing or (error if error in WORDS else None)
    return compared, failing


def _of_mode(tx: Transaction, connection_id: str) -> list[Need]:
    observes = observing.current(tx, connection_id)
    if observes is None:
        return []
    condition: Condition = "remote" if observes.reason == "remote" else "observes"
    return [Need(condition, connection_id, observes.detail, "", since=observes.since)]


def _of_driver(tx: Transaction, connection_id: str, now: datetime) -> list[Need]:
    still = connector_state.get(tx, connection_id, STILL)
    driver = inventory.driver(tx, connection_id)
    if still is not None:
        since = datetime.fromisoformat(still["since"])
    elif driver is not None and now - driver[1] > HEARD:
        since = driver[1]
    else:
        return []
    text = "nothing is driven: the process that should do it stands still"
    return [Need("driver", connection_id, text, "restart the bridge, and see its log", since=since)]


def _of_answers(tx: Transaction, connection_id: str, compared: datetime | None) -> list[Need]:
    last, error = answered(tx, connection_id, compared)
    kept = connector_state.get(tx, connection_id, UNASKED)  # so also while nothing waits
    if error is None and kept is not None and (last is None or last < datetime.fromisoformat(kept["since"])):
        error = kept["error"] if kept["error"] in WORDS else "RemoteUnavailableError"
    if error is None:
        return []
    condition: Condition = "credentials" if error == "RemoteCredentialsError" else "failing"
    return [Need(condition, connection_id, WORDS[error], f"scim-bridge pending {connection_id}", since=last)]


def _of_removals(tx: Transaction, connection_id: str, watch: Watch, now: datetime) -> list[Need]:
    oldest = inventory.oldest_removal(tx, connection_id, states=(State.PENDING,))
    if oldest is None or now - oldest.modified_at < watch.removal:
        return []
    observes = observing.current(tx, connection_id)
    if observes is not None and observes.plans:
        return []  # it waits for the operator, who is told so
    minutes = int((now - oldest.modified_at).total_seconds() // 60)
    return [
        Need(
            "removal",
            connection_id,
            f"the removal of somebody is not confirmed after {minutes} minutes",
            f"scim-bridge pending {connection_id}",
            oldest.name,
            inventory.counts(tx, connection_id).get((State.PENDING, Lane.REMOVE), 1),
            oldest.modified_at,
            (oldest.id,),
        )
    ]


def _of_held(tx: Transaction, connection_id: str) -> list[Need]:
    some = inventory.work(tx, connection_id, states=(State.HELD,), after=None, limit=NAMED)
    if not some:
        return []
    counts = inventory.counts(tx, connection_id)
    number = sum(many for (state, _), many in counts.items() if state is State.HELD)
    text, command = f"held changes wait for you ({number})", f"scim-bridge held {connection_id}"
    since = min(row.modified_at for _, row in some)
    return [Need("held", connection_id, text, command, None, number, since, tuple(row.id for _, row in some))]


def _of_comparison(connection_id: str, compared: drift.LastComparison | None) -> list[Need]:
    """Tell what a comparison found, and what it left."""
    kept = () if compared is None else compared.drifts
    security = [one for one in kept if one.drift.drift in SECURITY]
    left = [one for one in security if not one.drift.repaired]
    taken = [one for one in security if one.drift.repaired]
    others = [one for one in kept if one.drift.drift not in SECURITY and not one.drift.repaired]
    told: tuple[tuple[Condition, list[drift.KeptDrift], str], ...] = (
        ("drift", left, "people have more than they should"),
        ("repaired", taken, "people had more than they should, which is taken back"),
        ("reported", others, "differences are only reported"),
    )
    return [
        Need(
            condition,
            connection_id,
            f"{text} ({len(found)})",
            f"scim-bridge drift {connection_id}",
            None,
            len(found),
            min(one.since for one in found),
            tuple(one.drift.resource_id or one.drift.remote_id for one in found[:NAMED]),
            asks=condition != "repaired",
        )
        for condition, found, text in told
        if found
    ]


def _of_tokens(connection_id: str, records: Iterable[tokens.TokenRecord], watch: Watch, now: datetime) -> list[Need]:
    """Tell when no token is left, or the last one is near its end."""
    make = f"scim-bridge token create {connection_id}"
    valid = [one for one in records if one.revoked_at is None and (one.expires_at is None or one.expires_at > now)]
    if not valid:
        return [Need("token", connection_id, "no token is valid, every request is refused", make)]
    ending = [one for one in valid if one.expires_at is not None and one.expires_at - now <= watch.token]
    used = [one for one in ending if one.used_at is not None and now - one.used_at <= IN_USE]
    if len(ending) == len(valid):
        text, ending = "the last valid token ends", [max(ending, key=lambda one: one.expires_at or now)]
    else:
        text, ending = "a token that is in use ends", used
    ends = min((one.expires_at for one in ending if one.expires_at is not None), default=None)
    ids = tuple(one.lookup_id for one in ending[:NAMED])
    return [] if ends is None else [Need("token", connection_id, f"{text} on {ends:%Y-%m-%d}", make, ids=ids)]
