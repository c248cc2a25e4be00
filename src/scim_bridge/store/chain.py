"""What makes the audit trail a chain: canonical form, hashes, signed heads; without a database.

``hash = SHA-256(previous hash ‖ canonical JSON of the event)``. A signed head is an entry that repeats sequence and
hash of the entry before it, with a signature of all that it has. A pruned trail has an entry that tells what the last
entry that is gone was.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

START = bytes(32)
"""The hash before the first entry."""

YOUNG_DAYS = 30
"""For so many days every entry is kept."""

MEMBERS = frozenset({"sequence", "at", "previous_hash", "hash", "event"})
"""What a line of an export has, and no more: whatever else stood there, nothing would prove it."""

HEAD, PRUNE = "head", "prune"
"""The events of a signed head, and of a trail whose beginning was pruned."""


@dataclass(frozen=True, slots=True)
class AuditHead:
    """The end of a trail, or of a part of it: keep it elsewhere to notice a cut-off tail."""

    sequence: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Fault:
    """The first thing that is wrong with a trail.

    :param sequence: Of the first entry that cannot be believed.
    :param what: What is wrong, in words.
    :param line: Of an export: the number of its line.
    """

    sequence: int
    what: str
    line: int | None = None


def canonical(event: Mapping[str, Any]) -> str:
    """Return the one form that an entry is hashed in (RFC 8785).

    Of what entries have: texts, whole numbers of at most 53 bits, truth values, lists and objects, whose names are
    ASCII. The C encoder writes those as the RFC says, in a third of the time of the library that a test compares it to.
    """
    return json.dumps(event, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def link(previous: bytes, text: str) -> bytes:
    """Return the hash of an entry."""
    return hashlib.sha256(previous + text.encode()).digest()


def fits(previous: bytes, event: Mapping[str, Any], hash_: bytes) -> bool:
    """Tell whether an entry has this hash.

    Entries were once written in ASCII, with escapes. Both forms are JSON of one value, so that no text is the form of
    two entries: whichever one fits proves the same.
    """
    try:
        return hash_ == link(previous, canonical(event)) or hash_ == link(previous, _former(event))
    except ValueError:  # half of a surrogate pair, or no number: nothing that was ever written
        return hash_ == link(previous, _former(event))


def _former(event: Mapping[str, Any]) -> str:
    return json.dumps(event, sort_keys=True, separators=(",", ":"))


# -- Signatures --------------------------------------------------------------------------------------------------------


def read_private(pem: str) -> Ed25519PrivateKey:
    """Read a private key. :raises ValueError: When it is no Ed25519 key in PEM, or is locked with a password."""
    try:
        key = serialization.load_pem_private_key(pem.encode(), password=None)
    except (TypeError, ValueError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("not an Ed25519 private key in PEM without a password")  # noqa: TRY004 - of what was read
    return key


def read_public(pem: bytes) -> Ed25519PublicKey:
    """Read a public key. :raises ValueError: When it is no Ed25519 key in PEM."""
    try:
        key = serialization.load_pem_public_key(pem)
    except ValueError:
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("not an Ed25519 public key in PEM")  # noqa: TRY004 - of what was read
    return key


def private_pem(key: Ed25519PrivateKey) -> bytes:
    """Return a private key as PEM (PKCS #8), as OpenSSL reads it."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_pem(key: Ed25519PublicKey) -> str:
    """Return a public key as PEM."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def key_id(key: Ed25519PublicKey) -> str:
    """Return what a signed head calls its key: the beginning of the SHA-256 of its 32 bytes."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def signed(key: Ed25519PrivateKey, event: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event with the signature of all that it has."""
    told = dict(event) | {"key": key_id(key.public_key())}
    return told | {"signature": base64.b64encode(key.sign(canonical(told).encode())).decode()}


def _is_signed_by(key: Ed25519PublicKey, event: Mapping[str, Any]) -> bool:
    told = {name: value for name, value in event.items() if name != "signature"}
    try:
        key.verify(base64.b64decode(event["signature"], validate=True), canonical(told).encode())
    except (InvalidSignature, KeyError, TypeError, ValueError):
        return False
    return True


# -- Following ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Entry:
    """What an exported entry has."""

    sequence: int
    at: datetime
    previous_hash: bytes
    hash: bytes
    event: Mapping[str, Any]

    @classmethod
    def read(cls, line: Mapping[str, Any]) -> "Entry":
        """Read a line of an export. :raises ValueError: When it is none, or has something that no hash proves."""
        try:
            hashes = bytes.fromhex(line["previous_hash"]), bytes.fromhex(line["hash"])
            sequence, at, event = line["sequence"], datetime.fromisoformat(line["at"]), line["event"]
        except (KeyError, TypeError, ValueError):
            raise ValueError("not a line of an export") from None
        if type(sequence) is not int or sequence < 1 or not isinstance(event, Mapping) or not line.keys() <= MEMBERS:
            raise ValueError("not a line of an export")
        return cls(sequence, at, *hashes, event)


class Walk:
    """Follows a trail, entry by entry.

    :param key: What its heads have to be signed with; ``None``: signatures are not looked at.
    """

    def __init__(self, key: Ed25519PublicKey | None = None) -> None:
        self._key = key
        self.first: AuditHead | None = None
        """The entry before the first one that was seen."""
        self.last = AuditHead(0, START)
        self.signed: Entry | None = None
        """The last signed head."""
        self.pruned: dict[AuditHead, Entry] = {}
        """The entries that tell that the beginning was pruned, by the last entry that is gone."""

    def follow(self, entry: Entry) -> Fault | None:
        """Take the next entry; return what is wrong with it."""
        if self.first is None:
            self.first = self.last = AuditHead(entry.sequence - 1, entry.previous_hash)
        what = self._wrong(entry)
        if what is not None:
            return Fault(min(entry.sequence, self.last.sequence + 1), what)
        self.last = AuditHead(entry.sequence, entry.hash)
        event = entry.event
        if event.get("event") == HEAD:
            self.signed = entry
        elif event.get("event") == PRUNE:
            self.pruned[AuditHead(event.get("through", 0), _bytes(event.get("hash")))] = entry
        return None

    def beginning(self) -> Fault | None:
        """Return what is wrong with where a whole trail begins, once all of it was followed."""
        if self.first is None or self.first == AuditHead(0, START) or self.first in self.pruned:
            return None
        return Fault(
            1, f"the entries up to {self.first.sequence} are missing, and no entry tells that they were pruned"
        )

    def _wrong(self, entry: Entry) -> str | None:
        sequence, expected = entry.sequence, self.last.sequence + 1
        what = None
        if sequence > expected:
            what = f"entry {expected} is missing" if sequence == expected + 1 else None
            what = what or f"entries {expected} to {sequence - 1} are missing"
        elif sequence < expected:
            what = f"entry {sequence} comes after entry {expected - 1}"
        elif sequence == 1 and entry.previous_hash != START:
            what = "entry 1 is not the first of its trail"
        elif entry.previous_hash != self.last.hash:
            what = f"entry {sequence} does not go on from entry {expected - 1}: one of them was replaced"
        elif entry.event.get("at") != entry.at.isoformat(timespec="microseconds"):
            what = f"the time of entry {sequence} was changed"
        elif not fits(self.last.hash, entry.event, entry.hash):
            what = f"entry {sequence} was changed: its hash is another"
        elif entry.event.get("event") == HEAD:
            what = self._falsely_signed(entry)
        return what

    def _falsely_signed(self, entry: Entry) -> str | None:
        event = entry.event
        if (event.get("sequence"), event.get("hash")) != (self.last.sequence, self.last.hash.hex()):
            return f"the head that entry {entry.sequence} signs is not that of this trail"
        if self._key is None or _is_signed_by(self._key, event):
            return None
        if event.get("key") != key_id(self._key):
            return f"entry {entry.sequence} is signed with another key: {event.get('key')}"
        return f"the signature of entry {entry.sequence} does not hold"


def follow(lines: Iterable[Mapping[str, Any]], key: Ed25519PublicKey | None = None) -> tuple[Walk, Fault | None]:
    """Follow exported entries, without the database, up to the first one that is wrong.

    :param lines: What each line of the export has.
    :param key: What its heads have to be signed with.
    """
    walk = Walk(key)
    for number, line in enumerate(lines, 1):
        try:
            fault = walk.follow(Entry.read({"previous_hash": walk.last.hash.hex()} | dict(line)))
        except (ValueError, RecursionError) as error:
            fault = Fault(walk.last.sequence + 1, str(error))
        if fault is not None:
            return walk, replace(fault, line=number)
    return walk, None


def _bytes(text: object) -> bytes:
    try:
        return bytes.fromhex(text) if isinstance(text, str) else b""
    except ValueError:
        return b""
