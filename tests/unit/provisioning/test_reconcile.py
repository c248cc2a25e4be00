"""Comparing everything: what is taken over, what is repaired, and what is only told."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, cast

import pytest
from scim2_models import URN, EnterpriseUser, Extension
from scim2_models import User as CoreUser

from scim_bridge.errors import RemoteRateLimitedError, RemoteUnavailableError
from scim_bridge.models import Page, Remote, User
from scim_bridge.provisioning import Provisioning
from scim_bridge.provisioning.drift import Comparison, DriftClass
from scim_bridge.provisioning.reconcile import Reconciler
from scim_bridge.store import resources
from scim_bridge.store.rows import MemberDelta, Ownership, ResourceRow
from scim_bridge.testing.memory_remote import MemoryRemote
from tests.unit.provisioning.conftest import CONNECTION, Bridge, always, bridge_on, replace, setting, user
from tests.unit.provisioning.vanishing import Vanishing


def reconciler(bridge: Bridge, **options: Any) -> Reconciler:
    """Return what compares the connection."""
    return Reconciler(bridge.provisioning, **options)


async def compared(
    bridge: Bridge, *, apply: bool = True, missing_accounts: Literal["enforce", "report"] = "report"
) -> Comparison:
    """Compare, and wait until what was handed over is through."""
    comparing = reconciler(bridge)
    comparing.missing_accounts = missing_accounts
    comparison = await comparing.run(apply=apply)
    await bridge.idle()
    return comparison


async def by_name(bridge: Bridge, name: str) -> ResourceRow | None:
    """Return a User by userName."""
    return await bridge.store.read(lambda tx: resources.find_by_name(tx, CONNECTION, "User", name))


def classes(comparison: Comparison) -> set[DriftClass]:
    """Return the classes of drift, new accounts left out."""
    return {one.drift for one in comparison.drifts} - {DriftClass.UNMANAGED}


async def test_a_first_import_takes_over_what_is_there_and_changes_nothing(bridge: Bridge) -> None:
    """Accounts, groups and who holds what are in the store, owned by nobody; nothing was written upstream."""
    bob = bridge.remote.add_account("bob@x.example")
    sales = bridge.remote.add_group("Sales")
    bridge.remote.members.add((sales, bob))

    comparison = await compared(bridge)

    row = await by_name(bridge, "bob@x.example")
    assert row is not None
    assert row.ownership is Ownership.DISCOVERED
    assert await bridge.groups_of(row.id) == {"Sales": (True, True)}
    assert comparison.compared == 2
    assert not bridge.remote.effects


async def test_an_account_that_somebody_reactivated_by_hand_is_deactivated_again(bridge: Bridge) -> None:
    """Security drift is repaired; afterwards the plan is empty."""
    created = await bridge.provisioning.create_user(user())
    await bridge.provisioning.modify_user(created.row.id, setting(active=False), always)
    account = bridge.remote.account(str(created.row.remote_id))
    account.active = True

    found = await compared(bridge)

    assert classes(found) == {DriftClass.EXTRA_ACTIVE}
    assert found.security
    assert not account.active
    assert not classes(await compared(bridge, apply=False))


async def test_a_group_that_somebody_gave_by_hand_is_taken_away(bridge: Bridge) -> None:
    """An extra privilege of an owned account is repaired."""
    created = await bridge.provisioning.create_user(user())
    group = await bridge.group_with("Admins")
    remote_id = (await bridge.row("Group", group)).remote_id
    bridge.remote.members.add((str(remote_id), str(created.row.remote_id)))

    found = await compared(bridge)

    assert classes(found) == {DriftClass.EXTRA_PRIVILEGE}
    assert not bridge.remote.members
    assert not classes(await compared(bridge, apply=False))


async def test_an_account_that_somebody_removed_by_hand_comes_back_when_that_is_configured(bridge: Bridge) -> None:
    """A removed person who should be active is drift, not an error; groups included."""
    created = await bridge.provisioning.create_user(user())
    await bridge.group_with("Sales", created.row.id)
    del bridge.remote.accounts[str(created.row.remote_id)]
    bridge.remote.members.clear()

    found = await compared(bridge, missing_accounts="enforce")

    assert classes(found) == {DriftClass.MISSING}
    assert not found.missing_accounts
    account = bridge.remote.find("ada@corp.example")
    assert account is not None
    assert account.active
    assert len(bridge.remote.members) == 1
    assert not classes(await compared(bridge, apply=False))


async def test_planning_changes_nothing(bridge: Bridge) -> None:
    """``--plan`` tells, and writes neither upstream nor in the store."""
    created = await bridge.provisioning.create_user(user())
    await bridge.provisioning.modify_user(created.row.id, setting(active=False), always)
    bridge.remote.account(str(created.row.remote_id)).active = True
    bridge.remote.add_account("bob@x.example")
    effects = len(bridge.remote.effects)

    found = await compared(bridge, apply=False)

    assert classes(found) == {DriftClass.EXTRA_ACTIVE}
    assert len(bridge.remote.effects) == effects
    assert await by_name(bridge, "bob@x.example") is None


async def test_attribute_drift_is_only_told_where_the_policy_says_so(bridge: Bridge) -> None:
    """With ``report`` a name that was changed by hand stays; with ``enforce`` it goes back."""
    created = await bridge.provisioning.create_user(user())
    account = bridge.remote.account(str(created.row.remote_id))
    assert account.user.name is not None
    account.user.name.given_name = "Changed"

    told = await reconciler(bridge, attribute_drift="report").run()
    await bridge.idle()
    assert classes(told) == {DriftClass.ATTRIBUTE}
    assert account.user.name.given_name == "Changed"

    await compared(bridge)
    account = bridge.remote.account(str(created.row.remote_id))
    assert account.user.name is not None
    assert account.user.name.given_name == "Ada"


async def test_access_given_by_hand_is_another_version_until_it_is_taken_again(bridge: Bridge) -> None:
    """Who read "inactive" before is not told by the entity tag that nothing has changed."""
    created = await bridge.provisioning.create_user(user())
    await bridge.provisioning.modify_user(created.row.id, setting(active=False), always)
    before = await bridge.row("User", created.row.id)
    bridge.remote.account(str(created.row.remote_id)).active = True
    gate = bridge.remote.hold("deactivate_user")

    await reconciler(bridge).run()
    await gate.entered.wait()
    during = await bridge.row("User", created.row.id)
    gate.release()
    await bridge.idle()

    after = await bridge.row("User", created.row.id)
    assert [row.shown_active for row in (before, during, after)] == [False, True, False]
    assert before.version < during.version < after.version
    assert not bridge.remote.account(str(created.row.remote_id)).active


async def test_an_unowned_account_follows_the_remote_system(bridge: Bridge) -> None:
    """What nobody owns is never repaired: the store takes over what it shows now."""
    remote_id = bridge.remote.add_account("bob@x.example")
    await compared(bridge)
    bridge.remote.account(remote_id).active = False

    await compared(bridge)

    row = await by_name(bridge, "bob@x.example")
    assert row is not None
    assert not row.shown_active
    assert not bridge.remote.effects


async def test_an_unowned_account_that_is_gone_is_not_shown_any_more(bridge: Bridge) -> None:
    """Nor is an unowned group; a comparison that only plans forgets nothing."""
    bridge.remote.add_account("bob@x.example")
    sales = bridge.remote.add_group("Sales")
    await compared(bridge)
    bridge.remote.accounts.clear()
    del bridge.remote.groups[sales]

    await compared(bridge, apply=False)
    assert await by_name(bridge, "bob@x.example") is not None
    await compared(bridge)

    assert await by_name(bridge, "bob@x.example") is None
    group = await bridge.store.read(lambda tx: resources.find_by_name(tx, CONNECTION, "Group", "Sales"))
    assert group is None
    assert not bridge.remote.effects


async def test_a_comparison_resumes_where_a_crash_ended_it(
    tmp_path: Path, remote: MemoryRemote, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a failure in the middle the next run goes on at the saved cursor, and in the end everything is known."""
    monkeypatch.setattr("scim_bridge.provisioning.listings.PAGE", 10)
    for number in range(35):
        remote.add_account(f"p{number:02}@x.example")
    async with bridge_on(tmp_path / "b.db", remote) as bridge:
        cursors: list[object] = []
        compare = reconciler(bridge)

        def stop_at_20(number: int) -> None:
            if number >= 20:
                raise RemoteUnavailableError("crashed")

        with pytest.raises(RemoteUnavailableError):
            await compare.run(progress=stop_at_20)
        before = remote.called("list_users")
        await compare.run()
        cursors += [call.arguments.get("cursor") for call in remote.calls if call.hook == "list_users"]

        assert remote.called("list_users") - before < 4
        assert cursors[before] is not None
        assert all([await by_name(bridge, f"p{number:02}@x.example") for number in range(35)])


