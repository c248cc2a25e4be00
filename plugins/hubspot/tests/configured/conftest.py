"""These tests run in virtual time: waiting costs nothing, and no clock but the loop's is read."""

import asyncio
from collections.abc import Callable, Mapping

from scim_bridge.testing.virtual_time import VirtualTimeLoop


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run every async test of this directory on a loop whose time passes only when nothing can run."""
    return {"virtual": VirtualTimeLoop}
