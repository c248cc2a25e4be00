"""Who may open the console: one-time links, and the sessions that they open.

Of what a browser holds the SHA-256 alone is kept: 256 random bits need no slow hash.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import bindparam, delete, func, insert, select

from scim_bridge.store.clock import from_microseconds, to_microseconds
from scim_bridge.store.tables import sign_in
from scim_bridge.store.transaction import Transaction

Opens = Literal["link", "session"]

_FIND = select(sign_in.c.person, sign_in.c.role, sign_in.c.expires_at).where(
    sign_in.c.digest == bindparam("digest"),
    sign_in.c.opens == bindparam("opens"),
    sign_in.c.expires_at > bindparam("now"),
)
_KEPT = (
    select(sign_in.c.digest)
    .where(sign_in.c.opens == bindparam("opens"))
    .order_by(sign_in.c.expires_at.desc(), sign_in.c.digest)
)


@dataclass(frozen=True, slots=True)
class SignIn:
    """A link or a session.

    :param person: What the operator is called, in the audit chain too.
    :param role: What they may do.
    """

    person: str
    role: str
    expires_at: datetime


def keep(tx: Transaction, opens: Opens, digest: bytes, entry: SignIn, *, now: datetime, most: int) -> None:
    """Keep a link or a session, and forget those that are over.

    :param digest: The SHA-256 of what the browser holds.
    :param most: How many of the kind are kept; those that end first are forgotten.
    """
    tx.execute(delete(sign_in).where(sign_in.c.expires_at <= to_microseconds(now)))
    values = {"digest": digest, "opens": opens, "person": entry.person, "role": entry.role}
    tx.execute(insert(sign_in), values | {"expires_at": to_microseconds(entry.expires_at)})
    number = tx.execute(select(func.count()).select_from(sign_in).where(sign_in.c.opens == opens)).scalar_one()
    if number > most:
        for beyond in tx.execute(_KEPT.offset(most), {"opens": opens}).scalars().all():
            forget(tx, beyond)


def find(tx: Transaction, opens: Opens, digest: bytes, *, now: datetime) -> SignIn | None:
    """Return a link or a session that is not over."""
    found = tx.execute(_FIND, {"opens": opens, "digest": digest, "now": to_microseconds(now)}).first()
    return None if found is None else SignIn(found[0], found[1], from_microseconds(found[2]))


def forget_all(tx: Transaction) -> None:
    """Forget every link and every session."""
    tx.execute(delete(sign_in))


def forget(tx: Transaction, digest: bytes) -> bool:
    """Forget a link or a session; tell whether this transaction did it."""
    return tx.execute(delete(sign_in).where(sign_in.c.digest == digest)).rowcount == 1