@pytest.mark.parametrize("apply", [True, False])
async def test_a_group_made_by_hand_during_the_comparison_is_an_extra_privilege(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch, *, apply: bool
) -> None:
    """A group that the listing of groups did not show yet is looked up; an owned account loses it."""
    created = await bridge.provisioning.create_user(user())
    compare = reconciler(bridge)
    listed = compare.connector.list_groups

    async def before_it_was_made(cursor: str | None, limit: int) -> object:
        page = await listed(cursor, limit)
        bridge.remote.members.add((bridge.remote.add_group("Backdoor"), str(created.row.remote_id)))
        return page

    monkeypatch.setattr(compare.connector, "list_groups", before_it_was_made)
    found = await compare.run(apply=apply)
    await bridge.idle()

    assert classes(found) == {DriftClass.EXTRA_PRIVILEGE}
    assert len(bridge.remote.members) == (0 if apply else 1)
    monkeypatch.undo()
    assert classes(await compared(bridge, apply=False)) == (set() if apply else {DriftClass.EXTRA_PRIVILEGE})


async def test_a_group_that_the_connector_does_not_show_is_left_alone(bridge: Bridge) -> None:
    """What is outside of the connector's reach is no drift of ours, and costs one look a comparison."""
    accounts = [(await bridge.provisioning.create_user(user(f"p{one}@x.example"))).row.remote_id for one in range(3)]
    hidden = bridge.remote.add_group("Hidden")
    group = bridge.remote.groups.pop(hidden)
    bridge.remote.members |= {(hidden, str(account)) for account in accounts}

    found = await compared(bridge)

    assert not classes(found)
    assert len(bridge.remote.members) == 3
    assert bridge.remote.called("get_group") == 1
    bridge.remote.groups[hidden] = group
    assert classes(await compared(bridge)) == {DriftClass.EXTRA_PRIVILEGE}
    assert not bridge.remote.members


