"""Who is made anew ends with one account or none, whatever is struck and whatever the client wants meanwhile."""

import pytest

from tests.faults.cases import MODES
from tests.faults.instruments import run, size
from tests.faults.recreations import STARTS, THEN, rounds

EVERY = size("SCIM_BRIDGE_RECREATIONS_EVERY", 11)
"""Only each so-manieth round; a prime, so that every strike at every call comes in one mode or another."""


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("mode", MODES)
def test_one_account_or_none_whatever_is_struck(mode: str, start: str) -> None:
    """HubSpot's accounts, the bridge's database and every promise agree at rest."""
    report = run("recreations", "--mode", mode, "--start", start, "--every", str(EVERY))

    assert report["failed"] == {}
    assert report["scenarios"] > len(THEN) * len(list(rounds(mode, start, "leave"))) / EVERY / 4
