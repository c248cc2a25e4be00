"""A userName that changes where the remote system can change it by another account only."""

from dataclasses import replace
from pathlib import Path

import pytest

from scim_bridge.errors import RemoteImmutableError
from scim_bridge.hookspecs import hookimpl
from scim_bridge.models import Name, Remote, User
from scim_bridge.store.rows import Ownership
from scim_bridge.testing.memory import MemoryConnector
from scim_bridge.testing.memory_remote import MemoryRemote
from tests.unit.provisioning.conftest import always, bridge_on, setting, user
from tests.unit.provisioning.test_reconcile import by_name, classes, compared, reconciler


async def test_an_account_that_a_new_user_name_replaced_is_the_one_that_is_deactivated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some systems can change a userName by another account only; whatever is written next is written to that one."""
    update = MemoryConnector.update_user

    @hookimpl
    async def update_user(self: MemoryConnector, remote_id: str, before: User, after: User) -> Remote[User]:
        await update(self, remote_id, before, after)
        account = self.remote.accounts.pop(remote_id)
        account.remote_id = f"successor of {remote_id}"
        self.remote.accounts[account.remote_id] = account
        return self.seen(account.remote_id)

    monkeypatch.setattr(MemoryConnector, "update_user", update_user)
    async with bridge_on(tmp_path / "store.db", MemoryRemote()) as bridge:
        user_id = (await bridge.provisioning.create_user(user())).row.id
        await bridge.provisioning.modify_user(user_id, setting(user_name="augusta@corp.example"), always)
        await bridge.provisioning.modify_user(user_id, setting(active=False), always)

        (account,) = bridge.remote.accounts.values()
        assert account.remote_id.startswith("successor of")
        assert account.user.user_name == "augusta@corp.example"
        assert not account.active
        assert (await bridge.row("User", user_id)).remote_id == account.remote_id


def renamed_by_hand(remote: MemoryRemote, name: str, to: str) -> None:
    """Change the userName of an account in the remote system."""
    account = remote.find(name)
    assert account is not None
    account.user.user_name = to


async def test_who_is_added_by_hand_under_a_name_that_another_account_left_is_shown(tmp_path: Path) -> None:
    """Each account has the User of its name: the former one's goes on standing for the renamed account."""
    remote = MemoryRemote()
    sales = remote.add_group("Sales")
    async with bridge_on(tmp_path / "store.db", remote) as bridge:
        ada = (await bridge.provisioning.create_user(user())).row.id
        renamed_by_hand(remote, "ada@corp.example", "augusta@corp.example")
        other = remote.add_account("ada@corp.example")
        remote.members.add((sales, other))
        remote.fail("update_user", RemoteImmutableError("a userName cannot be changed"))

        assert (await compared(bridge)).displaced == 1  # nobody knows yet that the first one was renamed
        assert (await compared(bridge)).displaced == 0

        first, second = await by_name(bridge, "augusta@corp.example"), await by_name(bridge, "ada@corp.example")
        assert first is not None
        assert second is not None
        assert (first.id, first.remote_id == other) == (ada, False)
        assert (second.remote_id, second.ownership) == (other, Ownership.DISCOVERED)
        assert await bridge.groups_of(second.id) == {"Sales": (True, True)}
        assert remote.called("update_user") == 1
        assert not classes(await compared(bridge, apply=False))

        await bridge.provisioning.modify_user(ada, setting(active=False), always)
        assert [account.active for account in remote.accounts.values()] == [False, True]


async def test_a_name_that_somebody_removed_has_left_is_not_kept_from_who_has_it_now(tmp_path: Path) -> None:
    """Nothing is tried again of somebody who is out; so they take their account's own name, and the other is shown."""
    remote = MemoryRemote()
    async with bridge_on(tmp_path / "store.db", remote) as bridge:
        ada = (await bridge.provisioning.create_user(user())).row.id
        renamed_by_hand(remote, "ada@corp.example", "augusta@corp.example")
        remote.fail("update_user", RemoteImmutableError("a userName cannot be changed"))
        await compared(bridge)
        await bridge.provisioning.modify_user(ada, setting(active=False, name=Name(family_name="King")), always)
        remote.add_account("ada@corp.example")
        before = await bridge.row("User", ada)

        assert (await compared(bridge)).displaced == 0

        first, second = await by_name(bridge, "augusta@corp.example"), await by_name(bridge, "ada@corp.example")
        assert first is not None
        assert second is not None
        assert (first.id, first.active, first.generation) == (ada, False, before.generation)
        assert (second.ownership, second.active) == (Ownership.DISCOVERED, True)
        assert [account.active for account in remote.accounts.values()] == [False, True]


async def test_what_every_comparison_tries_again_does_not_keep_a_name_from_who_has_it_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of whoever has the name of another account, the comparison that looks again tries nothing; the next one does."""

    @hookimpl
    async def update_user(self: MemoryConnector, remote_id: str, before: User, after: User) -> Remote[User]:
        if before.user_name != after.user_name:
            raise RemoteImmutableError("a userName cannot be changed")
        tried.append(str(after.name and after.name.family_name))
        return replace(self.seen(remote_id), deferred=frozenset({"name.familyName"}))

    tried: list[str] = []
    monkeypatch.setattr(MemoryConnector, "update_user", update_user)
    async with bridge_on(tmp_path / "store.db", MemoryRemote()) as bridge:
        ada = (await bridge.provisioning.create_user(user())).row.id
        await bridge.provisioning.modify_user(ada, setting(name=Name(family_name="King")), always)
        renamed_by_hand(bridge.remote, "ada@corp.example", "augusta@corp.example")
        await compared(bridge)
        bridge.remote.add_account("ada@corp.example")
        comparing, counts = reconciler(bridge), []
        for _ in range(3):
            tried.clear()
            found = await comparing.run()
            await bridge.idle()
            counts.append((found.displaced, len(tried)))

        assert counts == [(1, 1), (0, 0), (0, 1)]
        assert (await bridge.row("User", ada)).name == "augusta@corp.example"
        assert await by_name(bridge, "ada@corp.example") is not None