async def test_somebody_with_values_of_an_extension_is_compared(bridge: Bridge) -> None:
    """What is told to the connector in order to explain a missing group has the connector's own attributes."""

    class Badge(Extension):
        __schema__ = URN("urn:example:Badge")
        number: str | None = None

    person = (await bridge.provisioning.create_user(user())).row
    await bridge.group_with("Sales", person.id)
    document = json.loads((await bridge.row("User", person.id)).document) | {"urn:example:Badge": {"number": "7"}}
    document["schemas"].append("urn:example:Badge")
    row = replace(await bridge.row("User", person.id), document=json.dumps(document).encode())
    await bridge.store.write(lambda tx: resources.save(tx, row))
    bridge.remote.members.clear()
    extended = Provisioning(
        CONNECTION,
        bridge.store,
        bridge.provisioning.connector,
        bridge.provisioning.policy,
        user_model=cast("type[User]", CoreUser[EnterpriseUser | Badge]),
    )

    found = await reconciler(replace(bridge, provisioning=extended)).run(apply=False)

    assert classes(found) == {DriftClass.MISSING}


async def test_somebody_removed_and_added_again_by_hand_is_removed_again(
    tmp_path: Path, remote: MemoryRemote, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a deactivated account is gone, an administrator makes another one of the same person: it is drift."""
    monkeypatch.setattr("tests.unit.provisioning.conftest.MemoryGroupsConnector", Vanishing)
    async with bridge_on(tmp_path / "b.db", remote, groups=True) as bridge:
        person = (await bridge.provisioning.create_user(user())).row
        await bridge.provisioning.modify_user(person.id, setting(active=False), always)
        remote.add_account("ada@corp.example")

        found = await compared(bridge)

        assert classes(found) == {DriftClass.EXTRA_ACTIVE}
        assert not remote.accounts


@pytest.mark.parametrize("done", [False, True], ids=["on its way", "done"])
async def test_what_a_client_writes_while_an_account_is_read_is_no_drift(
    bridge: Bridge, remote: MemoryRemote, monkeypatch: pytest.MonkeyPatch, *, done: bool
) -> None:
    """A member is removed between the read and the comparison: that is the driver's, and nobody has too much."""
    ada = (await bridge.provisioning.create_user(user())).row.id
    sales = await bridge.group_with("Sales", ada)
    held = set(remote.members)
    remote.members.clear()  # a difference, so that the account is read by itself
    comparing = reconciler(bridge)
    read = comparing.connector.get_user
    gate = remote.hold("set_user_groups")
    writing: list[asyncio.Task[object]] = []

    async def reading(remote_id: str) -> Remote[User]:
        remote.members |= held
        answer = await read(remote_id)
        removal = bridge.provisioning.modify_group(sales, None, [MemberDelta("remove", (ada,))], always)
        writing.append(asyncio.create_task(removal))
        await gate.entered.wait()
        if done:
            gate.release()
            await writing[0]
        return answer

    monkeypatch.setattr(comparing.listings, "read", lambda _, remote_id: reading(remote_id))
    found = await comparing.run(apply=False)
    gate.release()
    await asyncio.gather(*writing)

    assert writing
    assert not found.security
    assert not classes(found)
    assert not remote.members


async def test_a_listing_that_lags_brings_nobody_back(
    bridge: Bridge, remote: MemoryRemote, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who was removed by hand is deleted, and listed once more: nothing of them is taken in, others are."""
    person = (await bridge.provisioning.create_user(user())).row
    await bridge.group_with("Sales", person.id)
    await compared(bridge)
    remote.add_account("bob@x.example")
    old = await bridge.provisioning.connector.list_users(None, 100)
    del remote.accounts[str(person.remote_id)]
    remote.members.clear()
    await bridge.provisioning.delete_user(person.id, always)
    comparing = reconciler(bridge)

    async def lagging(_kind: str, _cursor: str | None) -> Page[User]:
        return old if _kind == "User" else Page([])

    monkeypatch.setattr(comparing.listings, "_page", lagging)
    await comparing.run()

    assert await by_name(bridge, "ada@corp.example") is None
    assert await by_name(bridge, "bob@x.example") is not None


async def test_a_clock_that_was_set_back_hides_no_drift(bridge: Bridge, remote: MemoryRemote) -> None:
    """Somebody was written an hour from now, by the clock before: what is done to them by hand is found."""
    person = (await bridge.provisioning.create_user(user())).row
    row = await bridge.row("User", person.id)
    later = replace(row, modified_at=row.modified_at + timedelta(hours=1))
    await bridge.store.write(lambda tx: resources.save(tx, later))
    remote.account(str(person.remote_id)).active = False

    found = await compared(bridge)

    assert classes(found) == {DriftClass.MISSING}
    assert not (await bridge.row("User", person.id)).shown_active


async def test_an_account_that_is_another_users_by_now_is_left(
    bridge: Bridge, remote: MemoryRemote, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is handed over to somebody who is created while the comparison reads it: they are not removed for another."""
    former = (await bridge.provisioning.create_user(user())).row
    await bridge.provisioning.modify_user(former.id, setting(active=False), always)
    account = str(former.remote_id)
    remote.account(account).active = True  # they were created, and the remote system gave the account back
    new = (await bridge.provisioning.create_user(user("bob@x.example"))).row
    comparing = reconciler(bridge)
    read = comparing.connector.get_user

    def hand_over(tx: Any) -> None:
        left = resources.get(tx, CONNECTION, "User", former.id)
        assert left is not None
        resources.save(tx, replace(left, remote_id=None))
        resources.save(tx, replace(new, remote_id=account))

    async def reading(_kind: str, remote_id: str) -> Remote[User]:
        if remote_id == account:
            await bridge.store.write(hand_over)
        return await read(remote_id)

    monkeypatch.setattr(comparing.listings, "read", reading)
    found = await comparing.run()
    await bridge.idle()

    assert not found.security
    assert remote.account(account).active
    assert (await bridge.row("User", new.id)).remote_id == account


async def test_a_comparison_waits_for_its_turn_as_long_as_its_patience_lasts(
    bridge: Bridge, remote: MemoryRemote
) -> None:
    """Beside a busy bridge a command waits for the remote system's limit; the periodic one is tried again later."""
    await bridge.provisioning.create_user(user())
    busy = RemoteRateLimitedError("used up", retry_after=0.01)
    remote.fail("list_users", busy, busy, busy)
    comparing = reconciler(bridge)
    with pytest.raises(RemoteRateLimitedError):
        await comparing.run(apply=False)
    comparing.listings.patience = 60.0

    found = await comparing.run(apply=False)

    assert (found.complete, found.compared) == (True, 1)
