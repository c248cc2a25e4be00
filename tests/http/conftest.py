"""Fixtures of a whole bridge, on the event loop that it has in production."""

from asyncio import AbstractEventLoop
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest
import uvloop

from tests.http.bridge import Tenant, bridge
from tests.http.consoles import Browser, Site, site
from tests.unit.cli.test_looking import Operator


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], AbstractEventLoop]]:
    """Run these tests on uvloop."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def acme(tmp_path: Path) -> AsyncIterator[Tenant]:
    """A connection of a fresh bridge that understands every client."""
    async with bridge(tmp_path) as (tenant,):
        yield tenant


@pytest.fixture
async def open_site(operator: Operator) -> AsyncIterator[Site]:
    """The console of a bridge that has been used; a module says which."""
    async with site(operator) as opened:
        yield opened


@pytest.fixture
async def grace(open_site: Site) -> AsyncIterator[Browser]:
    """An operator's browser."""
    async with open_site.browser("operator") as browser:
        yield browser
