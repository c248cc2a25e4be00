"""Three replicas on one PostgreSQL under kills, cuts and freezes; hand-over; more work than HubSpot's limit admits.

40 histories by default; ``SCIM_BRIDGE_REPLICA_HISTORIES=300`` for more. ``python -m tests.faults.replicas.run
--histories N --seed S`` replays, ``--defect NAME`` plants a defect (``tests.faults.replicas.defects``).
"""

from tests.faults.instruments import run, size
from tests.faults.replicas.backlog import LIMIT as BACKLOG_LIMIT
from tests.faults.replicas.cluster import RATE_LIMIT
from tests.faults.replicas.hand_over import KINDS
from tests.faults.replicas.oracle import ENDING

FAULTS = {
    "owner killed",
    "another killed",
    "PostgreSQL killed",
    "lock session ended",
    "owner frozen",
    "owner cut off",
    "LISTEN session ended",
}


def test_what_three_replicas_do_under_faults_is_linearizable_for_each_person() -> None:
    """By what clients read and by what HubSpot held, every history has an explanation; nothing accepted is lost."""
    histories = size("SCIM_BRIDGE_REPLICA_HISTORIES", 40)
    report = run("replicas.run", "--histories", str(histories), "--seed", "1")
    print(f"replicas: {report}")
    assert report["violations"] == []
    assert report["histories"] >= histories
    assert set(report["fired"]) == FAULTS, "a fault that never struck"
    assert report["fullest_window"] <= RATE_LIMIT
    assert set(report["hand_over"]) == ENDING, "nobody took over"


def test_a_call_that_waited_while_another_replica_took_over_is_not_sent() -> None:
    """The lock session is asked after before each call: whoever lost it sends nothing, whatever was under way."""
    report = run("replicas.late", "--rounds", "3")
    print(f"late calls: {report}")
    assert report["writes"] > 0
    assert report["violations"] == []


def test_another_replica_removes_while_the_leader_is_gone() -> None:
    """Dead, cut off or frozen until the removal is confirmed: whoever follows has sent it (seconds: evidence)."""
    report = run("replicas.hand_over", "--times", "2")
    print(f"hand-over: {report}")
    assert {kind: len(took) for kind, took in report["hand_over"].items()} == dict.fromkeys(KINDS, 2)


def test_ten_thousand_creations_that_wait_at_the_start_hold_up_no_removal() -> None:
    """Of a real process on SQLite: removals go out and are confirmed while nearly all creations still wait."""
    report = run("replicas.backlog", "sqlite", "--seconds", "20")
    print(f"backlog: {report}")
    assert report["statuses"]["200"] == report["deactivations"]
    assert report["creations_before_the_removals"] <= BACKLOG_LIMIT
    assert report["fullest_window"] <= BACKLOG_LIMIT
    assert report["answered_429"] == 0


def test_a_restart_in_the_middle_of_work_breaks_no_limit_and_holds_up_no_removal() -> None:
    """A process that follows one killed at the limit finds what was sent, keeps the limit and removes at once."""
    report = run("replicas.backlog", "sqlite", "--killed", "--seconds", "5", "--deactivations", "20")
    print(f"backlog after a kill at the limit: {report}")
    assert report["statuses"]["200"] == report["deactivations"]
    assert report["creations_before_the_removals"] <= BACKLOG_LIMIT
    assert report["fullest_window"] <= BACKLOG_LIMIT
    assert report["answered_429"] == 0


def test_a_limit_is_used_up_and_never_broken_while_removals_pass() -> None:
    """In virtual time, behind 10,000 creations: 97 % of it used, no 429, 200 deactivations within two seconds."""
    report = run("replicas.pressure", "backlog")
    print(f"backlog in virtual time: {report}")
    assert report["deactivations"] >= 100
    assert report["deactivation_p99"] < 2.0
    assert report["used"] >= 0.97
    assert report["fullest_window"] <= report["limit"]
    assert report["answered_429"] == 0


def test_an_outage_of_eight_hours_is_worked_off_at_the_limit() -> None:
    """In virtual time, with 5,000 changes: removals first, no call wasted, one probe in 15 seconds meanwhile."""
    report = run("replicas.pressure", "outage")
    print(f"outage in virtual time: {report}")
    assert report["outage_fired"] == report["calls_during_outage"] > 1_000
    assert report["most_probes_in_15_seconds"] <= 1
    assert report["attempts_during_outage"] < 4 * report["calls_during_outage"], "the driver counts through what waits"
    assert report["of_what_the_limit_allows"] <= 1.1
    assert report["before_the_last_removal"] <= report["at_once"], "others than those under way went before a removal"
    assert report["fullest_window"] <= report["limit"]
    assert report["answered_429"] == 0
