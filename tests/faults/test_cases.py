"""What was really met at the edges: each case a script, in every way in which access ends, or membership is kept."""

from pathlib import Path

import pytest

from tests.faults.histories import Histories
from tests.faults.promises.cases import CASES, broken, kind_of
from tests.faults.promises.teams import SHAPES, TEAM_CASES, shaped


@pytest.mark.parametrize("mode", ["remove", "strip", "scim"])
@pytest.mark.parametrize("name", CASES)
def test_a_case_of_the_edges_keeps_every_promise(tmp_path: Path, name: str, mode: str) -> None:
    """No rule of ``docs/promises.md`` is broken, whatever gateways, caches, people and identity providers do."""
    report = Histories(tmp_path).one(1, kind=kind_of(name, mode))

    assert [f"{one.invariant}: {one.detail}" for one in broken(name, report)] == []


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", TEAM_CASES)
def test_a_case_of_teams_keeps_every_promise(tmp_path: Path, name: str, shape: str) -> None:
    """The same where members are on the group, whether accounts tell their groups or groups list their members."""
    report = Histories(tmp_path).one(1, kind=shaped(name, shape))

    assert [f"{one.invariant}: {one.detail}" for one in report.violations] == []
