"""A hook's answer is believed only when it is about the object that was asked for."""

from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar

import pytest
from pydantic import BaseModel

from scim_bridge.connector import Connector
from scim_bridge.errors import RemoteMisroutedError
from scim_bridge.hookspecs import hookimpl
from scim_bridge.models import Group, Remote, User
from scim_bridge.testing.contexts import connected


class Settings(BaseModel):
    """None."""


class MixedUp(Connector[Settings]):
    """Answers about "other", whatever it is asked."""

    name = "mixed-up"
    config_model = Settings
    answer: ClassVar[str] = "other"

    @hookimpl
    async def get_user(self) -> Remote[User]:
        """Read."""
        return Remote(self.answer, User(user_name="other@example.com"))

    @hookimpl
    async def create_user(self) -> Remote[User]:
        """Create."""
        return await self.get_user()

    @hookimpl
    async def update_user(self) -> Remote[User]:
        """Update."""
        return await self.get_user()

    @hookimpl
    async def deactivate_user(self) -> None:
        """Deactivate."""

    @hookimpl
    async def reactivate_user(self) -> Remote[User]:
        """Reactivate."""
        return await self.get_user()

    @hookimpl
    async def set_user_groups(self, groups: Sequence[str]) -> Remote[User]:
        """Give groups."""
        return await self.get_user()

    @hookimpl
    async def list_groups(self) -> None:
        """List none."""

    @hookimpl
    async def get_group(self) -> Remote[Group]:
        """Read a group."""
        return Remote(self.answer, Group(display_name="Other"))


ASKED, RENAMED = User(user_name="Asked@example.com"), User(user_name="new@example.com")


class MadeAnew(MixedUp):
    """Answers that the account of another id took the place of the one that is asked for."""

    name = "made-anew"

    @hookimpl
    async def get_user(self) -> Remote[User]:
        """Read."""
        return Remote(self.answer, User(user_name="other@example.com"), unfinished=True)


async def test_a_read_may_find_the_account_that_took_the_place_of_another() -> None:
    """Nobody else could say so: the connector noted it before it made the account. A write may not."""
    async with connected(MadeAnew, {}) as connector:
        assert (await connector.get_user("asked")).remote_id == "other"
        with pytest.raises(RemoteMisroutedError):
            await connector.set_user_groups("asked", ASKED, [])


@pytest.mark.parametrize("hook", ["get_user", "get_group", "set_user_groups", "update_user"])
async def test_an_answer_about_another_object_is_not_understood(hook: str) -> None:
    """Reads and writes of one object: transient and alarmed, and whoever goes on looks first."""
    spelt_otherwise = ASKED.model_copy(update={"user_name": "asked@example.com "})
    async with connected(MixedUp, {}) as connector:
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "get_user": lambda: connector.get_user("asked"),
            "get_group": lambda: connector.get_group("asked"),
            "set_user_groups": lambda: connector.set_user_groups("asked", ASKED, []),
            "update_user": lambda: connector.update_user("asked", ASKED, spelt_otherwise),
        }
        with pytest.raises(RemoteMisroutedError) as raised:
            await calls[hook]()

    assert raised.value.ambiguous
    assert raised.value.alarms


async def test_another_account_is_taken_where_one_is_announced() -> None:
    """A person who returns, or whose userName changes, may be another account."""
    async with connected(MixedUp, {}) as connector:
        assert (await connector.reactivate_user("asked", ASKED)).remote_id == "other"
        assert (await connector.update_user("asked", ASKED, RENAMED)).remote_id == "other"
        assert (await connector.get_user("other")).remote_id == "other"
        assert (await connector.create_user(ASKED)).remote_id == "other"
