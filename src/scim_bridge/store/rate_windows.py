"""What all processes together sent to a remote account lately, so that they keep its rate limit together.

A process that takes over, or starts again after it was killed, finds what was sent before it; two replicas that call
one account leave room for each other. What a process may still send without asking again is recorded as sent at the
last moment at which it may be. Times are the database server's on PostgreSQL, this machine's on SQLite.
"""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, func, select

from scim_bridge.store.clock import to_microseconds
from scim_bridge.store.dialects import upsert
from scim_bridge.store.prepared import Prepared
from scim_bridge.store.tables import rate_window
from scim_bridge.store.transaction import Transaction

_GET = Prepared(select(rate_window.c.calls).where(rate_window.c.account == bindparam("account")).with_for_update())
_SERVER_NOW = select(func.clock_timestamp())


def take(
    tx: Transaction,
    account: str,
    process: str,
    own: Sequence[float],
    *,
    requests: int,
    seconds: float,
    now: datetime,
) -> list[float]:
    """Record what a process sent, if together with all others it is within the limit; return what the others sent.

    :param process: Names the process.
    :param own: The age in seconds of every call of this process within the window, the one about to be sent included;
        negative for those to come that it keeps a place for.
    :param requests: How many calls the window may hold.
    :param seconds: The length of the window.
    :param now: The time on SQLite.
    :returns: The ages in seconds of the calls of the others; with ``own`` more than ``requests``: nothing was recorded.
    """
    key = {"account": hashlib.sha256(account.encode()).hexdigest()}
    if tx.dialect.name == "postgresql":
        upsert(tx, rate_window).write(tx, key | {"calls": "{}"})
    found: dict[str, list[int]] = json.loads((_GET.first(tx, key) or ("{}",))[0])
    at = to_microseconds(now if tx.dialect.name == "sqlite" else tx.execute(_SERVER_NOW).scalar_one())
    length = int(seconds * 1_000_000)
    # What was sent "a window from now" was written by a clock that has been put back since.
    others = {
        name: [sent for sent in times if abs(at - sent) < length] for name, times in found.items() if name != process
    }
    ages = [(at - sent) / 1_000_000 for times in others.values() for sent in times]
    if own and len(own) + len(ages) <= requests:
        calls = {name: times for name, times in others.items() if times}
        calls[process] = [at - int(age * 1_000_000) for age in own]
        upsert(tx, rate_window, ("calls",)).write(tx, key | {"calls": json.dumps(calls)})
    return ages
