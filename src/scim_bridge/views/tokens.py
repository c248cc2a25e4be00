"""The tokens that clients present: without their secrets."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from scim_bridge.store import tokens as kept
from scim_bridge.store.transaction import Transaction
from scim_bridge.views import Page, Position


@dataclass(frozen=True, slots=True)
class TokenRow:
    """One token.

    :param token: Its id, which is no secret.
    :param name: What the operator calls it.
    :param expires: When it ends; ``None``: never.
    :param used: When a client last came with it, to a minute.
    """

    token: str
    connection: str
    name: str
    created: datetime
    expires: datetime | None
    used: datetime | None
    state: Literal["valid", "expired", "revoked"]


def tokens(
    tx: Transaction, connection_id: str | None, after: Position | None = None, *, now: datetime
) -> Page[TokenRow]:
    """Return the tokens of a connection, or of all, the oldest first; they are few, so there is one page."""
    del after
    return Page(tuple(_row(one, now) for one in kept.list_tokens(tx, connection_id)))


def _row(one: kept.TokenRecord, now: datetime) -> TokenRow:
    expired = one.expires_at is not None and one.expires_at <= now
    state: Literal["valid", "expired", "revoked"] = "revoked" if one.revoked_at else "expired" if expired else "valid"
    return TokenRow(one.lookup_id, one.connection_id, one.label, one.created_at, one.expires_at, one.used_at, state)
