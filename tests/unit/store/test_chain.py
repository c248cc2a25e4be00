"""The chain without a database: one canonical form, signatures, and what is told of a file that was tampered with."""

import json
from typing import Any

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from scim_bridge.store import chain

WHOLE = st.integers(-(2**53) + 1, 2**53 - 1)
LEAVES = st.text() | WHOLE | st.booleans() | st.none()
NAMES = st.text(st.characters(max_codepoint=0x7F))
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner), max_leaves=10)

KEY, OTHER = (Ed25519PrivateKey.from_private_bytes(bytes([one]) * 32) for one in (1, 2))


@given(st.dictionaries(NAMES, VALUES))
def test_the_canonical_form_is_that_of_rfc_8785(event: dict[str, Any]) -> None:
    """What a library of this form alone writes, byte for byte."""
    assert chain.canonical(event).encode() == rfc8785.dumps(event)


@given(st.dictionaries(NAMES, VALUES))
def test_entries_of_the_former_form_fit(event: dict[str, Any]) -> None:
    """Those that were written in ASCII; and no other event has their hash."""
    former = json.dumps(event, sort_keys=True, separators=(",", ":"), allow_nan=False)
    hash_ = chain.link(chain.START, former)
    assert chain.fits(chain.START, event, hash_)
    assert not chain.fits(chain.START, event | {"x": "another"}, hash_)


def test_a_chain_written_before_still_fits() -> None:
    """A hash that a former version wrote, with a name that is not ASCII."""
    event = {"at": "2026-11-01T00:00:00.000000+00:00", "event": "guard", "reason": "Zoë geht"}
    written = bytes.fromhex("5a8d2edada872f06527922ac97aa67cb65a5fe3c8d239a5c243558269abefbcd")
    assert chain.fits(chain.START, event, written)
    assert chain.link(chain.START, chain.canonical(event)) != written


def exported(
    count: int = 6, *, key: Ed25519PrivateKey = KEY, signed_at: tuple[int, ...] = (4,)
) -> list[dict[str, Any]]:
    """Return the lines of an export, some of them signed heads."""
    lines: list[dict[str, Any]] = []
    last = chain.AuditHead(0, chain.START)
    for sequence in range(1, count + 1):
        at = f"2026-11-23T12:00:{sequence:02}.000000+00:00"
        event: dict[str, Any] = {"event": "intent", "id": "ada", "at": at}
        if sequence in signed_at:
            event = {"event": "head", "id": "head", "sequence": last.sequence, "hash": last.hash.hex(), "at": at}
            event = chain.signed(key, event)
        lines.append(line(sequence, last.hash, event))
        last = chain.AuditHead(sequence, bytes.fromhex(lines[-1]["hash"]))
    return lines


def line(sequence: int, previous: bytes, event: dict[str, Any]) -> dict[str, Any]:
    """Return a line that fits."""
    hashes = {"previous_hash": previous.hex(), "hash": chain.link(previous, chain.canonical(event)).hex()}
    return {"sequence": sequence, "at": event["at"], **hashes, "event": event}


def rehashed(lines: list[dict[str, Any]], number: int, **changes: Any) -> list[dict[str, Any]]:
    """Change an entry as somebody would who can compute every hash after it, and can sign nothing."""
    previous, made = chain.START, []
    for one in lines:
        event = one["event"] | (changes if one["sequence"] == number else {})
        if event["event"] == "head":
            event = event | {"hash": previous.hex()}
        made.append(line(one["sequence"], previous, event))
        previous = bytes.fromhex(made[-1]["hash"])
    return made


def told(lines: list[dict[str, Any]], key: Ed25519PrivateKey | None = KEY) -> str | None:
    """Return what is wrong."""
    _, fault = chain.follow(lines, None if key is None else key.public_key())
    return None if fault is None else fault.what


def test_a_whole_file_is_believed() -> None:
    """Signed up to where the last head is; without a key signatures are not looked at."""
    walk, fault = chain.follow(exported(), KEY.public_key())
    assert fault is None
    assert walk.signed is not None
    assert (walk.signed.sequence, walk.last.sequence) == (4, 6)
    assert told(exported(), None) is None


def without(number: int) -> list[dict[str, Any]]:
    """Return the lines but for one."""
    return [one for one in exported() if one["sequence"] != number]


def changed(number: int) -> list[dict[str, Any]]:
    """Return the lines with one event changed."""
    return [one | {"event": one["event"] | {"id": "bob"}} if one["sequence"] == number else one for one in exported()]


SIGNED_ELSEWISE = exported(key=OTHER)
FORGED = rehashed(exported(), 2, id="bob")
REPLACED = [*exported()[:1], *rehashed(exported(), 2, id="bob")[1:2], *exported()[2:]]


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        (changed(3), "entry 3 was changed: its hash is another"),
        (without(3), "entry 3 is missing"),
        ([exported()[0], *exported()[3:]], "entries 2 to 3 are missing"),
        ([*exported()[:3], *exported()[1:]], "entry 2 comes after entry 3"),
        (REPLACED, "entry 3 does not go on from entry 2: one of them was replaced"),
        (SIGNED_ELSEWISE, f"entry 4 is signed with another key: {chain.key_id(OTHER.public_key())}"),
        (FORGED, "the signature of entry 4 does not hold"),
        ([{"sequence": 1}], "not a line of an export"),
        ([exported()[0] | {"approved_by": "grace"}], "not a line of an export"),
        ([exported()[0] | {"event": [["actor", "bob"], *exported()[0]["event"].items()]}], "not a line of an export"),
    ],
)
def test_tampering_is_told_where_it_happened(lines: list[dict[str, Any]], what: str) -> None:
    """One entry changed, removed, repeated, replaced; another key; all hashes computed anew; what no hash proves."""
    assert told(lines) == what


def test_a_head_of_another_place_is_told() -> None:
    """A true signature that was moved from another chain."""
    lines = exported(5, signed_at=())
    foreign = exported(4)[3]["event"] | {"sequence": 2}
    moved = [*lines[:4], line(5, bytes.fromhex(lines[3]["hash"]), foreign)]
    assert told(moved) == "the head that entry 5 signs is not that of this trail"


def test_keys_are_read_as_they_are_written() -> None:
    """In PEM, as OpenSSL has it; nothing else is taken."""
    assert chain.read_private(chain.private_pem(KEY).decode()).private_bytes_raw() == KEY.private_bytes_raw()
    assert chain.read_public(chain.public_pem(KEY.public_key()).encode()) == KEY.public_key()
    for nonsense in ("", "secret", chain.public_pem(KEY.public_key())):
        with pytest.raises(ValueError, match="not an Ed25519 private key"):
            chain.read_private(nonsense)
    with pytest.raises(ValueError, match="not an Ed25519 public key"):
        chain.read_public(chain.private_pem(KEY))
