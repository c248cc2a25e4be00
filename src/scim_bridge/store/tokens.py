"""Inbound bearer tokens: minted by the operator, shown once, stored as SHA-256.

The clear text is ``scb_<environment>_<lookup id>_<secret><checksum>``: a prefix and a checksum that secret scanners
recognise offline, eight characters to find the record by, and 256 random bits. A fast hash is right for a secret of
full entropy, which is why tokens are never chosen by people.
"""

import hashlib
import hmac
import re
import secrets
import string
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy import insert as sql_insert
from sqlalchemy import update as sql_update

from scim_bridge.store.clock import from_microseconds, to_microseconds
from scim_bridge.store.tables import token
from scim_bridge.store.transaction import Transaction

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
SECRET_BYTES = 32
SECRET_LENGTH = 43
"""Digits of 256 bits in base 62."""
CHECKSUM_LENGTH = 6
LOOKUP_LENGTH = 8
_SHAPE = re.compile(
    rf"scb_[a-z]{{1,16}}_(?P<lookup>[0-9A-Za-z]{{{LOOKUP_LENGTH}}})_[0-9A-Za-z]{{{SECRET_LENGTH}}}(?P<checksum>[0-9A-Za-z]{{{CHECKSUM_LENGTH}}})"
)
_FIND = select(token).where(token.c.lookup_id == bindparam("lookup"))
_LIST = select(token).order_by(token.c.connection_id, token.c.created_at, token.c.lookup_id)


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """What is kept of a token.

    :param lookup_id: Finds the record; part of the clear text, no secret.
    :param digest: SHA-256 of the clear text.
    :param label: What the operator calls it.
    :param scopes: What it may do.
    :param expires_at: When it ends; ``None``: never.
    :param used_at: When it was last used, roughly.
    """

    lookup_id: str
    connection_id: str
    digest: bytes
    created_at: datetime
    label: str = ""
    scopes: tuple[str, ...] = ()
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    used_at: datetime | None = None


def mint(
    connection_id: str,
    *,
    now: datetime,
    environment: str = "live",
    label: str = "",
    scopes: Sequence[str] = (),
    expires_at: datetime | None = None,
) -> tuple[str, TokenRecord]:
    """Return a new token in clear, to be shown once, and the record to keep of it.

    :param environment: Lower-case letters that tell people what it is for.
    """
    lookup_id = "".join(secrets.choice(ALPHABET) for _ in range(LOOKUP_LENGTH))
    secret = _base62(int.from_bytes(secrets.token_bytes(SECRET_BYTES)), SECRET_LENGTH)
    body = f"scb_{environment}_{lookup_id}_{secret}"
    clear = body + _checksum(body)
    if parse(clear) is None:
        raise ValueError(f"{environment!r} is not one to sixteen lower-case letters")
    return clear, TokenRecord(
        lookup_id, connection_id, _digest(clear), now, label=label, scopes=tuple(scopes), expires_at=expires_at
    )


def parse(clear: str) -> str | None:
    """Return the lookup id of a well-formed token, or ``None``; the checksum spares the database a look at garbage."""
    shape = _SHAPE.fullmatch(clear)
    if shape is None or _checksum(clear[:-CHECKSUM_LENGTH]) != shape["checksum"]:
        return None
    return shape["lookup"]


def verify(clear: str, record: TokenRecord | None, now: datetime) -> bool:
    """Tell whether a token is the one of a record and in force. Takes the same time whatever is wrong."""
    matches = hmac.compare_digest(_digest(clear), record.digest if record is not None else bytes(SECRET_BYTES))
    if record is None or record.revoked_at is not None:
        return False
    return matches and (record.expires_at is None or now < record.expires_at)


def matches(clear: str, record: TokenRecord) -> bool:
    """Tell whether a token is the one of a record, in force or not."""
    return hmac.compare_digest(_digest(clear), record.digest)


def create(tx: Transaction, record: TokenRecord) -> None:
    """Keep a token."""
    tx.execute(
        sql_insert(token),
        {
            "lookup_id": record.lookup_id,
            "connection_id": record.connection_id,
            "label": record.label,
            "scopes": " ".join(record.scopes),
            "digest": record.digest,
            "created_at": to_microseconds(record.created_at),
            "expires_at": _stored(record.expires_at),
            "revoked_at": _stored(record.revoked_at),
            "used_at": _stored(record.used_at),
        },
    )


def find(tx: Transaction, lookup_id: str) -> TokenRecord | None:
    """Return the record of a lookup id, also of a token that is no longer in force."""
    found = tx.execute(_FIND, {"lookup": lookup_id}).mappings().first()
    return None if found is None else _record(found)


def list_tokens(tx: Transaction, connection_id: str | None = None) -> list[TokenRecord]:
    """Return all tokens, or those of a connection, oldest first."""
    statement = _LIST if connection_id is None else _LIST.where(token.c.connection_id == connection_id)
    return [_record(found) for found in tx.execute(statement).mappings()]


def revoke(tx: Transaction, lookup_id: str, now: datetime) -> bool:
    """End a token; tell whether it was in force."""
    statement = (
        sql_update(token)
        .where(token.c.lookup_id == lookup_id, token.c.revoked_at.is_(None))
        .values(revoked_at=to_microseconds(now))
    )
    return tx.execute(statement).rowcount == 1


def touch(tx: Transaction, lookup_id: str, now: datetime) -> None:
    """Note that a token was used."""
    tx.execute(sql_update(token).where(token.c.lookup_id == lookup_id).values(used_at=to_microseconds(now)))


def _record(found: Any) -> TokenRecord:
    return TokenRecord(
        lookup_id=found["lookup_id"],
        connection_id=found["connection_id"],
        digest=found["digest"],
        created_at=from_microseconds(found["created_at"]),
        label=found["label"],
        scopes=tuple(found["scopes"].split()),
        expires_at=_read(found["expires_at"]),
        revoked_at=_read(found["revoked_at"]),
        used_at=_read(found["used_at"]),
    )


def _stored(instant: datetime | None) -> int | None:
    return None if instant is None else to_microseconds(instant)


def _read(value: int | None) -> datetime | None:
    return None if value is None else from_microseconds(value)


def _digest(clear: str) -> bytes:
    return hashlib.sha256(clear.encode()).digest()


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))
