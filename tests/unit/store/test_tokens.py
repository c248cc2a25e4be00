"""Tokens without a database."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from scim_bridge.store import tokens

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_a_token_is_well_formed_and_its_own() -> None:
    """A thousand tokens differ, parse to their lookup ids and verify against their own record only."""
    pairs = [tokens.mint("acme", now=NOON) for _ in range(1000)]
    assert len({clear for clear, _ in pairs}) == 1000
    assert all(tokens.parse(clear) == record.lookup_id for clear, record in pairs)
    (one, first), (other, second) = pairs[:2]
    assert tokens.verify(one, first, NOON)
    assert not tokens.verify(other, first, NOON)
    assert not tokens.verify(one, second, NOON)
    assert not tokens.verify(one, None, NOON)


def test_a_damaged_token_does_not_parse() -> None:
    """The checksum catches every single changed, missing or added character."""
    clear, _ = tokens.mint("acme", now=NOON, environment="test")
    start = clear.index("_", 9) + 1
    damaged = [
        clear[:place] + ("0" if clear[place] != "0" else "1") + clear[place + 1 :] for place in range(start, len(clear))
    ]
    assert not any(tokens.parse(each) for each in (*damaged, clear[:-1], clear + "0", "", clear.upper(), f" {clear}"))


def test_a_token_ends_at_its_expiry_and_when_revoked() -> None:
    """A token verifies up to, and not at, its expiry, and never after it was revoked."""
    clear, record = tokens.mint("acme", now=NOON, expires_at=NOON + timedelta(days=1))
    assert tokens.verify(clear, record, NOON + timedelta(hours=23))
    assert not tokens.verify(clear, record, NOON + timedelta(days=1))
    assert not tokens.verify(clear, replace(record, revoked_at=NOON), NOON)


def test_an_environment_is_a_plain_word() -> None:
    """What would break the shape of a token is refused when it is minted."""
    with pytest.raises(ValueError, match="lower-case"):
        tokens.mint("acme", now=NOON, environment="live_2")
