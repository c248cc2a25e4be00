"""A userName that changes where the remote system can change it by another account only."""

from pathlib import Path

import pytest

from scim_bridge.hookspecs import hookimpl
from scim_bridge.models import Remote, User
from scim_bridge.testing.memory import MemoryConnector
from scim_bridge.testing.memory_remote import MemoryRemote
from tests.unit.provisioning.conftest import always, bridge_on, setting, user


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
