"""The guide's table of what happens when an entry of the configuration is renamed or deleted in HubSpot."""

from plugins.hubspot.tests.configured.entries_table import GUIDE, rows, with_table


async def test_the_guide_tells_what_happens() -> None:
    """``python -m plugins.hubspot.tests.configured.entries_table`` writes it anew."""
    guide = GUIDE.read_text("utf-8")
    assert guide == with_table(guide, await rows())
