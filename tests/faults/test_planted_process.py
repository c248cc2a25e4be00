"""Every instrument that works on processes, disks and sockets finds the defects that are planted for it."""

import pytest

from tests.faults.instruments import run


@pytest.mark.parametrize("defect", ["acknowledge_before_commit", "no_recovery"])
def test_killing_processes_finds(defect: str) -> None:
    """P1 loses what was answered, P12 leaves it undone."""
    found = run(
        "killing", "--kills", "60", "--seed", "1", "--patience", "40", "--most-violations", "1", "--defect", defect
    )
    print(f"killing with {defect}: found after {found['kills']} kills: {found['violations'][0][:200]}")
    assert found["violations"]


@pytest.mark.parametrize("defect", ["acknowledge_before_commit", "synchronous_normal"])
def test_cutting_the_power_finds(defect: str) -> None:
    """P1 and P4 lose what was answered."""
    found = run("power", "--images", "120", "--seed", "1", "--defect", defect)
    print(f"power cut with {defect}: {found['lost']} of {sum(found['images'].values())} images lack what was answered")
    assert found["lost"] > 0


def test_a_failing_disk_finds_a_failed_commit_that_is_told_as_success() -> None:
    """What is answered 2xx is neither stored nor true."""
    found = run("failing_disk", "--points", "60", "--seed", "1", "--defect", "failed_commit_is_success")
    print(f"failing disk with failed_commit_is_success: {len(found['violations'])} violations")
    assert found["violations"]


def test_single_faults_find_a_change_that_counts_as_made_without_an_answer() -> None:
    """HubSpot is not what the client was told."""
    found = run("single_faults", "--share", "0.3", "--defect", "no_answer_is_success")
    print(f"single faults with no_answer_is_success: {len(found['violations'])} violations")
    assert found["violations"]
