"""Planted defects of what several processes share: each makes a replica wrong, and the histories have to tell."""

from collections.abc import Callable
from typing import Any

from scim_bridge.provisioning import driver, ownership
from scim_bridge.provisioning.driver import Driver
from scim_bridge.store.leadership import SessionLeadership


def no_session_check_before_a_call() -> None:
    """P7: whoever once led a connection goes on calling, whether or not its lock session lives."""

    async def permit(_driver: Driver) -> None:
        return

    Driver._permit = permit  # type: ignore[method-assign]


def everybody_drives() -> None:
    """Every replica takes itself for the leader: no lock, and outcomes are recorded by whoever comes."""

    async def acquire(leadership: SessionLeadership, connection_id: str) -> bool:
        leadership._held.add(connection_id)
        return True

    async def check(_leadership: SessionLeadership) -> bool:
        return True

    def owns(*_: Any) -> bool:
        return True

    SessionLeadership.acquire = acquire  # type: ignore[method-assign]
    SessionLeadership.check = check  # type: ignore[method-assign]
    driver.owns = owns


def outcome_recorded_without_asking_who_leads() -> None:
    """A former leader's late outcome is recorded over what the new one has seen."""
    driver.owns = lambda *_: True  # type: ignore[assignment]


def not_asked_first_after_a_takeover() -> None:
    """A new leader takes the old one's calls under way for done."""


DEFECTS: dict[str, Callable[[], None]] = {
    "P7": no_session_check_before_a_call,
    "everybody-drives": everybody_drives,
    "recorded-without-owns": outcome_recorded_without_asking_who_leads,
}
"""Each defect by its name; calling it plants it in this process."""

_ = ownership
