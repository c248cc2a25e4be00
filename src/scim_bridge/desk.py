"""What operators do, whichever face they do it in: each deed and its entry of the audit chain in one transaction.

The entry names the person where one is known: ``operator ada``. The command line knows none: ``operator``.
"""

import hashlib
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Literal, TypeVar, get_args

from scim_bridge.provisioning.guard import Guard
from scim_bridge.provisioning.journal import OPERATOR, acting, actor
from scim_bridge.store import audit, sign_ins, tokens
from scim_bridge.store.engine import Connection, Store
from scim_bridge.store.sign_ins import SignIn

__all__ = ["LINK_MINUTES", "MAY", "SESSION", "Decision", "Deed", "Desk", "Role", "SignIn", "end_token"]

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


def end_token(tx: Connection, lookup_id: str, *, now: datetime) -> bool:
    """End a token, in a transaction; tell whether it was in force."""
    record = tokens.find(tx, lookup_id)
    if record is None or not tokens.revoke(tx, lookup_id, now):
        return False
    _note_token(tx, record, "revoke", now=now)
    return True


def _note_token(tx: Connection, record: tokens.TokenRecord, operation: str, *, now: datetime) -> None:
    entry = {"event": "token", "operation": operation, "token": record.lookup_id, **acting()}
    audit.append(tx, record.connection_id, entry, now=now)


class Desk:
    """What operators of a bridge do.

    :param guards: The guard of each connection that can be decided about.
    :param decided: Called with a connection when something is to be driven.
    """

    def __init__(
        self,
        store: Store,
        guards: Mapping[str, Guard] | None = None,
        *,
        clock: Callable[[], datetime] = now,
        decided: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._guards = guards or {}
        self._decided = decided
        self.clock = clock

    async def ask(self, question: Callable[[Connection], T]) -> T:
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
        self._decided(connection_id)
        return found

    async def export(self, connections: Collection[str], what: str, *, by: str) -> None:
        """Note that somebody is handed what a page has, as a file."""

        def note(tx: Connection) -> None:
            for one in sorted(connections):
                audit.append(tx, one, {"event": "export", "operation": what, **acting()}, now=self.clock())

        with _as(by):
            await self._store.write(note)

    # -- Tokens --------------------------------------------------------------------------------------------------------

    async def create_token(self, connection_id: str, *, days: int, name: str, by: str | None = None) -> str:
        """Make a token and return it in clear, to be shown once.

        :param days: For how long it is valid.
        :param name: What it is for.
        """
        made = self.clock()
        clear, record = tokens.mint(connection_id, label=name, now=made, expires_at=made + timedelta(days=days))

        def make(tx: Connection) -> None:
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

        def take(tx: Connection) -> SignIn | None:
            found = sign_ins.find(tx, "link", digest, now=self.clock())
            return found if found is not None and sign_ins.forget(tx, digest) else None

        found = await self._store.write(take)
        return None if found is None else await self._entrance("session", found.person, found.role, SESSION, SESSIONS)

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
