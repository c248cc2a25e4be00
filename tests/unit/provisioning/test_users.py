"""Users: what a write makes of the store and of the remote system."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import pytest
from scim2_models import ForbiddenException, NotFoundException, PreconditionFailedException, UniquenessException

from scim_bridge.errors import (
    ConnectorError,
    PendingError,
    RefusedError,
    RemoteCredentialsError,
    RemoteForbiddenError,
    RemoteInvalidValueError,
    RemoteRateLimitedError,
    RemoteUnavailableError,
)
from scim_bridge.models import Name
from scim_bridge.provisioning import ProvisioningPolicy
from scim_bridge.store import resources
from scim_bridge.store.rows import Ownership, State
from scim_bridge.testing.memory_remote import MemoryRemote
from tests.unit.provisioning.conftest import Bridge, always, bridge_on, setting, user


async def test_a_creation_is_answered_when_the_account_is_there(bridge: Bridge) -> None:
    """The row is settled and the remote system holds the account once create_user returns."""
    outcome = await bridge.provisioning.create_user(user())

    account = bridge.remote.find("ada@corp.example")
    assert outcome.created
    assert outcome.row.state is State.SETTLED
    assert account is not None
    assert account.active
    assert outcome.row.remote_id == account.remote_id
    assert [call.hook for call in bridge.remote.calls] == ["create_user"]


async def test_an_account_that_exists_is_adopted_without_a_second_one(bridge: Bridge) -> None:
    """An account made by hand becomes the client's; its attributes are brought to what the client says."""
    bridge.remote.add_account("Ada@Corp.example")

    outcome = await bridge.provisioning.create_user(user())

    assert len(bridge.remote.accounts) == 1
    assert (await bridge.row("User", outcome.row.id)).ownership is Ownership.ADOPTED
    account = bridge.remote.find("ada@corp.example")
    assert account is not None
    assert account.user.name is not None
    assert account.user.name.given_name == "Ada"


async def test_the_same_user_name_in_other_case_is_a_conflict(bridge: Bridge) -> None:
    """A second creation of an active User answers 409 and makes no second account."""
    await bridge.provisioning.create_user(user(external_id="1"))

    with pytest.raises(UniquenessException):
        await bridge.provisioning.create_user(user("ADA@corp.example", external_id="2"))

    assert len(bridge.remote.accounts) == 1


async def test_a_repeated_creation_is_calm_where_the_client_repeats(tmp_path: Path, remote: MemoryRemote) -> None:
    """The very same creation again answers the same id, without a call; with anything else in it, it is a 409."""
    policy = ProvisioningPolicy(budget=5.0, idempotent_create=timedelta(minutes=5))
    async with bridge_on(tmp_path / "b.db", remote, policy=policy) as bridge:
        first = await bridge.provisioning.create_user(user(external_id="1"))
        calls = len(remote.calls)

        second = await bridge.provisioning.create_user(user(external_id="1"))
        with pytest.raises(UniquenessException):
            await bridge.provisioning.create_user(user(external_id="1", title="Countess"))

        assert second.row.id == first.row.id
        assert not second.created
        assert len(remote.calls) == calls
        assert "title" not in json.loads((await bridge.row("User", first.row.id)).document)


async def test_a_creation_that_was_answered_is_a_conflict(bridge: Bridge) -> None:
    """No client is known to repeat blindly: RFC 7644 §3.3, 409."""
    await bridge.provisioning.create_user(user(external_id="1"))
    calls = len(bridge.remote.calls)

    with pytest.raises(UniquenessException):
        await bridge.provisioning.create_user(user(external_id="1"))

    assert len(bridge.remote.calls) == calls


async def test_a_creation_that_was_answered_pending_is_repeated_calmly(tmp_path: Path, remote: MemoryRemote) -> None:
    """After a 429 the same creation answers 201 with one account, also without an externalId."""
    async with bridge_on(tmp_path / "b.db", remote) as bridge:
        remote.fail("create_user", RemoteRateLimitedError("limit", retry_after=29.5))
        with pytest.raises(PendingError) as pending:
            await bridge.provisioning.create_user(user())

        repeated = None
        while repeated is None:
            try:
                repeated = await bridge.provisioning.create_user(user())
            except PendingError:
                continue

        assert pending.value.retry_after == 30
        assert not repeated.created
        assert len(remote.accounts) == 1
        assert remote.effects[0].hook == "create_user"


async def test_a_lost_answer_is_probed_and_nothing_is_made_twice(bridge: Bridge) -> None:
    """A creation that landed and lost its answer is found by its userName before anything is sent again."""
    bridge.remote.lose_answer("create_user")

    outcome = await bridge.provisioning.create_user(user())

    assert [call.hook for call in bridge.remote.calls][:2] == ["create_user", "find_user"]
    assert bridge.remote.called("create_user") == 1
    assert len(bridge.remote.accounts) == 1
    assert outcome.row.state is State.SETTLED


