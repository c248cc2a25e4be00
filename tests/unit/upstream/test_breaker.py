"""The circuit breaker as arithmetic on times."""

import pytest

from scim_bridge.errors import RemoteUnavailableError
from scim_bridge.models import Lane
from scim_bridge.upstream.breaker import GRACE, INTERVAL, THRESHOLD, Breaker


def opened_at(now: float) -> Breaker:
    """Return a breaker that five failures just opened."""
    breaker = Breaker()
    for _ in range(THRESHOLD):
        breaker.failed(now, probe=breaker.admit(Lane.UPDATE, now))
    return breaker


def test_five_failures_in_a_row_open_the_circuit() -> None:
    """Four failures leave it closed; a success in between starts the count anew."""
    breaker = Breaker()
    for _ in range(THRESHOLD - 1):
        breaker.failed(0.0, probe=False)
    breaker.succeeded()
    for _ in range(THRESHOLD - 1):
        breaker.failed(0.0, probe=False)
    assert not breaker.is_open

    breaker.failed(0.0, probe=False)

    assert breaker.is_open


def test_an_open_circuit_refuses_without_ambiguity_and_says_when_to_come_back() -> None:
    """A refused call was never sent, so nobody has to probe for it."""
    breaker = opened_at(100.0)

    with pytest.raises(RemoteUnavailableError) as refused:
        breaker.admit(Lane.REMOVE, 105.0)

    assert refused.value.ambiguous is False
    assert refused.value.retry_after == pytest.approx(INTERVAL - 5.0)


def test_a_removal_is_the_preferred_probe() -> None:
    """When a probe is due, a removal may be it at once; any other call only a moment later."""
    breaker = opened_at(0.0)

    with pytest.raises(RemoteUnavailableError):
        breaker.admit(Lane.READ, INTERVAL)

    assert breaker.admit(Lane.REMOVE, INTERVAL) is True


def test_without_a_removal_any_call_is_the_probe() -> None:
    """After the grace, whoever comes first probes."""
    assert opened_at(0.0).admit(Lane.READ, INTERVAL + GRACE) is True


def test_only_one_probe_is_out_at_a_time() -> None:
    """While a probe is out, even removals are refused."""
    breaker = opened_at(0.0)
    breaker.admit(Lane.REMOVE, INTERVAL)

    with pytest.raises(RemoteUnavailableError):
        breaker.admit(Lane.REMOVE, INTERVAL)


def test_a_probe_that_succeeds_closes_the_circuit() -> None:
    """Then everybody is let through again, and five new failures are needed to open it."""
    breaker = opened_at(0.0)
    breaker.admit(Lane.REMOVE, INTERVAL)

    breaker.succeeded()

    assert breaker.admit(Lane.READ, INTERVAL) is False
    breaker.failed(INTERVAL, probe=False)
    assert not breaker.is_open


def test_a_probe_that_fails_waits_for_the_next_interval() -> None:
    """One failed probe is enough to stay open."""
    breaker = opened_at(0.0)

    breaker.failed(20.0, probe=breaker.admit(Lane.REMOVE, 20.0))

    with pytest.raises(RemoteUnavailableError):
        breaker.admit(Lane.REMOVE, 20.0 + INTERVAL - 0.1)
    assert breaker.admit(Lane.REMOVE, 20.0 + INTERVAL) is True


def test_a_probe_that_was_cancelled_makes_room_for_another() -> None:
    """A call that ended without an outcome leaves the circuit open and the probe due."""
    breaker = opened_at(0.0)
    breaker.abandoned(probe=breaker.admit(Lane.REMOVE, INTERVAL))

    assert breaker.is_open
    assert breaker.admit(Lane.REMOVE, INTERVAL) is True
