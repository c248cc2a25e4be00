"""What operators do, whichever face they do it in: each deed and its entry of the audit chain in one transaction.

The entry names the person where one is known: ``operator ada``. The command line knows none: ``operator``.
"""

import asyncio
import hashlib
import logging
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Literal, TypeVar, get_args

from scim_bridge.errors import ConnectorError
from scim_bridge.models import Finding
from scim_bridge.provisioning import Provisioning, checks, observing
from scim_bridge.provisioning.guard import Guard
from scim_bridge.provisioning.identification import identity_of
from scim_bridge.provisioning.journal import OPERATOR, acting, actor
from scim_bridge.provisioning.reconcile import Reconciler
from scim_bridge.store import audit, sign_ins, tokens
from scim_bridge.store.engine import Store
from scim_bridge.store.sign_ins import SignIn
from scim_bridge.store.transaction import Transaction

__all__ = ["LINK_MINUTES", "MAY", "SESSION", "Decision", "Deed", "Desk", "Operated", "Role", "SignIn", "end_token"]

T = TypeVar("T")

now = partial(datetime.now, UTC)

Role = Literal["viewer", "auditor", "operator"]
Deed = Literal["look", "export", "decide"]

MAY: dict[Deed, frozenset[str]] = {
    "look": frozenset(get_args(Role)),
    "export": frozenset({"auditor", "operator"}),
    "decide": frozenset({"operator"}),
}
"""Which roles may do what."""

LINK_MINUTES = 10
SESSION = timedelta(hours=8)
LINKS, SESSIONS = 50, 200
"""How many links and sessions are kept."""

Decision = Literal["approve", "reject"]

COMPARING = 20.0
"""Seconds that a comparison is waited for; it goes on afterwards."""

logger = logging.getLogger("scim_bridge.desk")


@dataclass(frozen=True, slots=True)
class Operated:
    """A connection of a running bridge.

    :param reconciler: Makes what compares it once.
    """

    provisioning: Provisioning
    reconciler: Callable[[], Reconciler]


def end_token(tx: Transaction, lookup_id: str, *, now: datetime) -> bool:
    """End a token, in a transaction; tell whether it was in force."""
    record = tokens.find(tx, lookup_id)
    if record is None or not tokens.revoke(tx, lookup_id, now):
        return False
    _note_token(tx, record, "revoke", now=now)
    return True


def _note_token(tx: Transaction, record: tokens.TokenRecord, operation: str, *, now: datetime) -> None:
    entry = {"event": "token", "operation": operation, "token": record.lookup_id, **acting()}
    audit.append(tx, record.connection_id, entry, now=now)


