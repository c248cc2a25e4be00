"""Three replicas on one PostgreSQL under kills, cuts and freezes; hand-over; a start with a long backlog.

40 histories by default; ``SCIM_BRIDGE_REPLICA_HISTORIES=300`` for more. ``python -m tests.faults.replicas.run
--histories N --seed S`` replays.
"""

import pytest

from tests.faults.instruments import run, size
from tests.faults.replicas.cluster import RATE_LIMIT, TAKEOVER_SECONDS

FAULTS = {
    "owner killed",
    "another killed",
    "PostgreSQL killed",
    "lock session ended",
    "owner frozen",
    "owner cut off",
    "LISTEN session ended",
}

FOLLOW_SECONDS = 5.0
"""Seconds within which another replica removes somebody after the leader was killed or cut off."""

LOADED = 3.0
"""What the shared machines that tests run on may take longer than the goal; the figures are printed."""


def test_what_three_replicas_do_under_faults_is_linearizable_for_each_person() -> None:
    """By what clients read and by what HubSpot held, every history has an explanation; nothing accepted is lost."""
    histories = size("SCIM_BRIDGE_REPLICA_HISTORIES", 40)
    report = run("replicas.run", "--histories", str(histories), "--seed", "1")
    print(f"replicas: {report}")
    assert report["violations"] == []
    assert report["histories"] == histories
    assert set(report["fired"]) == FAULTS, "a fault that never struck"
    assert 0 < report["fullest_window"] <= RATE_LIMIT


@pytest.mark.parametrize("defect", ["P7", "everybody-drives"])
def test_a_planted_defect_is_found(defect: str) -> None:
    """Replicas that go on without the lock, or never take it, are told by HubSpot's log or by somebody's history."""
    report = run("replicas.run", "--histories", "20", "--seed", "2", "--defect", defect)
    print(f"replicas with {defect}: {report['violations'][:3]} and {len(report['violations'])} in all")
    assert report["violations"] != []


def test_another_replica_follows_within_seconds() -> None:
    """After a kill or a cut the next removal goes out within five seconds, after a freeze within the lease and some."""
    report = run("replicas.hand_over", "--times", "2")
    print(f"hand-over: {report}")
    assert max(report["hand_over"]["killed"] + report["hand_over"]["cut off"]) < FOLLOW_SECONDS * LOADED
    assert max(report["hand_over"]["frozen"]) < TAKEOVER_SECONDS + FOLLOW_SECONDS * LOADED


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_ten_thousand_creations_that_wait_hold_up_no_removal(dialect: str) -> None:
    """Removals go first at the start and later; HubSpot's limit is used up and never broken."""
    report = run("replicas.backlog", dialect, "--seconds", "20")
    print(f"backlog: {report}")
    assert report["statuses"] == {"200": report["deactivations"]}
    assert report["ready"] - report["listens"] < 5.0
    assert report["first_removal_after_listening"] < 2.0 * LOADED
    assert report["deactivation_p99"] < 2.0 * LOADED
    assert report["used"] >= 0.97
    assert report["answered_429"] == 0