async def test_deactivation_is_confirmed_before_it_is_claimed(bridge: Bridge) -> None:
    """While the remote system holds the call, the resource is still found as active and nobody is answered."""
    created = await bridge.provisioning.create_user(user())
    gate = bridge.remote.hold("deactivate_user")
    writing = asyncio.create_task(bridge.provisioning.modify_user(created.row.id, setting(active=False), always))
    await gate.entered.wait()

    during = await bridge.row("User", created.row.id)
    assert not writing.done()
    assert during.shown_active
    assert not during.active

    gate.release()
    outcome = await writing
    assert not outcome.row.shown_active
    account = bridge.remote.find("ada@corp.example")
    assert account is not None
    assert not account.active


async def test_a_deactivation_that_arrives_during_a_slow_grant_wins(bridge: Bridge) -> None:
    """The grant under way ends, and the next call is the deactivation, whatever else was desired in between."""
    created = await bridge.provisioning.create_user(user())
    gate = bridge.remote.hold("update_user")
    rename = asyncio.create_task(
        bridge.provisioning.modify_user(created.row.id, setting(name=Name(given_name="Augusta")), always)
    )
    await gate.entered.wait()
    off = asyncio.create_task(bridge.provisioning.modify_user(created.row.id, setting(active=False), always))
    while (await bridge.row("User", created.row.id)).active:
        await asyncio.sleep(0)
    gate.release()

    await asyncio.gather(rename, off)

    assert [call.hook for call in bridge.remote.calls][-1] == "deactivate_user"
    account = bridge.remote.find("ada@corp.example")
    assert account is not None
    assert not account.active


async def test_deactivating_an_inactive_user_looks_and_writes_nothing(bridge: Bridge) -> None:
    """The same request again is calm; what was seen a while ago proves nothing about now."""
    created = await bridge.provisioning.create_user(user())
    await bridge.provisioning.modify_user(created.row.id, setting(active=False), always)
    calls = len(bridge.remote.calls)

    outcome = await bridge.provisioning.modify_user(created.row.id, setting(active=False), always)

    assert not outcome.row.shown_active
    assert [call.hook for call in bridge.remote.calls[calls:]] == ["get_user"]


@pytest.mark.parametrize("again", ["deactivate", "delete", "rename"])
async def test_somebody_let_in_by_hand_is_out_when_their_removal_is_said_again(bridge: Bridge, again: str) -> None:
    """A repeated removal, a deletion or any other write about them is answered after a look, and the account is out."""
    created = (await bridge.provisioning.create_user(user())).row
    await bridge.provisioning.modify_user(created.id, setting(active=False), always)
    bridge.remote.accounts[str((await bridge.row("User", created.id)).remote_id)].active = True

    if again == "delete":
        await bridge.provisioning.delete_user(created.id, always)
        assert bridge.remote.find("ada@corp.example") is None
        assert bridge.remote.find("ada@example.com") is None
        return
    change = setting(active=False) if again == "deactivate" else setting(name=Name(given_name="Augusta"))
    outcome = await bridge.provisioning.modify_user(created.id, change, always)
    (account,) = bridge.remote.accounts.values()
    assert not account.active
    assert not outcome.row.shown_active


async def test_reactivation_brings_the_same_account_back(bridge: Bridge) -> None:
    """A person who returns keeps the SCIM id and the remote id."""
    created = await bridge.provisioning.create_user(user())
    await bridge.provisioning.modify_user(created.row.id, setting(active=False), always)

    outcome = await bridge.provisioning.modify_user(created.row.id, setting(active=True), always)

    assert outcome.row.remote_id == created.row.remote_id
    assert bridge.remote.account(str(created.row.remote_id)).active


async def test_creating_an_inactive_user_again_reactivates(bridge: Bridge) -> None:
    """An IdP that lost its link posts again: the same id answers and the account is active."""
    created = await bridge.provisioning.create_user(user(external_id="1"))
    await bridge.provisioning.modify_user(created.row.id, setting(active=False), always)

    again = await bridge.provisioning.create_user(user(external_id="1"))

    assert again.row.id == created.row.id
    assert bridge.remote.account(str(created.row.remote_id)).active


