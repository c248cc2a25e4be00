"""A client that changes its mind about a member while the call about it is under way gets what it said last."""

import asyncio
from pathlib import Path

import pytest

from scim_bridge.errors import ConnectorError, RemoteRateLimitedError, RemoteUnavailableError
from scim_bridge.provisioning import driver
from scim_bridge.store.rows import MemberDelta, State
from scim_bridge.testing.memory_remote import MemoryRemote
from tests.unit.provisioning.conftest import Bridge, always, bridge_on, user

SHORT = 0.3
"""Seconds for requests that are to be answered while their outcome is open."""


def limited() -> ConnectorError:
    """Return the failure of a call that was never sent."""
    return RemoteRateLimitedError("used up", retry_after=0.01)


def lost() -> ConnectorError:
    """Return the failure of a call of which nobody knows whether it took effect."""
    return RemoteUnavailableError("the answer was lost", ambiguous=True, retry_after=0.01)


async def change(bridge: Bridge, team: str, person: str, *, member: bool) -> asyncio.Task[object]:
    """Have a client add or remove a member, and return its request once it is accepted."""
    delta = MemberDelta("add" if member else "remove", (person,))
    request = asyncio.create_task(bridge.provisioning.modify_group(team, None, [delta], always))
    while (await bridge.groups_of(person)).get("Team", (False, False))[0] is not member:
        await bridge.turn()
    return request


@pytest.mark.parametrize("groups", [False, True], ids=["on the person", "on the group"])
@pytest.mark.parametrize("begins", [False, True], ids=["outside", "inside"])
@pytest.mark.parametrize("changes", [2, 3])
@pytest.mark.parametrize("failure", ["limited", "lost before", "lost after"])
async def test_what_a_client_said_last_is_what_is_held(
    tmp_path: Path, remote: MemoryRemote, *, groups: bool, begins: bool, changes: int, failure: str
) -> None:
    """The call about a member fails, with or without effect, after the client changed its mind once or twice."""
    hooks = ["add_group_members", "remove_group_members"] if groups else ["set_user_groups"]
    async with bridge_on(tmp_path / "bridge.db", remote, groups=groups) as bridge:
        person = (await bridge.provisioning.create_user(user())).row.id
        team = await bridge.group_with("Team", *[person] if begins else [])
        await bridge.idle()
        bridge.answer_within(SHORT)
        for hook in hooks:
            remote.fail(hook, limited() if failure == "limited" else lost(), after_effect=failure == "lost after")
        gates = [remote.hold(hook) for hook in hooks]
        requests = []
        member = begins
        for _ in range(changes):
            member = not member
            requests.append(await change(bridge, team, person, member=member))
            while not any(gate.entered.is_set() for gate in gates):
                await bridge.turn()
        for gate in gates:
            gate.release()
        await asyncio.gather(*requests, return_exceptions=True)
        await bridge.idle()

        assert bool(remote.members) is member
        assert await bridge.groups_of(person) == ({"Team": (True, True)} if member else {})
        assert (await bridge.row("User", person)).state is State.SETTLED


async def test_what_a_dead_process_sent_last_is_waited_for(
    tmp_path: Path, remote: MemoryRemote, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A grant that takes effect after the process that sent it is dead is seen, and a removal takes it back."""
    monkeypatch.setattr(driver, "ON_THE_WIRE", 0.3)
    gate = remote.hold("set_user_groups")
    async with bridge_on(tmp_path / "bridge.db", remote) as bridge:
        person = (await bridge.provisioning.create_user(user())).row.id
        team = await bridge.group_with("Team")
        bridge.answer_within(SHORT)
        joining = await change(bridge, team, person, member=True)
        await gate.entered.wait()
    gate.release()
    account = next(iter(remote.accounts))
    group = next(iter(remote.groups))

    async with bridge_on(tmp_path / "bridge.db", remote) as bridge:
        leaving = await change(bridge, team, person, member=False)
        asyncio.get_running_loop().call_later(0.1, remote.members.add, (group, account))
        await asyncio.gather(joining, leaving, return_exceptions=True)

        assert remote.members == set()
        assert leaving.exception() is None
