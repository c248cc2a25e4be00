"""What was really met at the edges: each case a script, in every way in which the HubSpot connector ends access."""

from pathlib import Path

import pytest

from tests.faults.histories import Histories
from tests.faults.promises.cases import CASES, broken, kind_of


@pytest.mark.parametrize("mode", ["remove", "strip", "scim"])
@pytest.mark.parametrize("name", CASES)
def test_a_case_of_the_edges_keeps_every_promise(tmp_path: Path, name: str, mode: str) -> None:
    """No rule of ``docs/promises.md`` is broken, whatever gateways, caches, people and identity providers do."""
    report = Histories(tmp_path).one(1, kind=kind_of(name, mode))

    assert [f"{one.invariant}: {one.detail}" for one in broken(name, report)] == []
