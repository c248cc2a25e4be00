"""What the connector must remember across restarts: tombstones of accounts, and which groups were last set.

Keys hold no e-mail address, only a digest of it. What a tombstone holds leaves with it when the account is deleted.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from scim_bridge.connector import ConnectorState

from .wire import Assignment, PublicUser, assignment_of

STRIPPED_SETS = "stripped-sets"


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What an account held before its access was taken away.

    :param removed_at: Seconds since the epoch.
    :param stripped_to: The permission set that the account was left with.
    :param external_id: What the identity provider called the person.
    :param stripped_to: The permission set that a stripped account was left with; ``None`` when it was not stripped.
    """

    remote_id: str
    email: str
    first_name: str | None
    last_name: str | None
    assignment: Assignment
    removed_at: float
    stripped_to: str | None = None
    external_id: str | None = None

    def is_of_another(self, external_id: str | None) -> bool:
        """Whether somebody else has the address by now: the identity provider calls them by another ``externalId``."""
        return None not in (self.external_id, external_id) and self.external_id != external_id

    def strips(self, user: PublicUser) -> bool:
        """Whether an account still is as stripping left it, whatever the configuration says today."""
        return self.stripped_to is not None and user.roles == {self.stripped_to}


class AccountRecords:
    """The connector's durable notes about accounts.

    :param now: Seconds since the epoch.
    """

    def __init__(self, state: ConnectorState, now: Callable[[], float] = time.time) -> None:
        self._state = state
        self._now = now

    async def bury(self, user: PublicUser, external_id: str | None, stripped_to: str | None = None) -> None:
        """Note what an account holds; durable on return, so that nothing is taken away before.

        What a stripped account held before it was stripped is kept: now it holds nothing that is worth noting.

        :param external_id: What the identity provider calls the person.
        :param stripped_to: The permission set that it is about to be left with.
        """
        kept = await self.tombstone(user.id, user.normal_email)
        if kept is not None and kept.strips(user):
            await self.note_removal(user)
            return
        if stripped_to is not None:
            await self._note_stripped_set(stripped_to)
        held = assignment_of(user)
        await self._state.put(
            f"tombstone:{user.id}",
            {
                "email": user.normal_email,
                "first_name": user.first_name,
                "last_name": user.last_name,
                "role_id": held.role_id,
                "primary_team_id": held.primary_team_id,
                "secondary_team_ids": sorted(held.secondary_team_ids),
                "seat_names": None if held.seat_names is None else sorted(held.seat_names),
                "removed_at": self._now(),
                "stripped_to": stripped_to,
                "external_id": external_id,
            },
        )
        await self.note_removal(user)

    async def stripped_sets(self) -> frozenset[str]:
        """Return the permission sets that accounts were ever stripped to."""
        kept = await self._state.get(STRIPPED_SETS)
        return frozenset() if kept is None else frozenset(kept["role_ids"])

    async def _note_stripped_set(self, role_id: str) -> None:
        known = await self.stripped_sets()
        if role_id not in known:
            await self._state.put(STRIPPED_SETS, {"role_ids": sorted({*known, role_id})})

    async def tombstone(self, remote_id: str | None, email: str) -> Tombstone | None:
        """Return the tombstone of an account, by remote id or else by e-mail address."""
        if remote_id is None:
            note = await self._state.get(_by_email(email))
            remote_id = None if note is None else str(note["remote_id"])
        kept = None if remote_id is None else await self._state.get(f"tombstone:{remote_id}")
        return None if kept is None or remote_id is None else _tombstone(remote_id, kept)

    async def seconds_since_removal(self, email: str) -> float | None:
        """Return how long ago an account of this address was removed by the bridge; ``None`` if never."""
        note = await self._state.get(_by_email(email))
        return None if note is None else self._now() - float(note["removed_at"])

    async def unbury(self, remote_id: str) -> None:
        """Forget a tombstone: the account has its access again."""
        await self._state.delete(f"tombstone:{remote_id}")

    async def forget(self, remote_id: str) -> None:
        """Forget what an account held, because it is deleted."""
        await self._state.delete(f"tombstone:{remote_id}")
        await self._state.delete(f"groups:{remote_id}")

    async def groups(self, remote_id: str) -> tuple[str, ...] | None:
        """Return the groups that were last set for an account; ``None`` when none ever were."""
        kept = await self._state.get(f"groups:{remote_id}")
        return None if kept is None else tuple(kept["groups"])

    async def remember_groups(self, remote_id: str, groups: Sequence[str]) -> None:
        """Note which groups an account's assignment stands for."""
        if await self.groups(remote_id) != tuple(groups):
            await self._state.put(f"groups:{remote_id}", {"groups": list(groups)})

    async def note_removal(self, user: PublicUser) -> None:
        """Note when an account was removed, by a digest of its address."""
        await self._state.put(_by_email(user.normal_email), {"remote_id": user.id, "removed_at": self._now()})


def _by_email(email: str) -> str:
    return "removal:" + hashlib.sha256(email.encode()).hexdigest()


def _tombstone(remote_id: str, kept: dict[str, Any]) -> Tombstone:
    seats = kept["seat_names"]
    return Tombstone(
        remote_id=remote_id,
        email=kept["email"],
        first_name=kept["first_name"],
        last_name=kept["last_name"],
        assignment=Assignment(
            role_id=kept["role_id"],
            primary_team_id=kept["primary_team_id"],
            secondary_team_ids=frozenset(kept["secondary_team_ids"]),
            seat_names=None if seats is None else frozenset(seats),
        ),
        removed_at=kept["removed_at"],
        stripped_to=kept.get("stripped_to"),
        external_id=kept.get("external_id"),
    )