async def test_a_deleted_user_is_gone_and_its_name_is_free(bridge: Bridge) -> None:
    """After DELETE the account is gone, the id is unknown, and the name makes a new User with another id."""
    created = await bridge.provisioning.create_user(user())

    await bridge.provisioning.delete_user(created.row.id, always)

    assert not bridge.remote.accounts
    with pytest.raises(NotFoundException):
        await bridge.provisioning.delete_user(created.row.id, always)
    again = await bridge.provisioning.create_user(user())
    assert again.row.id != created.row.id
    assert len(bridge.remote.accounts) == 1


async def test_a_deletion_under_way_is_not_claimed_by_its_retry(tmp_path: Path, remote: MemoryRemote) -> None:
    """A DELETE answered 429 answers 429 again, not 404, until the remote system agrees."""
    async with bridge_on(tmp_path / "b.db", remote) as bridge:
        created = await bridge.provisioning.create_user(user())
        bridge.answer_within(0.1)
        gate = remote.hold("delete_user")

        for _ in range(2):
            with pytest.raises(PendingError):
                await bridge.provisioning.delete_user(created.row.id, always)

        gate.release()
        await bridge.idle()
        assert not remote.accounts


async def test_a_refused_change_goes_back_to_what_is_observed(bridge: Bridge) -> None:
    """A permanent refusal answers its status; the resource shows what the remote system holds and why."""
    created = await bridge.provisioning.create_user(user())
    bridge.remote.fail("update_user", RemoteInvalidValueError("no such name"))

    with pytest.raises(RefusedError) as refused:
        await bridge.provisioning.modify_user(created.row.id, setting(name=Name(given_name="X")), always)

    row = await bridge.row("User", created.row.id)
    assert refused.value.status == 400
    assert refused.value.scim_type == "invalidValue"
    assert row.state is State.BLOCKED
    assert row.refusal is not None
    assert b'"Ada"' in row.document
    assert b'"X"' not in row.document


async def test_a_refused_creation_leaves_nothing_behind_and_can_be_tried_again(bridge: Bridge) -> None:
    """The refusal is told; the next creation of the same name starts afresh and succeeds."""
    bridge.remote.fail("create_user", RemoteInvalidValueError("no seat left"))
    with pytest.raises(RefusedError):
        await bridge.provisioning.create_user(user())

    outcome = await bridge.provisioning.create_user(user())

    assert outcome.row.state is State.SETTLED
    assert len(bridge.remote.accounts) == 1


async def test_a_refused_removal_stays_pending_and_is_told(bridge: Bridge) -> None:
    """A deactivation that a guard refuses answers 403, is still found as active, and is never given up."""
    created = await bridge.provisioning.create_user(user())
    bridge.remote.fail("deactivate_user", RemoteForbiddenError("this is a Super Admin"))

    with pytest.raises(RefusedError) as refused:
        await bridge.provisioning.modify_user(created.row.id, setting(active=False), always)

    row = await bridge.row("User", created.row.id)
    assert refused.value.status == 403
    assert row.state is State.PENDING
    assert not row.active
    assert row.shown_active
    assert row.not_before is not None


async def test_a_refused_removal_is_tried_again_when_the_client_asks_again(bridge: Bridge) -> None:
    """The client's retry is a new attempt at once."""
    created = await bridge.provisioning.create_user(user())
    bridge.remote.fail("deactivate_user", RemoteForbiddenError("this is a Super Admin"))
    with pytest.raises(RefusedError):
        await bridge.provisioning.modify_user(created.row.id, setting(active=False), always)

    outcome = await bridge.provisioning.modify_user(created.row.id, setting(active=False), always)

    assert not outcome.row.shown_active


@pytest.mark.parametrize(
    ("error", "retry_after"),
    [
        (RemoteRateLimitedError("limit", retry_after=7.2), 8),
        (RemoteUnavailableError("down", ambiguous=False, retry_after=30), 60),
        (RemoteCredentialsError("token refused"), 120),
    ],
)
async def test_transient_failures_are_told_with_a_fitting_retry_after(
    tmp_path: Path, remote: MemoryRemote, error: ConnectorError, retry_after: int
) -> None:
    """The answer is 429 with whole seconds, the intent is durable, and the driver needs no second request."""
    async with bridge_on(tmp_path / "b.db", remote) as bridge:
        remote.down = error
        bridge.answer_within(5.0)

        with pytest.raises(PendingError) as pending:
            await bridge.provisioning.create_user(user())

        assert pending.value.status == 429
        assert pending.value.retry_after == retry_after
        row = await bridge.store.read(lambda tx: resources.find_by_name(tx, "acme", "User", "ada@corp.example"))
        assert row is not None
        assert row.state is State.PENDING


