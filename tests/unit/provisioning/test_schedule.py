"""When everything is compared."""

import asyncio
import logging
from typing import Any

from scim_bridge.provisioning.drift import Comparison
from scim_bridge.provisioning.leading import COMPARE_AGAIN, Schedule, drive
from scim_bridge.testing.virtual_time import run_virtually


class Known:
    """A remote system that is known to be the right one."""

    ask_again = 10_000.0

    async def confirmed(self) -> bool:
        """Tell so."""
        return True


class Idle:
    """A driver with nothing to do."""

    connection_id = "acme"
    identification = Known()

    async def run(self) -> None:
        """Do nothing."""

    async def stop(self) -> None:
        """Do nothing."""


class Comparing:
    """Notes when it compares, and always finds an account whose name is another's."""

    logger = logging.getLogger(__name__)

    def __init__(self) -> None:
        self.at: list[float] = []

    async def run(self) -> Comparison:
        """Compare."""
        self.at.append(asyncio.get_running_loop().time())
        return Comparison(displaced=1)


def test_a_comparison_that_found_a_name_taken_is_repeated_once() -> None:
    """Who has the name may have got its own meanwhile; where it has not, nothing would come of a third look."""
    comparing: Any = Comparing()
    driver: Any = Idle()

    async def scenario() -> None:
        async with drive(driver, comparing, Schedule(seconds=1000.0), chance=lambda: 0.5):
            await asyncio.sleep(2500.0)

    run_virtually(scenario())
    again = COMPARE_AGAIN
    assert comparing.at == [0.0, again, 1000.0 + again, 1000.0 + 2 * again, 2000.0 + 2 * again, 2000.0 + 3 * again]
