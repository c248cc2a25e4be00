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


def test_a_call_that_waited_while_another_replica_took_over_is_not_sent() -> None:
    """The lock session is asked after before each call: whoever lost it sends nothing, whatever was under way."""
    report = run("replicas.late", "--rounds", "2")
    print(f"late calls: {report}")
    assert report["writes"] > 0
    assert report["violations"] == []


def test_without_the_question_before_a_call_it_is_sent() -> None:
    """Planted defect P7 is found."""
    report = run("replicas.late", "--rounds", "2", "--defect", "P7")
    print(f"late calls with P7: {len(report['violations'])}, such as {report['violations'][:1]}")
    assert report["violations"] != []


def test_replicas_that_take_no_lock_are_found() -> None:
    """A planted defect: all replicas drive at once, and HubSpot's log or somebody's history tells."""
    report = run("replicas.run", "--histories", "8", "--seed", "2", "--defect", "everybody-drives")
    print(f"without a lock: {len(report['violations'])} violations, such as {report['violations'][:2]}")
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
