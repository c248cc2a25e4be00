"""The runbook has what to do for each condition that needs somebody."""

import re
from typing import get_args

import pytest

from scim_bridge.alerts.ledger import UNTOLD
from scim_bridge.console.application import _doors
from scim_bridge.views.needs import Condition
from tests.unit.docs.pages import section, text

RUNBOOK = text("docs/operating/runbook.md")
ASKED = ["Means", "Affects", "Look", "Do", "Over"]


@pytest.mark.parametrize("condition", get_args(Condition))
def test_every_condition_has_its_section(condition: str) -> None:
    """With each question answered, and told as no alert exactly when it is none."""
    told = section(RUNBOOK, condition)
    assert re.findall(r"^- \*\*(\w+):\*\* \S", told, re.MULTILINE) == ASKED
    assert told.strip().startswith("No alert") is (condition in UNTOLD)
    assert "`scim-bridge " in told


def test_the_page_about_alerts_leads_to_each() -> None:
    """Whoever receives one finds what to do."""
    led = set(re.findall(r"\(runbook\.md#(\w+)\)", section(text("docs/operating/watching.md"), "alerts")))
    assert led == set(get_args(Condition)) - UNTOLD


def test_every_page_of_the_console_that_it_names_is_there() -> None:
    """No path leads nowhere."""
    paths = {re.sub(r"{\w+}", "ID", door.path) for door in _doors() if door.method == "GET"}
    named = set(re.findall(r"`(/console/[^`…]+)`", RUNBOOK))
    assert len(named) > 5
    assert named <= paths
