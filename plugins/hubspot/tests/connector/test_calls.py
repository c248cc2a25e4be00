"""What each SCIM operation costs in calls to HubSpot, and that the guide tells it truly."""

from plugins.hubspot.tests.connector.calls_table import BEGIN, END, GUIDE, LOOKED_UP, SEEN, measured, with_table

AT_MOST = {
    "create, with a group": 2,
    f"create, with a group, {LOOKED_UP}": 1,
    "rename": 2,
    "add to a group": 2,
    f"add to a group, {SEEN}": 1,
    f"add to an alias, {SEEN}": 1,
    "leave one of two groups": 3,  # before a removal they are read, and after it: an answer is no proof of a loss
    "change the group": 3,
    "set the group again": 1,
    "deactivate (remove)": 3,
    "reactivate (remove)": 3,
    "another userName (recreate)": 3,
    "another userName (recreate): the old account": 3,
    "add to a group (strip)": 2,
    "add to a group (scim)": 2,
    "deactivate (strip)": 3,
    "reactivate (strip)": 4,  # one looks whether they were deactivated by hand: then nobody can reactivate them
    "deactivate (scim)": 4,
    "reactivate (scim)": 7,
}


async def test_operations_stay_within_their_budget_of_calls() -> None:
    """At 100 calls in 10 s, each call more is a person less."""
    costs = {cost.operation: len(cost.calls) for cost in await measured()}
    assert {operation: costs[operation] for operation in AT_MOST} == AT_MOST


async def test_the_guides_table_is_what_was_measured() -> None:
    """``python -m plugins.hubspot.tests.connector.calls_table`` writes it."""
    guide = GUIDE.read_text("utf-8")
    assert guide.count(BEGIN) == guide.count(END) == 1
    assert with_table(guide, await measured()) == guide
