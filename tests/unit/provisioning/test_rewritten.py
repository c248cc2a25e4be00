"""What the remote system makes of a value settles: it is not written again at each comparison, and hides nothing."""

import logging
from collections.abc import Callable
from functools import partial

import pytest

from scim_bridge.models import Remote, User
from scim_bridge.provisioning.drift import Comparison, DriftClass
from scim_bridge.provisioning.reconcile import Reconciler
from scim_bridge.testing.memory import MemoryAccounts
from scim_bridge.views.person import Attribute, Person, person
from tests.unit.provisioning.conftest import CONNECTION, Bridge, always, setting, user


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[str], str]]:
    """What the remote system makes of titles; the last one counts."""
    made: list[Callable[[str], str]] = [str.upper]
    seen = MemoryAccounts.seen

    def rewriting(self: MemoryAccounts, remote_id: str, *, existed: bool = False) -> Remote[User]:
        answer = seen(self, remote_id, existed=existed)
        answer.resource.title = answer.resource.title and made[-1](answer.resource.title)
        return answer

    monkeypatch.setattr(MemoryAccounts, "seen", rewriting)
    return made


async def compared(bridge: Bridge) -> Comparison:
    """Compare, and wait until what was handed over is through."""
    comparison = await Reconciler(bridge.provisioning).run()
    await bridge.idle()
    return comparison


async def drifted(bridge: Bridge, times: int) -> list[bool]:
    """Compare some times, and return of each whether an attribute differed."""
    return [DriftClass.ATTRIBUTE in {one.drift for one in (await compared(bridge)).drifts} for _ in range(times)]


async def title_of(bridge: Bridge, user_id: str) -> Attribute:
    """Return what operators are told of a title."""
    told = await bridge.store.read(partial(person, connection_id=CONNECTION, who=user_id))
    assert isinstance(told, Person)
    return next(one for one in told.attributes if one.path == "title")


async def test_what_came_back_twice_counts_as_what_was_sent(
    bridge: Bridge,
    shown: list[Callable[[str], str]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is told once, and shown to operators; a change by a client or by hand is written as ever."""
    caplog.set_level(logging.WARNING, "scim_bridge.driver")
    ada = (await bridge.provisioning.create_user(user(title="Head"))).row
    account = bridge.remote.account(str(ada.remote_id))
    assert (await drifted(bridge, 3), bridge.remote.called("update_user")) == ([True, False, False], 2)
    assert [record.getMessage().split(": ")[-1] for record in caplog.records] == [
        "the remote system keeps another value of title than it is sent; it is not sent again"
    ]
    told = await title_of(bridge, ada.id)
    assert (told.wanted, told.there, told.differs, told.note) == ("Head", "HEAD", False, "rewritten there")

    await bridge.provisioning.modify_user(ada.id, setting(display_name="Ada"), always)
    assert await drifted(bridge, 1) == [False]

    account.user.title = "Chief"  # which is not what comes of an update of something else
    for name in ("Ada B.", "Ada Byron"):
        await bridge.provisioning.modify_user(ada.id, setting(display_name=name), always)
    assert (await drifted(bridge, 3), account.user.title) == ([True, True, False], "Head")

    await bridge.provisioning.modify_user(ada.id, setting(title="Lead"), always)
    assert (await drifted(bridge, 3), account.user.title) == ([True, False, False], "Lead")

    await bridge.provisioning.modify_user(ada.id, setting(title=None), always)
    assert await drifted(bridge, 2) == [False, False]
    assert bridge.remote.account(str(ada.remote_id)).user.title is None


async def test_an_answer_that_is_older_than_the_update_hides_no_change_by_hand(
    bridge: Bridge, shown: list[Callable[[str], str]]
) -> None:
    """Once is no habit: whoever sets the former value by hand is found."""
    shown.append(str)
    ada = (await bridge.provisioning.create_user(user(title="Head"))).row
    account = bridge.remote.account(str(ada.remote_id))
    shown.append(lambda _: "Head")
    await bridge.provisioning.modify_user(ada.id, setting(title="Lead"), always)
    shown.append(str)
    account.user.title = "Head"
    assert (await drifted(bridge, 2), account.user.title) == ([True, False], "Lead")


async def test_what_is_not_rewritten_any_more_hides_no_change_by_hand(
    bridge: Bridge, shown: list[Callable[[str], str]]
) -> None:
    """Seen as it was sent, a value is no longer one that comes back otherwise."""
    ada = (await bridge.provisioning.create_user(user(title="Head"))).row
    account = bridge.remote.account(str(ada.remote_id))
    assert await drifted(bridge, 2) == [True, False]
    shown.append(str)
    assert await drifted(bridge, 1) == [False]
    account.user.title = "HEAD"
    assert (await drifted(bridge, 2), account.user.title) == ([True, False], "Head")
