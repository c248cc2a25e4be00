"""A connection keeps to the remote system that it was pinned to, and is held with any other."""

import asyncio
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scim_bridge.connections import BoundConnector
from scim_bridge.errors import PendingError, RemoteUnavailableError
from scim_bridge.provisioning import Provisioning, ProvisioningPolicy, identification, observing
from scim_bridge.provisioning.identification import Pin, judge
from scim_bridge.provisioning.leading import Schedule, drive
from scim_bridge.store import audit
from scim_bridge.store.engine import Store
from scim_bridge.store.rows import MemberDelta, State
from scim_bridge.testing.contexts import connected
from scim_bridge.testing.memory import MemoryConnector
from scim_bridge.testing.memory_remote import MemoryRemote
from tests.unit.provisioning.conftest import CONNECTION, Bridge, always, bridge_on, setting, user
from tests.unit.provisioning.test_groups import people, remote_groups
from tests.unit.provisioning.test_reconcile import reconciler

ADA, BOB = "ada@x.example", "bob@x.example"
NOW = datetime(2026, 11, 28, tzinfo=UTC)


def told(identity: str | None) -> MemoryRemote:
    """Return a remote system that tells who it is."""
    return MemoryRemote(identity)


async def pin_of(bridge: Bridge) -> Pin:
    """Return what the store knows of the remote system."""
    return await bridge.store.read(lambda tx: identification.pinned(tx, CONNECTION))


async def decisions(bridge: Bridge) -> list[str]:
    """Return what the audit chain says of the remote system."""
    events = await bridge.store.scan(lambda tx: [entry.event for entry in audit.export(tx, CONNECTION)])
    return [event["decision"] for event in events if event["event"] == "remote"]


async def test_the_first_contact_pins(tmp_path: Path) -> None:
    """What is told before the first call is kept, once, over restarts."""
    remote = told("one")
    pins = []
    for name in (ADA, BOB):
        async with bridge_on(tmp_path / "b.db", remote) as bridge:
            await people(bridge, name)
            pins.append(await pin_of(bridge))

    assert (pins[0].identity, pins[0].problem) == ("memory one", None)
    assert pins[1] == pins[0]
    assert remote.identified == 2


@pytest.mark.parametrize("groups", [False, True], ids=["groups on the person", "members on the group"])
@pytest.mark.parametrize("other", ["two", None], ids=["another", "untold"])
async def test_nothing_reaches_another_remote_system(tmp_path: Path, groups: bool, other: str | None) -> None:
    """Removals, grants and creations stay pending behind 429; with the right one again, they are done."""
    remote, wrong = told("one"), told(other)
    async with bridge_on(tmp_path / "b.db", remote, groups=groups) as bridge:
        ada, bob = await people(bridge, ADA, BOB)
        sales = await bridge.group_with("Sales", ada)
    wrong.accounts = dict(remote.accounts)  # the same ids: nothing else would tell the two apart

    async with bridge_on(tmp_path / "b.db", wrong, groups=groups) as bridge:
        for _ in range(2):
            with pytest.raises(PendingError, match="the remote system is not the one it was"):
                await bridge.provisioning.modify_user(ada, setting(active=False), always)
        with pytest.raises(PendingError, match="held"):
            await bridge.provisioning.modify_group(sales, None, [MemberDelta("add", (bob,))], always)
        with pytest.raises(PendingError, match="held"):
            await bridge.provisioning.create_user(user("cyd@x.example"))
        await bridge.provisioning.find_user("dan@x.example")
        assert wrong.calls == []
        row = await bridge.row("User", ada)
        assert (row.state, row.shown_active) == (State.PENDING, True)
        pin = await pin_of(bridge)
        name = "memory-groups" if groups else "memory"
        assert (pin.identity, pin.problem) == (f"{name} one", "another" if other else "untold")
        assert f"{name} one" in pin.sentence(CONNECTION)
        assert other is None or f"{name} two" in pin.sentence(CONNECTION)

    async with bridge_on(tmp_path / "b.db", remote, groups=groups) as bridge:
        assert await bridge.provisioning.identification.confirmed()
        await bridge.idle()
        account = remote.find(ADA)
        assert account is not None
        assert not account.active
        assert remote_groups(remote, BOB) == {"Sales"}
        assert remote.find("cyd@x.example") is not None
        assert await decisions(bridge) == ["pinned", "held", "the same again"]


async def test_an_absence_there_confirms_no_removal(tmp_path: Path) -> None:
    """Another remote system's "there is no such account" is not asked for."""
    remote, wrong = told("one"), told("two")
    async with bridge_on(tmp_path / "b.db", remote) as bridge:
        (ada,) = await people(bridge, ADA)

    async with bridge_on(tmp_path / "b.db", wrong) as bridge:
        with pytest.raises(PendingError):
            await bridge.provisioning.delete_user(ada, always)
        assert wrong.calls == []


