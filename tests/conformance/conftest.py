"""Fixtures of a whole bridge."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.http.bridge import Tenant, bridge


@pytest.fixture
async def acme(tmp_path: Path) -> AsyncIterator[Tenant]:
    """A connection of a fresh bridge that understands every client."""
    async with bridge(tmp_path) as (tenant,):
        yield tenant
