"""What every rule stands on: the author's fixtures, and a connector opened without the bridge's safety nets."""

import asyncio
import copy
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, nullcontext, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

import httpx2
import pluggy
import pytest

from scim_bridge.connections import BoundConnector, Opened
from scim_bridge.connector import Connector, call_deadline
from scim_bridge.definition import implemented
from scim_bridge.errors import (
    ConnectorError,
    OperationNotSupportedError,
    RemoteInvalidValueError,
    RemoteNotFoundError,
    RemoteUnavailableError,
)
from scim_bridge.hookspecs import PROJECT, ConnectorSpec
from scim_bridge.models import Group, Name, User
from scim_bridge.testing.contexts import MemoryState, connector_context
from scim_bridge.testing.contract_remote import ContractRemote, HttpRemote
from scim_bridge.testing.contract_rules.attributes import samples_of
from scim_bridge.testing.virtual_time import VirtualTimeLoop
from scim_bridge.upstream import HttpClients

ResultT = TypeVar("ResultT")

DEADLINE = 20.0
"""Seconds that one hook call may take, as in the bridge."""

CALLS_UNTIL_DONE = 10
"""How often a hook is called about work that is done later, at most."""

Scenario = Callable[[BoundConnector], Awaitable[ResultT]]
"""What a rule does with an open connector."""


@dataclass
class Bench:
    """Opens the connector under test.

    No error boundary surrounds its hooks here: what the connector really raises is what the rules see.
    """

    connector_type: type[Connector[Any]]
    settings: Mapping[str, Any]
    remote: ContractRemote | None
    loop_factory: Callable[[], asyncio.AbstractEventLoop]
    finishes_later: bool = False
    state: MemoryState = field(default_factory=MemoryState)

    def http_clients(self) -> HttpClients:
        """Return a factory whose clients reach the remote system of the test, and nothing else."""
        return HttpClients(self.remote.transport if isinstance(self.remote, HttpRemote) else Unreachable())

    @asynccontextmanager
    async def open(self, http_clients: HttpClients | None = None) -> AsyncIterator[BoundConnector]:
        """Open one connector object; all objects of a test share the durable store."""
        context = connector_context(
            self.connector_type,
            copy.deepcopy(dict(self.settings)),
            http_client=http_clients or self.http_clients(),
            state=self.state,
        )
        hooks = pluggy.PluginManager(PROJECT)
        hooks.add_hookspecs(ConnectorSpec)
        async with self.connector_type(context) as connector:
            hooks.register(connector)
            bound = Patient if self.finishes_later else BoundConnector
            yield bound("contract", Opened(connector, hooks), boundary=None)

    def run(self, scenario: Scenario[ResultT]) -> ResultT:
        """Open the connector, run a scenario in an event loop of its own, and close it."""

        async def opened() -> ResultT:
            async with self.open() as connector:
                return await scenario(connector)

        with asyncio.Runner(loop_factory=self.loop_factory) as runner:
            return runner.run(opened())

    def faulty(self) -> ContractRemote:
        """Return the remote system; skip the rule where the author gave none."""
        if self.remote is None:
            pytest.skip("there is no `remote` fixture: nothing can be made to fail")
        return self.remote


calls_until_done: ContextVar[int] = ContextVar("calls_until_done", default=CALLS_UNTIL_DONE)


class Patient(BoundConnector):
    """A connector whose remote system accepts work and does it later: it is called again when it says."""

    async def _call(self, hook: str, **arguments: Any) -> Any:
        for _ in range(calls_until_done.get() - 1):
            try:
                return await within_deadline(super()._call(hook, **arguments))
            except RemoteUnavailableError as error:
                if type(error) is not RemoteUnavailableError or not error.ambiguous or error.retry_after is None:
                    raise
                await asyncio.sleep(error.retry_after)
        return await within_deadline(super()._call(hook, **arguments))


class Unreachable(httpx2.AsyncBaseTransport):
    """The network of a connector that has no ``remote`` fixture."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Refuse."""
        raise httpx2.ConnectError("tests do not reach the network: give a `remote` fixture", request=request)


async def within_deadline(call: Awaitable[ResultT]) -> ResultT:
    """Await one hook call as the bridge does, deadline included."""
    token = call_deadline.set(asyncio.get_running_loop().time() + DEADLINE)
    try:
        return await call
    finally:
        call_deadline.reset(token)


async def deactivate_again(connector: BoundConnector, remote_id: str, user: User) -> None:
    """Deactivate somebody who is out by now; where inactive accounts are absent, to find none is success, too."""
    with suppress(RemoteNotFoundError) if connector.inactive_is_absent else nullcontext():
        await within_deadline(connector.deactivate_user(remote_id, user))


async def begun(call: Awaitable[object]) -> None:
    """Await one hook call, and do not call again about work that it only began."""
    token = calls_until_done.set(1)
    try:
        with suppress(RemoteUnavailableError):
            await within_deadline(call)
    finally:
        calls_until_done.reset(token)


