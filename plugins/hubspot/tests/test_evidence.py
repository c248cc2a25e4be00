"""Where the picture of HubSpot comes from is told, for everything that is uncertain about it."""

from plugins.hubspot.tests.evidence_table import BEGIN, END, PAGE, documentation, with_table
from scim_bridge_hubspot.emulator import Switches

TAGS = (
    "LIVE",
    "SPEC",
    "DOC",
    "3P",
    "UNVERIFIED",
    "Not published",
    "No source",
    "not confirmed",
    "Inferred",
    "Not in the",
)


def test_every_switch_tells_its_evidence() -> None:
    """Below each switch stands what it is, and who has seen it; or that nobody has."""
    texts = documentation()
    assert texts.keys() == Switches.choices().keys()
    assert [name for name, text in texts.items() if not any(tag.lower() in text.lower() for tag in TAGS)] == []


def test_the_page_of_evidence_has_every_switch() -> None:
    """``python -m plugins.hubspot.tests.evidence_table`` writes the table."""
    page = PAGE.read_text("utf-8")
    assert page.count(BEGIN) == page.count(END) == 1
    assert with_table(page) == page
