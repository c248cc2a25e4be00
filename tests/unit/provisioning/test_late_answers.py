"""Answers that were true when they were given, and are recorded after something else has happened."""

import asyncio

from scim_bridge.errors import RemoteUnavailableError
from scim_bridge.store.rows import MemberDelta
from tests.unit.provisioning.conftest import Bridge, always
from tests.unit.provisioning.test_groups import people, remote_groups
from tests.unit.provisioning.test_reconcile import reconciler


async def test_an_answer_from_before_a_grant_does_not_hide_its_removal(grouped: Bridge) -> None:
    """An account is read, joins a group and is to leave it again: that it was in no group is no proof that it left."""
    remote = grouped.remote
    (ada,) = await people(grouped, "ada@x.example")
    sales = await grouped.group_with("Sales")
    remote.accounts[str((await grouped.row("User", ada)).remote_id)].user.name = None
    read = remote.hold("get_user", after_effect=True)
    comparing = asyncio.create_task(reconciler(grouped).run())
    await read.entered.wait()
    await grouped.provisioning.modify_group(sales, None, [MemberDelta("add", (ada,))], always)
    remote.fail("remove_group_members", RemoteUnavailableError("busy", ambiguous=False, retry_after=0.3))
    deltas = [MemberDelta("remove", (ada,))]
    leaving = asyncio.create_task(grouped.provisioning.modify_group(sales, None, deltas, always))
    while not remote.called("remove_group_members"):
        await grouped.turn()

    read.release()
    await comparing
    await leaving

    assert remote_groups(remote, "ada@x.example") == set()