async def error_of(call: Awaitable[object]) -> ConnectorError:
    """Return the error that a call raises.

    Success fails the rule, and so does an exception that is not of the contract.
    """
    try:
        result = await within_deadline(call)
    except ConnectorError as error:
        return error
    except Exception as error:  # noqa: BLE001 -- the rule is that nothing else escapes
        pytest.fail(f"{type(error).__name__} escaped: only ConnectorError classes may")
    pytest.fail(f"nothing was raised; the call returned {type(result).__name__}")


def groups_of(user: User) -> frozenset[str] | None:
    """Return the remote ids of a user's groups; ``None`` when the answer could not tell."""
    return None if user.groups is None else frozenset(str(group.value) for group in user.groups)


class ContractFixtures:
    """The fixtures and settings an author fills in or overrides."""

    required_operations: ClassVar[frozenset[str]] = frozenset()
    """Hooks that must be there: a rule about one that is absent fails instead of being skipped."""

    unknown_id: ClassVar[str] = "999999999"
    """A remote id that no object has."""

    loop_factory: ClassVar[Callable[[], asyncio.AbstractEventLoop]] = VirtualTimeLoop
    """Makes the event loop. Time is virtual by default; a connector that works in threads takes
    ``asyncio.new_event_loop``."""

    finishes_later: ClassVar[bool] = False
    """Whether the remote system accepts work and does it later (202 and a job). Then rules call a hook again when it
    says, as the bridge does, until it answers."""

    crowd: ClassVar[int] = 101
    """How many accounts, and members, some rules make: more than the bridge asks for at a time."""

    checked: ClassVar[dict[str, frozenset[str]]]

    @pytest.fixture
    def connector_type(self) -> type[Connector[Any]]:
        """Return the connector type under test."""
        pytest.fail("give the fixture `connector_type`")

    @pytest.fixture
    def settings(self) -> Mapping[str, Any]:
        """Return the ``config`` table of the connection."""
        return {}

    @pytest.fixture
    def remote(self) -> object | None:
        """Return the remote system, fresh for each test: a transport, transports by base URL, or a ``ContractRemote``.

        Without one, rules that need failures or a count of writes are skipped.
        """
        return None

    @pytest.fixture
    def bench(
        self, connector_type: type[Connector[Any]], settings: Mapping[str, Any], remote: object | None
    ) -> Iterator[Bench]:
        """Put the connector on the bench."""
        if isinstance(remote, httpx2.AsyncBaseTransport | Mapping):
            remote = HttpRemote(remote)
        logging.getLogger("scim_bridge").setLevel(logging.DEBUG)
        yield Bench(connector_type, settings, remote, type(self).loop_factory, type(self).finishes_later)  # type: ignore[arg-type] # what an author returns
        logging.getLogger("scim_bridge").setLevel(logging.NOTSET)

    def make_user(self, number: int) -> User:
        """Return a user that the remote system takes; each number is another person."""
        return User(
            user_name=f"contract-{number}@example.com",
            name=Name(given_name=f"Given{number}", family_name=f"Family{number}"),
            active=True,
        )

    def samples(self, path: str) -> tuple[Any, Any]:
        """Return two different values of an attribute, by path, that the remote system takes."""
        return samples_of(path)

    def truth(self, remote_id: str) -> bool | None:  # noqa: ARG002 - for those who override it
        """Return whether the remote system itself lets somebody in, asked past the connector; ``None``: nobody can."""
        return None

    @pytest.fixture
    def other_settings(self) -> Mapping[str, Any] | None:
        """Return settings that lead to another account of the same kind, to which ``remote`` has to lead, too.

        Without them, it is not checked that two accounts have two identities.
        """
        return None

    async def two_groups(self, connector: BoundConnector) -> list[str]:
        """Return the remote ids of two groups that one account can have together."""
        found: list[str] = []
        if "create_group" in connector.operations:
            for name in ("Contract one", "Contract two"):
                try:
                    found.append((await within_deadline(connector.create_group(Group(display_name=name)))).remote_id)
                except (RemoteInvalidValueError, OperationNotSupportedError):
                    break
        if len(found) < 2 and "list_groups" in connector.operations:
            page = await within_deadline(connector.list_groups(None, 100))
            found = [group.remote_id for group in page.items][:2]
        if len(found) < 2:
            pytest.fail("the remote system has no two groups: override two_groups")
        return found

    def need(self, bench: Bench, *operations: str) -> None:
        """Skip a rule about hooks that the connector does not implement; fail it when they are required."""
        absent = sorted(set(operations) - implemented(bench.connector_type))
        required = sorted(self.required_operations.intersection(absent))
        if required:
            pytest.fail(f"required, but not implemented: {', '.join(required)}")
        if absent:
            pytest.skip(f"not implemented: {', '.join(absent)}")

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _tell_what_was_checked(cls, request: pytest.FixtureRequest) -> Iterator[None]:
        """End the run of a class with the operations it checked, so that a hook that got lost is seen."""
        cls.checked = {}
        yield
        reporter = request.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            for name, operations in cls.checked.items():
                reporter.ensure_newline()
                reporter.write_line(f"{cls.__name__}: {name} implements {', '.join(sorted(operations))}")

    @pytest.fixture(autouse=True)
    def _note_operations(self, bench: Bench) -> None:
        self.checked[bench.connector_type.__name__] = implemented(bench.connector_type)
