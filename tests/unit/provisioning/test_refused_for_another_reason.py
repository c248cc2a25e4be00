"""What is refused of a person for another reason is told to whoever asked for that, not to a write of a group."""

import pytest

from scim_bridge.errors import (
    PendingError,
    RefusedError,
    RemoteForbiddenError,
    RemoteImmutableError,
    RemoteUnavailableError,
)
from scim_bridge.store.rows import MemberDelta, State
from tests.unit.provisioning.conftest import Bridge, always, setting
from tests.unit.provisioning.test_groups import people, remote_groups

ADA, NEW = "ada@x.example", "augusta@x.example"
IMMUTABLE = RemoteImmutableError("a userName cannot be changed")
DOWN = RemoteUnavailableError("the remote system is down", ambiguous=False, retry_after=60.0)


async def rename_pending(bridge: Bridge, user_id: str) -> None:
    """Have a client rename somebody during an outage; the remote system will refuse it."""
    bridge.remote.down = DOWN
    with pytest.raises(PendingError):
        await bridge.provisioning.modify_user(user_id, setting(user_name=NEW), always)
    bridge.remote.down = None
    bridge.remote.fail("update_user", IMMUTABLE)


@pytest.mark.parametrize("form", ["PATCH", "PUT", "DELETE"])
async def test_a_removal_is_not_refused_because_a_rename_is(bridge: Bridge, form: str) -> None:
    """The person is out of the group, and the group's client is told so; the rename stays refused and visible."""
    (ada,) = await people(bridge, ADA)
    sales = await bridge.group_with("Sales", ada)
    await rename_pending(bridge, ada)

    if form == "DELETE":
        await bridge.provisioning.delete_group(sales, always)
    else:
        delta = MemberDelta("remove", (ada,)) if form == "PATCH" else MemberDelta("replace", ())
        await bridge.provisioning.modify_group(sales, None, [delta], always)

    assert bridge.remote.called("update_user") == 2  # the first met the outage
    assert remote_groups(bridge.remote, ADA) == set()
    assert await bridge.groups_of(ada) == {}
    row = await bridge.row("User", ada)
    assert (row.state, row.name) == (State.BLOCKED, ADA)
    assert row.refusal is not None
    assert row.refusal.scim_type == "mutability"


async def test_an_addition_is_not_refused_because_a_rename_is(bridge: Bridge) -> None:
    """Who is in the group is in it, whatever else of them was refused."""
    (ada,) = await people(bridge, ADA)
    sales = await bridge.group_with("Sales")
    await rename_pending(bridge, ada)

    await bridge.provisioning.modify_group(sales, None, [MemberDelta("add", (ada,))], always)

    assert remote_groups(bridge.remote, ADA) == {"Sales"}
    assert await bridge.groups_of(ada) == {"Sales": (True, True)}
    assert (await bridge.row("User", ada)).state is State.BLOCKED


async def test_an_addition_that_is_refused_is_told_to_its_group_alone(bridge: Bridge) -> None:
    """Of one person, one group is refused and another one is left: only the first is told so."""
    (ada,) = await people(bridge, ADA)
    sales = await bridge.group_with("Sales", ada)
    support = await bridge.group_with("Support")
    bridge.remote.down = DOWN
    with pytest.raises(PendingError):
        await bridge.provisioning.modify_group(support, None, [MemberDelta("add", (ada,))], always)
    bridge.remote.down = None
    bridge.remote.fail("set_user_groups", RemoteForbiddenError("no Support for them"))

    await bridge.provisioning.modify_group(sales, None, [MemberDelta("remove", (ada,))], always)

    assert remote_groups(bridge.remote, ADA) == set()
    assert await bridge.groups_of(ada) == {}
    bridge.remote.fail("set_user_groups", RemoteForbiddenError("no Support for them"))
    with pytest.raises(RefusedError, match="no Support"):
        await bridge.provisioning.modify_group(support, None, [MemberDelta("add", (ada,))], always)
    assert await bridge.groups_of(ada) == {}
