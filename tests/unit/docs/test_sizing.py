"""The page about sizing tells the minutes that follow from HubSpot's limits and from the calls that a test measured."""

import pytest

from tests.unit.docs.pages import table, text

CALLS = {row[0]: int(row[1]) for row in table(text("docs/hubspot.md"), "## 9. What it costs")}
ROWS = table(text("docs/operating/sizing.md"), "## How long a first push takes")


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_minutes_are_those_of_the_calls_at_the_limit(row: list[str]) -> None:
    """Planned, a person is made with their group; live at once, they are added to it later."""
    people, *minutes = [int(cell.replace(",", "")) for cell in row]
    planned = CALLS["create, with a group"]
    live = planned + CALLS["add to a group"]
    assert minutes == [round(people * calls / limit * 10 / 60) for limit in (100, 190) for calls in (planned, live)]
