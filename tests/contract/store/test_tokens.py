"""Inbound tokens as they are stored."""

from datetime import timedelta
from functools import partial

from sqlalchemy import select

from scim_bridge.store import tokens
from scim_bridge.store.engine import Store
from scim_bridge.store.tables import token
from tests.contract.store.examples import CONNECTION, NOON

DAY = timedelta(days=1)


async def test_a_token_is_found_verified_and_never_stored_in_clear(store: Store) -> None:
    """The record found by the lookup id verifies the token; no column holds its secret."""
    clear, record = tokens.mint(CONNECTION, now=NOON, label="Okta", scopes=["users:write"], expires_at=NOON + DAY)
    await store.write(lambda tx: tokens.create(tx, record))
    lookup_id = tokens.parse(clear)
    assert lookup_id is not None
    found = await store.read(lambda tx: tokens.find(tx, lookup_id))
    assert found == record
    assert tokens.verify(clear, found, NOON)
    stored = await store.read(lambda tx: tx.execute(select(token)).one())
    secret = clear.rpartition("_")[2]
    assert not any(secret in repr(value) for value in stored)


async def test_several_tokens_are_in_force_until_revoked(store: Store) -> None:
    """Rotation overlaps: revoking one token leaves the other; a second revocation changes nothing."""
    pairs = [tokens.mint(CONNECTION, now=NOON + DAY * number) for number in range(2)]
    _, foreign = tokens.mint("other", now=NOON)
    for record in (*(record for _, record in pairs), foreign):
        await store.write(partial(tokens.create, record=record))
    old = pairs[0][1].lookup_id
    assert await store.write(lambda tx: tokens.revoke(tx, old, NOON)) is True
    assert await store.write(lambda tx: tokens.revoke(tx, old, NOON + DAY)) is False
    await store.write(lambda tx: tokens.touch(tx, pairs[1][1].lookup_id, NOON))
    found = await store.read(lambda tx: tokens.list_tokens(tx, CONNECTION))
    assert [tokens.verify(clear, record, NOON) for (clear, _), record in zip(pairs, found, strict=True)] == [
        False,
        True,
    ]
    assert [record.revoked_at for record in found] == [NOON, None]
    assert [record.used_at for record in found] == [None, NOON]
    assert len(await store.read(tokens.list_tokens)) == 3
    assert await store.read(lambda tx: tokens.find(tx, "nobody00")) is None
