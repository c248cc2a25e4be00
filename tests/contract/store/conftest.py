"""One store, opened on SQLite and on PostgreSQL: every test of this directory runs on both."""

from collections.abc import AsyncIterator

import pytest

from scim_bridge.store.engine import Store


@pytest.fixture
async def store(any_store_url: str) -> AsyncIterator[Store]:
    """A fresh store."""
    opened = await Store.open(any_store_url)
    yield opened
    await opened.close()