async def test_what_was_pending_at_a_crash_is_driven_after_the_restart(tmp_path: Path, remote: MemoryRemote) -> None:
    """Recovery is the same loop: a removal that was accepted before the crash is done without a new request."""
    async with bridge_on(tmp_path / "b.db", remote) as bridge:
        created = await bridge.provisioning.create_user(user())
        bridge.answer_within(0.1)
        remote.down = RemoteUnavailableError("down", ambiguous=False, retry_after=0.05)
        with pytest.raises(PendingError):
            await bridge.provisioning.modify_user(created.row.id, setting(active=False), always)

    remote.down = None
    async with bridge_on(tmp_path / "b.db", remote) as bridge:
        await bridge.idle()
        account = remote.find("ada@corp.example")
        assert account is not None
        assert not account.active
        row = await bridge.row("User", created.row.id)
        assert row.state is State.SETTLED


async def test_a_call_that_a_crash_cut_off_is_asked_for_before_it_is_repeated(
    tmp_path: Path, remote: MemoryRemote
) -> None:
    """The creation had landed when the process died: the restart finds the account and makes no second one."""
    async with bridge_on(tmp_path / "b.db", remote) as bridge:
        gate = remote.hold("create_user", after_effect=True)
        writing = asyncio.create_task(bridge.provisioning.create_user(user()))
        await gate.entered.wait()
        writing.cancel()
    gate.release()

    async with bridge_on(tmp_path / "b.db", remote) as bridge:
        await bridge.idle()

        assert [call.hook for call in remote.calls] == ["create_user", "find_user"]
        assert len(remote.accounts) == 1
        outcome = await bridge.provisioning.create_user(user())
        assert outcome.row.state is State.SETTLED


async def test_five_pushes_to_one_user_may_be_one_call(tmp_path: Path, remote: MemoryRemote) -> None:
    """Newer generations absorb older ones while the driver is busy."""
    async with bridge_on(tmp_path / "b.db", remote) as bridge:
        created = await bridge.provisioning.create_user(user())
        gate = remote.hold("update_user")
        writes = [
            asyncio.create_task(
                bridge.provisioning.modify_user(created.row.id, setting(name=Name(given_name=f"A{number}")), always)
            )
            for number in range(6)
        ]
        await gate.entered.wait()
        while (await bridge.row("User", created.row.id)).generation < 7:
            await asyncio.sleep(0)
        gate.release()
        await asyncio.gather(*writes)

        assert 1 <= remote.called("update_user") <= 2
        account = remote.find("ada@corp.example")
        assert account is not None
        assert account.user.name is not None
        assert account.user.name.given_name == "A5"


async def test_an_attribute_the_remote_system_does_not_hold_costs_no_call(bridge: Bridge) -> None:
    """What only the bridge keeps is stored and answered at once."""
    created = await bridge.provisioning.create_user(user())
    calls = len(bridge.remote.calls)

    outcome = await bridge.provisioning.modify_user(created.row.id, setting(nick_name="Countess"), always)

    assert b"Countess" in outcome.row.document
    assert len(bridge.remote.calls) == calls


async def test_a_stale_if_match_changes_nothing(bridge: Bridge) -> None:
    """A failed precondition leaves desired state and remote system alone."""
    created = await bridge.provisioning.create_user(user())

    def stale(etag: str) -> None:
        raise PreconditionFailedException

    with pytest.raises(PreconditionFailedException):
        await bridge.provisioning.modify_user(created.row.id, setting(active=False), stale)

    assert (await bridge.row("User", created.row.id)).active


async def test_an_unknown_user_name_is_asked_for_once_and_taken_over(bridge: Bridge) -> None:
    """An account made by hand is found, owned by nobody, and refused to be deleted."""
    bridge.remote.add_account("bob@corp.example")

    await bridge.provisioning.find_user("bob@corp.example")

    rows = await bridge.store.read(lambda tx: resources.iterate(tx, "acme", "User", after=None, limit=10))
    assert [row.ownership for row in rows] == [Ownership.DISCOVERED]
    with pytest.raises(ForbiddenException):
        await bridge.provisioning.delete_user(rows[0].id, always)
    assert bridge.remote.find("bob@corp.example") is not None


async def test_an_account_made_by_hand_can_be_deactivated_by_the_client(bridge: Bridge) -> None:
    """Offboarding works for accounts the client did not create; writing one claims it."""
    bridge.remote.add_account("bob@corp.example")
    await bridge.provisioning.find_user("bob@corp.example")
    rows = await bridge.store.read(lambda tx: resources.iterate(tx, "acme", "User", after=None, limit=10))

    outcome = await bridge.provisioning.modify_user(rows[0].id, setting(active=False), always)

    assert outcome.row.ownership is Ownership.ADOPTED
    account = bridge.remote.find("bob@corp.example")
    assert account is not None
    assert not account.active
