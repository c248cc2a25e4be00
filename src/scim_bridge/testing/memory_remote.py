"""A remote system in memory: what a test injects, scripts and inspects behind :mod:`scim_bridge.testing.memory`."""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

from scim_bridge.errors import ConnectorError, RemoteNotFoundError, RemoteUnavailableError
from scim_bridge.models import Group, User


@dataclass(slots=True)
class Account:
    """An account of the remote system.

    :param user: Its attributes; neither ``active`` nor ``groups`` is read from here.
    """

    remote_id: str
    user: User
    active: bool = True


@dataclass(frozen=True, slots=True)
class Call:
    """One hook call that arrived, in the order of arrival."""

    hook: str
    remote_id: str | None
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fault:
    """What a scripted call does.

    :param error: What it raises.
    :param after_effect: Whether the call takes effect before it fails: an answer that was lost.
    """

    error: ConnectorError
    after_effect: bool = False


@dataclass(slots=True)
class Gate:
    """Holds calls of one hook.

    :param entered: Set when the first call has arrived.
    :param opened: Set to let all held calls go on.
    """

    after_effect: bool = False
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    def release(self) -> None:
        """Let the held calls, and all later ones, go on."""
        self.opened.set()


class MemoryRemote:
    """Accounts, groups and members, with a log of calls, scripted failures and gates.

    It is stateful and convergent like a good remote system, and it never fails unless told to. Tests read and change
    its fields directly: a change by hand is drift.
    """

    _named: ClassVar[dict[str, "MemoryRemote"]] = {}

    def __init__(self, identity: str | None = None) -> None:
        self.identity = identity
        """What it tells when it is asked which remote system it is; ``None``: it tells none."""
        self.accounts: dict[str, Account] = {}
        """Accounts by remote id."""
        self.groups: dict[str, Group] = {}
        """Groups by remote id."""
        self.members: set[tuple[str, str]] = set()
        """Membership as pairs (remote id of the group, remote id of the account)."""
        self.order: list[str] | None = None
        """Remote ids of groups, strongest first, where one group of a person is in force (``memory-roles``)."""
        self.roots: set[str] = set()
        """Remote ids of the accounts that were given a right which no group gives (``memory-roles``)."""
        self.calls: list[Call] = []
        """Every hook call that arrived, but for the question which remote system it is: that is no work."""
        self.identified = 0
        """How often that was asked."""
        self.effects: list[Call] = []
        """Those of them that changed something."""
        self.down: ConnectorError | None = None
        """While set, every call raises it before it does anything."""
        self.intercept: Callable[[Call], Fault | None] | None = None
        """Asked about every call after the scripted failures: how it has to fail, if it has to."""
        self._faults: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self._gates: dict[str, Gate] = {}
        self._minted = 0

    @classmethod
    def named(cls, name: str) -> "MemoryRemote":
        """Return the remote system of a name, made on first use; connections that name it share it."""
        return cls._named.setdefault(name, cls(identity=name))

    @classmethod
    def forget(cls, name: str) -> None:
        """Drop the remote system of a name; the next use starts an empty one."""
        cls._named.pop(name, None)

    def mint(self, prefix: str) -> str:
        """Return a remote id that was never used before."""
        self._minted += 1
        return f"{prefix}-{self._minted}"

    def add_account(self, user_name: str, *, active: bool = True, **attributes: Any) -> str:
        """Make an account by hand and return its remote id. Nothing is logged."""
        remote_id = self.mint("account")
        self.accounts[remote_id] = Account(remote_id, User(user_name=user_name, **attributes), active)
        return remote_id

    def add_group(self, display_name: str) -> str:
        """Make a group by hand and return its remote id. Nothing is logged."""
        remote_id = self.mint("group")
        self.groups[remote_id] = Group(display_name=display_name)
        return remote_id

    def account(self, remote_id: str) -> Account:
        """Return an account. :raises RemoteNotFoundError: when there is none."""
        if remote_id not in self.accounts:
            raise RemoteNotFoundError("the remote system has no such account")
        return self.accounts[remote_id]

    def group(self, remote_id: str) -> Group:
        """Return a group. :raises RemoteNotFoundError: when there is none."""
        if remote_id not in self.groups:
            raise RemoteNotFoundError("the remote system has no such group")
        return self.groups[remote_id]

    def find(self, user_name: str | None) -> Account | None:
        """Return the account of a userName, compared without regard to case."""
        wanted = str(user_name).casefold()
        return next((one for one in self.accounts.values() if str(one.user.user_name).casefold() == wanted), None)

    def groups_of(self, remote_id: str) -> frozenset[str]:
        """Return the remote ids of the groups an account is in."""
        return frozenset(group for group, member in self.members if member == remote_id)

    def members_of(self, remote_id: str) -> frozenset[str]:
        """Return the remote ids of the accounts in a group."""
        return frozenset(member for group, member in self.members if group == remote_id)

    def called(self, hook: str) -> int:
        """Return how many calls of a hook arrived."""
        return sum(call.hook == hook for call in self.calls)

    def fail(self, hook: str, *errors: ConnectorError, after_effect: bool = False) -> None:
        """Script the next calls of a hook to fail, one error each, in this order.

        :param after_effect: Whether each takes effect first.
        """
        self._faults[hook].extend(Fault(error, after_effect) for error in errors)

    def lose_answer(self, hook: str, times: int = 1) -> None:
        """Script the next calls of a hook to take effect and to fail ambiguously."""
        for _ in range(times):
            self.fail(hook, RemoteUnavailableError("the answer was lost", ambiguous=True), after_effect=True)

    def hold(self, hook: str, *, after_effect: bool = False) -> Gate:
        """Hold the calls of a hook until the returned gate is released.

        :param after_effect: Whether they are held after they took effect instead of before.
        """
        gate = self._gates[hook] = Gate(after_effect)
        return gate

    @asynccontextmanager
    async def call(self, hook: str, remote_id: str | None = None, **arguments: Any) -> AsyncIterator[None]:
        """Log a call, hold it and fail it as scripted; the body of the ``with`` block is its effect."""
        arrived = Call(hook, remote_id, arguments)
        if hook == "identify":
            self.identified += 1
        else:
            self.calls.append(arrived)
        gate = self._gates.get(hook)
        if gate is not None and not gate.after_effect:
            await self._wait(gate)
        if self.down is not None:
            raise self.down
        fault = self._faults[hook].popleft() if self._faults[hook] else self.intercept and self.intercept(arrived)
        if fault is not None and not fault.after_effect:
            raise fault.error
        yield
        if gate is not None and gate.after_effect:
            await self._wait(gate)
        if fault is not None:
            raise fault.error

    async def _wait(self, gate: Gate) -> None:
        gate.entered.set()
        await gate.opened.wait()

    def changed(self) -> None:
        """Record that the latest call changed something."""
        self.effects.append(self.calls[-1])