async def test_a_comparison_with_another_one_changes_nothing(tmp_path: Path) -> None:
    """It tells what differs, as before an operator lets a connection go live; nobody is taken over or missed."""
    remote, wrong = told("one"), told("two")
    async with bridge_on(tmp_path / "b.db", remote) as bridge:
        (ada,) = await people(bridge, ADA)
    wrong.add_account("stranger@x.example")

    async with bridge_on(tmp_path / "b.db", wrong) as bridge:
        await reconciler(bridge).run()
        await bridge.provisioning.driver.idle()
        assert not (await bridge.row("User", ada)).missing
        assert wrong.effects == []
        assert (await pin_of(bridge)).problem == "another"


async def test_an_operator_accepts_another_one(tmp_path: Path) -> None:
    """Then what is pending goes there, and the one before is the wrong one."""
    remote, right = told("one"), told("two")
    async with bridge_on(tmp_path / "b.db", remote) as bridge:
        await people(bridge, ADA)

    async with bridge_on(tmp_path / "b.db", right) as bridge:
        with pytest.raises(PendingError):
            await bridge.provisioning.create_user(user(BOB))
        await bridge.store.write(lambda tx: identification.accept(tx, CONNECTION, "memory two", now=NOW))
        await bridge.idle()
        assert right.find(BOB) is not None
        assert await decisions(bridge) == ["pinned", "held", "accepted"]

    async with bridge_on(tmp_path / "b.db", remote) as bridge:
        assert not await bridge.provisioning.identification.confirmed()


async def test_an_outage_waits_and_holds_nothing(bridge: Bridge, remote: MemoryRemote) -> None:
    """Who cannot be asked is nobody else: the write is tried again, and no operator is needed."""
    remote.identity = "one"
    remote.fail("identify", *[RemoteUnavailableError("down", ambiguous=False)] * 2)

    await bridge.provisioning.create_user(user(ADA))

    assert remote.find(ADA) is not None
    assert remote.identified == 3
    assert (await pin_of(bridge)).problem is None


async def test_a_remote_system_without_identity_is_as_any(bridge: Bridge, remote: MemoryRemote) -> None:
    """It is pinned when it first tells one."""
    await people(bridge, ADA)
    assert await pin_of(bridge) == Pin()

    remote.identity = "one"
    bridge.provisioning.identification.ask_again = 0.0
    bridge.provisioning.identification._confirmed_until = 0.0
    await people(bridge, BOB)

    assert (await pin_of(bridge)).identity == "memory one"


async def test_a_start_asks_by_itself_and_lets_go(tmp_path: Path) -> None:
    """Without a comparison or a write, the start finds another remote system, and the right one again."""
    problems = []
    for identity in ("one", "two", "one"):
        remote = told(identity)
        async with bridge_on(tmp_path / "b.db", remote) as bridge:
            comparing = reconciler(bridge)
            schedule = Schedule(at_start=False, seconds=0)
            async with drive(bridge.provisioning.driver, comparing, schedule, chance=lambda: 0.0):
                while not remote.identified:
                    await asyncio.sleep(0)
                await bridge.provisioning.identification.confirmed()
            problems.append((await pin_of(bridge)).problem)

    assert problems == [None, "another", None]


# -- Two connections on one remote system ------------------------------------------------------------------------------


def provisioning_of(name: str, store: Store, connector: BoundConnector, others: Collection[str]) -> Provisioning:
    """Return the provisioning of one of several connections of a store."""
    policy = ProvisioningPolicy(budget=0.5, apart=frozenset(others))
    return Provisioning(name, store, connector, policy, chance=lambda: 0.0)


async def test_the_second_connection_on_one_remote_system_is_held(tmp_path: Path) -> None:
    """Each would take away what the other gives; the first goes on, the other one says which it is."""
    remote = MemoryRemote.named("shared")
    store = await Store.open(f"sqlite:///{tmp_path / 'b.db'}")
    try:
        async with connected(MemoryConnector, {"remote": "shared"}) as connector:
            first = provisioning_of("first", store, connector, {"second"})
            second = provisioning_of("second", store, connector, {"first"})
            assert await first.identification.confirmed()

            assert not await second.identification.confirmed()

            with pytest.raises(PendingError, match="not this connection's alone"):
                await second.create_user(user(ADA))
            assert remote.calls == []
            assert "connection first" in await second.identification.problem()
            first.identification._confirmed_until = 0.0
            assert await first.identification.confirmed()
            allowed = provisioning_of("second", store, connector, ())
            assert await allowed.identification.confirmed()
            assert await store.read(lambda tx: observing.current(tx, "second")) is None
    finally:
        MemoryRemote.forget("shared")
        await store.close()


def test_of_two_that_were_pinned_the_later_is_held() -> None:
    """Also when neither knew of the other: the order is that of their first contact, then of their names."""
    earlier, later = Pin("hubspot 1", NOW), Pin("hubspot 1", NOW.replace(hour=1))

    assert judge(earlier, "hubspot 1", "a", {"b": later}, now=NOW).problem is None
    assert judge(later, "hubspot 1", "b", {"a": earlier}, now=NOW).problem == "shared"
    assert judge(earlier, "hubspot 1", "a", {"b": earlier}, now=NOW).problem is None
    assert judge(earlier, "hubspot 1", "b", {"a": earlier}, now=NOW).problem == "shared"
    assert judge(earlier, "hubspot 1", "a", {"b": Pin()}, now=NOW).problem is None
