"""The boundary of every hook call."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from scim_bridge.connections import BoundConnector
from scim_bridge.connector import call_deadline
from scim_bridge.errors import RemoteConflictError, RemoteUnavailableError, StoreUnavailableError
from scim_bridge.hookspecs import HOOKS, hookimpl
from scim_bridge.models import Group, Remote, User
from scim_bridge.testing.contexts import connected
from scim_bridge.testing.memory import MemoryConnector, MemoryGroupsConnector
from scim_bridge.testing.memory_remote import MemoryRemote
from scim_bridge.testing.virtual_time import run_virtually

ADA = User(user_name="ada")

CALLS: dict[str, Callable[[BoundConnector], Awaitable[object]]] = {
    "check_connection": lambda c: c.check_connection(),
    "list_users": lambda c: c.list_users(None, 1),
    "find_user": lambda c: c.find_user("ada"),
    "get_user": lambda c: c.get_user("7"),
    "create_user": lambda c: c.create_user(ADA),
    "update_user": lambda c: c.update_user("7", ADA, ADA),
    "finish_user": lambda c: c.finish_user("7"),
    "deactivate_user": lambda c: c.deactivate_user("7", ADA),
    "reactivate_user": lambda c: c.reactivate_user("7", ADA),
    "identify": lambda c: c.identify(),
    "delete_user": lambda c: c.delete_user("7"),
    "list_groups": lambda c: c.list_groups(None, 1),
    "get_group": lambda c: c.get_group("7"),
    "create_group": lambda c: c.create_group(Group(display_name="Sales")),
    "update_group": lambda c: c.update_group("7", Group(display_name="Sales"), Group(display_name="Sales")),
    "delete_group": lambda c: c.delete_group("7"),
    "set_user_groups": lambda c: c.set_user_groups("7", ADA, []),
    "add_group_members": lambda c: c.add_group_members("7", []),
    "remove_group_members": lambda c: c.remove_group_members("7", []),
    "list_group_members": lambda c: c.list_group_members("7", None, 1),
    "list_entitlements": lambda c: c.list_entitlements(),
    "schemas": lambda c: c.schemas(),
    "explain_user": lambda c: c.explain_user("7", ADA, []),
}
"""One call per hook; the test below shows that none is missing."""


async def hang(self: object) -> None:
    """Wait for ever."""
    await asyncio.Event().wait()


def hanging(base: type[MemoryConnector] | type[MemoryGroupsConnector], *hooks: str) -> type[MemoryConnector]:
    """Return a connector type whose hooks never end."""
    return type("Hanging", (base,), dict.fromkeys(hooks, hookimpl(hang)))


def test_there_is_a_call_for_every_hook() -> None:
    """The table of calls in this file is complete."""
    assert set(CALLS) == HOOKS


@pytest.mark.parametrize("hook", sorted(HOOKS))
def test_every_hook_is_ended_at_the_deadline_and_observed(hook: str) -> None:
    """Whatever hook hangs, the call ends after the deadline with an open outcome, and the observer learns of it."""
    observed: list[tuple[str, str | None, str, float]] = []
    base = MemoryGroupsConnector if "members" in hook else MemoryConnector

    async def scenario() -> None:
        def observer(name: str, remote_id: str | None, outcome: str, seconds: float) -> None:
            observed.append((name, remote_id, outcome, seconds))

        async with connected(hanging(base, hook), {}, deadline=20.0, observer=observer) as connector:
            with pytest.raises(RemoteUnavailableError, match="did not answer in time") as raised:
                await CALLS[hook](connector)
            assert raised.value.ambiguous is True

    run_virtually(scenario())

    ((name, remote_id, outcome, seconds),) = observed
    assert (name, outcome) == (hook, "RemoteUnavailableError")
    assert seconds == pytest.approx(20.0)
    takes_an_object = hook not in {"check_connection", "identify", "schemas"} and not hook.startswith(
        ("list_users", "list_groups", "list_entitlements", "find", "create")
    )
    assert remote_id == ("7" if takes_an_object else None)


class Failing(MemoryConnector):
    """Raises what its test says."""

    name = "failing"
    error: Exception = Exception()

    @hookimpl
    async def get_user(self, remote_id: str) -> Remote[User]:
        """Raise."""
        raise self.error


async def test_an_error_of_the_contract_passes_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a connector raises on purpose reaches the caller as the same object."""
    error = RemoteConflictError("taken")
    monkeypatch.setattr(Failing, "error", error)

    async with connected(Failing, {}) as connector:
        with pytest.raises(RemoteConflictError) as raised:
            await connector.get_user("7")

    assert raised.value is error


@pytest.mark.parametrize(
    "error", [KeyError("planted-secret"), TimeoutError("planted-secret"), OSError("planted-secret")]
)
async def test_any_other_exception_becomes_an_open_outcome(
    error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug of a connector is an unavailable remote system with its cause; its text never reaches the client."""
    monkeypatch.setattr(Failing, "error", error)

    async with connected(Failing, {}) as connector:
        with pytest.raises(RemoteUnavailableError) as raised:
            await connector.get_user("7")

    assert raised.value.ambiguous is True
    assert raised.value.__cause__ is error
    assert "planted-secret" not in raised.value.detail
    assert "planted-secret" not in caplog.text.replace('("planted-secret")', "")
    unexpected = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(unexpected) == (0 if isinstance(error, TimeoutError) else 1)


async def test_a_store_that_is_down_is_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A connector whose state cannot be written has no bug: the outcome is open, and no traceback is logged."""
    monkeypatch.setattr(Failing, "error", StoreUnavailableError("locked"))

    async with connected(Failing, {}) as connector:
        with pytest.raises(RemoteUnavailableError) as raised:
            await connector.get_user("7")

    assert raised.value.ambiguous is True
    assert [(record.levelno, record.exc_info) for record in caplog.records] == [(logging.WARNING, None)]


async def test_cancellation_passes() -> None:
    """A cancelled call is cancelled inside, too, and observed as such."""
    outcomes: list[str] = []
    MemoryRemote.forget("test")
    gate = MemoryRemote.named("test").hold("create_user")

    async with connected(MemoryConnector, {}, observer=lambda *seen: outcomes.append(seen[2])) as connector:
        call = asyncio.create_task(connector.create_user(ADA))
        await gate.entered.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    assert outcomes == ["cancelled"]
    assert not MemoryRemote.named("test").accounts


def test_an_outer_deadline_that_is_nearer_holds() -> None:
    """A hook call inside a request with five seconds left has five seconds."""

    async def scenario() -> float:
        token = call_deadline.set(5.0)
        async with connected(hanging(MemoryConnector, "get_user"), {}, deadline=20.0) as connector:
            with pytest.raises(RemoteUnavailableError):
                await connector.get_user("7")
        assert call_deadline.get() == 5.0
        call_deadline.reset(token)
        return asyncio.get_running_loop().time()

    assert run_virtually(scenario()) == pytest.approx(5.0)


def test_the_deadline_is_told_to_what_runs_inside() -> None:
    """HTTP clients can read the deadline during the call, and it is gone after."""
    seen: list[float | None] = []

    class Reading(MemoryConnector):
        name = "reading"

        @hookimpl
        async def delete_user(self, remote_id: str) -> None:
            """Note the deadline."""
            seen.append(call_deadline.get())

    async def scenario() -> None:
        async with connected(Reading, {}, deadline=20.0) as connector:
            await connector.delete_user("7")
        seen.append(call_deadline.get())

    run_virtually(scenario())

    assert seen == [20.0, None]