class Desk:
    """What operators of a bridge do.

    :param guards: The guard of each connection that can be decided about, where none are ``operated``.
    :param operated: Each connection that can be compared, checked, held and let go live.
    """

    def __init__(
        self,
        store: Store,
        guards: Mapping[str, Guard] | None = None,
        *,
        operated: Mapping[str, Operated] | None = None,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self._store = store
        self._operated = operated or {}
        self._guards = guards or {id_: one.provisioning.guard for id_, one in self._operated.items()}
        self._comparisons: dict[str, asyncio.Task[str]] = {}
        self.clock = clock

    async def ask(self, question: Callable[[Transaction], T]) -> T:
        """Return the answer to a question of :mod:`scim_bridge.views`."""
        return await self._store.scan(question)

    # -- Decide --------------------------------------------------------------------------------------------------------

    async def decide(
        self, connection_id: str, decision: Decision, ids: Collection[str] | None, *, by: str | None, reason: str | None
    ) -> list[str]:
        """Approve or reject what is held under these ids, all of it where there are none; return what was."""
        guard = self._guards[connection_id]
        work = guard.approve if decision == "approve" else guard.reject
        with _as(by):
            found = await self._store.write(lambda tx: work(tx, ids, reason=reason))
        if connection_id in self._operated:
            self._operated[connection_id].provisioning.driver.wake()
        return found

    async def export(self, connections: Collection[str], what: str, *, by: str) -> None:
        """Note that somebody is handed what a page has, as a file."""

        def note(tx: Transaction) -> None:
            for one in sorted(connections):
                audit.append(tx, one, {"event": "export", "operation": what, **acting()}, now=self.clock())

        with _as(by):
            await self._store.write(note)

    # -- Go live, and hold ---------------------------------------------------------------------------------------------

    async def hold(self, connection_id: str, reason: Literal["hold", "plan"], *, by: str) -> None:
        """Have a connection take writes and send nothing, from now on."""
        with _as(by):
            await self._store.write(
                lambda tx: observing.begin(tx, connection_id, reason=reason, now=self.clock()),
            )

    async def compare(self, connection_id: str) -> str:
        """Compare the remote system of a connection with what is wanted, as ``go-live`` does first.

        What is new there is taken over if the connection plans. One that takes long goes on by itself.

        :returns: What came of it, in words.
        """
        task = self._comparisons.get(connection_id)
        if task is None or task.done():
            task = self._comparisons[connection_id] = asyncio.create_task(self._compared(connection_id))
        done, _ = await asyncio.wait({task}, timeout=COMPARING)
        return task.result() if done else self.comparison(connection_id) or ""

    def comparison(self, connection_id: str) -> str | None:
        """Return, in words, what became of the comparison that was last asked for here; ``None``: there was none."""
        task = self._comparisons.get(connection_id)
        if task is None or task.cancelled():
            return None
        return task.result() if task.done() else f"{connection_id} is being compared; load the page again."

    async def _compared(self, connection_id: str) -> str:
        reconciler = self._operated[connection_id].reconciler()
        try:
            if problem := await reconciler.identification.problem():
                return problem
            observes = await self._store.read(lambda tx: observing.current(tx, connection_id))
            found = await reconciler.run(apply=observes is not None and observes.plans)
        except ConnectorError as error:
            return f"{connection_id} could not be compared now: {error.detail}"
        except Exception as error:  # noqa: BLE001 - whatever went wrong is told, without what it says
            logger.error("a comparison of %s: %s", connection_id, type(error).__name__)  # noqa: TRY400 - it may name somebody
            return f"{connection_id} could not be compared: a fault of the bridge, see its log."
        return f"{connection_id} was compared at {self.clock():%H:%M} UTC: {found.compared} accounts and groups."

    async def problem(self, connection_id: str) -> str:
        """Return why a connection must not go live; empty when it may: its remote system is the one it had."""
        try:
            return await self._operated[connection_id].provisioning.identification.problem()
        except ConnectorError as error:
            return checks.unasked(error).message

    async def go_live(
        self, connection_id: str, accepted: Callable[[Transaction], Mapping[str, int] | None], *, by: str
    ) -> bool | None:
        """Let a connection go live: what is pending is done.

        :param accepted: Returns the numbers of what the operator saw, for the audit chain; ``None``: what would be done
            now is not what they saw.
        :returns: Whether it had been told to observe; ``None``: it was not let go live.
        """

        def release(tx: Transaction) -> bool | None:
            seen = accepted(tx)
            return None if seen is None else observing.end(tx, connection_id, now=self.clock(), seen=seen)

        with _as(by):
            return await self._store.write(release)

    async def check(self, connection_id: str) -> list[Finding]:
        """Ask the connector and the remote system of a connection whether it is going to work."""
        provisioning = self._operated[connection_id].provisioning
        connector, found = provisioning.connector, []
        observes = await self._store.read(lambda tx: observing.current(tx, connection_id))
        if observes is not None:
            found.append(Finding("observing", "warning", observes.detail, "see the plan, then let it go live"))
        try:
            told = await identity_of(connector)
            _, pin = await self._store.read(lambda tx: provisioning.identification.judged(tx, told))
            found += checks.of_remote(pin, told, connection_id)
        except ConnectorError as error:
            found.append(checks.unasked(error))
        of_guard = await checks.of_guard(connector, provisioning.policy.guard)
        return [*await checks.of_connector(connector), *found, *of_guard]

    async def close(self) -> None:
        """End what is under way."""
        for task in self._comparisons.values():
            task.cancel()
        await asyncio.gather(*self._comparisons.values(), return_exceptions=True)

    # -- Tokens --------------------------------------------------------------------------------------------------------

    async def create_token(self, connection_id: str, *, days: int, name: str, by: str | None = None) -> str:
        """Make a token and return it in clear, to be shown once.

        :param days: For how long it is valid.
        :param name: What it is for.
        """
        made = self.clock()
        clear, record = tokens.mint(connection_id, label=name, now=made, expires_at=made + timedelta(days=days))

        def make(tx: Transaction) -> None:
            tokens.create(tx, record)
            _note_token(tx, record, "create", now=self.clock())

        with _as(by):
            await self._store.write(make)
        return clear

    async def revoke_token(self, lookup_id: str, *, by: str | None = None) -> bool:
        """End a token; tell whether it was in force."""
        with _as(by):
            return await self._store.write(lambda tx: end_token(tx, lookup_id, now=self.clock()))

    # -- Sign in -------------------------------------------------------------------------------------------------------

    async def invite(self, person: str, role: Role, *, minutes: int = LINK_MINUTES) -> str:
        """Return what signs somebody in, once.

        :param minutes: For how long it does.
        """
        return await self._entrance("link", person, role, timedelta(minutes=minutes), LINKS)

    async def enter(self, link: str) -> str | None:
        """Take a link, which is over with that, and return what the browser is to hold; ``None``: it is none now."""
        digest = _digest(link)

        def take(tx: Transaction) -> SignIn | None:
            found = sign_ins.find(tx, "link", digest, now=self.clock())
            return found if found is not None and sign_ins.forget(tx, digest) else None

        found = await self._store.write(take)
        return None if found is None else await self._entrance("session", found.person, found.role, SESSION, SESSIONS)

    async def admit(self, person: str, role: str) -> str:
        """Return what the browser is to hold of somebody who proved elsewhere who they are."""
        return await self._entrance("session", person, role, SESSION, SESSIONS)

    async def note_sign_in(
        self, connections: Collection[str], person: str, role: str | None, *, subject: str = "", reason: str = ""
    ) -> None:
        """Note in the audit chains that somebody signed in elsewhere, or was not let in.

        :param role: ``None``: they were not let in, for a ``reason``.
        :param subject: What the provider calls them for good.
        """
        entry = {"event": "sign-in", "decision": role or "refused", "actor": person}
        entry |= {name: text for name, text in (("reason", reason), ("subject", subject)) if text}

        def note(tx: Transaction) -> None:
            for one in sorted(connections):
                audit.append(tx, one, entry, now=self.clock())

        await self._store.write(note)

    async def visitor(self, held: str) -> SignIn | None:
        """Return whose session a browser holds."""
        return await self._store.read(lambda tx: sign_ins.find(tx, "session", _digest(held), now=self.clock()))

    async def leave(self, held: str) -> None:
        """End a session."""
        await self._store.write(lambda tx: sign_ins.forget(tx, _digest(held)))

    async def _entrance(self, opens: sign_ins.Opens, person: str, role: str, lifetime: timedelta, most: int) -> str:
        clear, begins = secrets.token_urlsafe(32), self.clock()
        entry = SignIn(person, role, begins + lifetime)
        await self._store.write(lambda tx: sign_ins.keep(tx, opens, _digest(clear), entry, now=begins, most=most))
        return clear


@contextmanager
def _as(person: str | None) -> Iterator[None]:
    """Let entries of the audit chain name a person."""
    token = actor.set(OPERATOR if person is None else f"{OPERATOR} {person}")
    try:
        yield
    finally:
        actor.reset(token)


def _digest(clear: str) -> bytes:
    return hashlib.sha256(clear.encode()).digest()
