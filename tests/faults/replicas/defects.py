"""Planted defects of what several processes share: each makes a replica wrong, and the histories have to tell."""

from collections.abc import Callable
from typing import Any

from scim_bridge.provisioning import Provisioning, driver
from scim_bridge.provisioning.driver import Driver
from scim_bridge.store import rate_windows
from scim_bridge.store.locks import SessionLeadership
from tests.faults.defects import plant


def no_session_check_before_a_call() -> None:
    """P7: whoever once led a connection goes on calling, whether or not its lock session lives."""
    plant(Driver, "_permit", _nothing)


def everybody_drives() -> None:
    """Nobody takes the lock: every replica drives every connection, and records whatever comes of it."""
    plant(SessionLeadership, "_acquire", _acquire_without_lock)
    recorded_by_whoever_comes()


def recorded_by_whoever_comes() -> None:
    """Outcomes are recorded without asking who leads by then."""
    plant(driver, "owns", lambda *_: True)


def answered_before_done() -> None:
    """A client is told that its change is made when it is only accepted."""
    plant(Provisioning, "_settled", _nothing)


def window_of_its_own() -> None:
    """A new leader uses the rate limit as if nobody had called before it."""
    plant(rate_windows, "take", lambda *_, **__: [])


async def _nothing(*_: object) -> None:
    return


async def _acquire_without_lock(leadership: Any, connection_id: str) -> bool:
    leadership._session = leadership._session or await driver_session(leadership)
    leadership._led.add(connection_id)
    leadership._reckon(1e12)
    return True


async def driver_session(leadership: Any) -> Any:
    """Open the session that would hold the locks."""
    from scim_bridge.store.sessions import connect

    session = await connect(leadership._url)
    cursor = await session.execute("SELECT pg_backend_pid()")
    leadership._backend = (await cursor.fetchone() or [0])[0]
    return session


DEFECTS: dict[str, Callable[[], None]] = {
    "P7": no_session_check_before_a_call,
    "everybody-drives": everybody_drives,
    "recorded-by-anybody": recorded_by_whoever_comes,
    "answered-before-done": answered_before_done,
    "window-of-its-own": window_of_its_own,
}
"""Each defect by its name; calling it plants it in this process."""
