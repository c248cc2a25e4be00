"""Creations that the remote system refuses leave next to nothing behind."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scim_bridge.errors import RefusedError, RemoteForbiddenError, RemoteInvalidValueError, RemoteUnavailableError
from scim_bridge.models import Group, Remote
from scim_bridge.provisioning.recorder import REFUSED_KEPT
from scim_bridge.store import resources
from scim_bridge.store.rows import ResourceRow
from scim_bridge.store.transaction import Transaction
from scim_bridge.testing.memory_remote import Call, Fault, MemoryRemote
from tests.unit.provisioning.conftest import CONNECTION, Bridge, always, bridge_on, setting, user


async def ledger(bridge: Bridge) -> list[ResourceRow]:
    """Return what is not settled."""
    return await bridge.store.read(lambda tx: resources.ledger(tx, CONNECTION, limit=10_000))


def refuse(call: Call) -> Fault | None:
    """Refuse every creation."""
    return Fault(RemoteInvalidValueError("no")) if call.hook in {"create_user", "create_group"} else None


async def test_a_thousand_refusals_of_one_name_leave_one_row(bridge: Bridge) -> None:
    """Each is answered with its refusal, and the ledger tells of the latest."""
    bridge.remote.intercept = refuse
    for _ in range(1000):
        with pytest.raises(RefusedError):
            await bridge.provisioning.create_user(user("ada@x.example"))

    assert len(await ledger(bridge)) == 1
    rows = await bridge.store.read(lambda tx: resources.iterate(tx, CONNECTION, "User", after=None, limit=10))
    assert len(rows) == 1


@pytest.mark.parametrize("kind", ["User", "Group"])
async def test_what_was_refused_long_ago_is_forgotten(tmp_path: Path, remote: MemoryRemote, kind: str) -> None:
    """After a while nothing tells of refused creations any more, under however many names."""
    time = datetime.now(UTC)
    async with bridge_on(tmp_path / "b.db", remote, clock=lambda: time) as bridge:
        remote.intercept = refuse
        for number in range(5):
            people = bridge.provisioning.create_user(user(f"p{number}@x.example"))
            groups = bridge.provisioning.create_group(Group(display_name=f"g{number}"))
            creation, other = (people, groups) if kind == "User" else (groups, people)
            other.close()
            with pytest.raises(RefusedError):
                await creation
        assert len(await ledger(bridge)) == 5

        time += REFUSED_KEPT + timedelta(minutes=10)
        while await ledger(bridge):
            bridge.provisioning.driver.wake()
            await bridge.turn()


async def test_a_refusal_after_a_lost_answer_forgets_no_account(bridge: Bridge) -> None:
    """An account that a lost answer made is looked for before anything is forgotten."""
    bridge.remote.lose_answer("create_user")
    bridge.answer_within(0.05)
    await asyncio.gather(bridge.provisioning.create_user(user("ada@x.example")), return_exceptions=True)
    bridge.remote.intercept = refuse
    bridge.answer_within()

    outcome = await bridge.provisioning.create_user(user("ada@x.example"))

    assert outcome.row.remote_id in bridge.remote.accounts
    assert not await ledger(bridge)


async def test_a_refused_removal_is_not_forgotten(tmp_path: Path, remote: MemoryRemote) -> None:
    """A deletion that is refused stays in the ledger, however long."""
    time = datetime.now(UTC)
    async with bridge_on(tmp_path / "b.db", remote, clock=lambda: time) as bridge:
        ada = (await bridge.provisioning.create_user(user("ada@x.example"))).row.id
        remote.intercept = lambda call: Fault(RemoteForbiddenError("no")) if call.hook == "delete_user" else None
        with pytest.raises(RefusedError):
            await bridge.provisioning.delete_user(ada, always)

        time += timedelta(days=1)
        removed = await bridge.store.write(bridge.provisioning.recorder.forget_refused)

        assert removed == 0
        assert [row.id for row in await ledger(bridge)] == [ada]


async def test_somebody_whose_account_cannot_be_made_again_stays_known(bridge: Bridge) -> None:
    """The User of an account that was removed by hand is missing when it is refused anew: told inactive, not gone."""
    ada = (await bridge.provisioning.create_user(user("ada@x.example"))).row.id
    bridge.remote.accounts.clear()
    bridge.remote.intercept = refuse

    with pytest.raises(RefusedError):
        await bridge.provisioning.modify_user(ada, setting(title="Countess", active=True), always)

    row = await bridge.row("User", ada)
    assert not row.deleted
    assert (row.active, row.missing, row.shown_active) == (True, True, False)


async def test_a_creation_that_was_adopted_unseen_is_an_adoption(bridge: Bridge) -> None:
    """When the answer that would have told is lost, what the account holds of unmanaged groups is kept all the same."""
    account = bridge.remote.add_account("ada@x.example")
    found = bridge.remote.add_group("Found")
    bridge.remote.members.add((found, account))
    bridge.remote.add_account("bob@x.example")
    await bridge.store.write(lambda tx: _take_groups(bridge, tx, found))
    bridge.remote.lose_answer("create_user")
    bridge.answer_within(0.05)
    await asyncio.gather(bridge.provisioning.create_user(user("ada@x.example")), return_exceptions=True)
    bridge.answer_within()

    again = await bridge.provisioning.create_user(user("ada@x.example"))
    await bridge.idle()

    assert again.row.ownership.value == "adopted"
    assert again.row.remote_id == account
    assert bridge.remote.members == {(found, account)}
    assert await bridge.groups_of(again.row.id) == {"Found": (True, True)}


def _take_groups(bridge: Bridge, tx: Transaction, remote_id: str) -> None:
    group = Remote(remote_id, bridge.remote.group(remote_id).model_copy(deep=True))
    bridge.provisioning.discovery.take(tx, "Group", group, asked=bridge.provisioning.clock())


async def test_a_creation_repeated_after_an_outage_is_the_same_user(bridge: Bridge) -> None:
    """A client told 429 that sends its creation again is answered 201 with the same id, adopted or not."""
    bridge.remote.add_account("ada@x.example")
    bridge.remote.fail("create_user", RemoteUnavailableError("down", ambiguous=False))
    bridge.answer_within(0.05)
    await asyncio.gather(
        bridge.provisioning.create_user(user("ada@x.example", external_id="7")), return_exceptions=True
    )
    bridge.answer_within()
    first = await bridge.store.read(lambda tx: resources.find_by_name(tx, CONNECTION, "User", "ada@x.example"))
    assert first is not None
    bridge.provisioning.driver.wake()
    await bridge.idle()

    again = await bridge.provisioning.create_user(user("ada@x.example", external_id="7"))

    assert again.row.id == first.id
    assert not again.created
