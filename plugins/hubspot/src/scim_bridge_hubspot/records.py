"""What the connector must remember across restarts: tombstones of accounts, and which groups gave what.

Keys hold no e-mail address, only a digest of it. What a tombstone holds leaves with it when the account is deleted.
"""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scim_bridge.connector import ConnectorState

from .given import UNKNOWN, Given, Remembered, by_hand
from .wire import Assignment, PublicUser, assignment_of

STRIPPED_SETS = "stripped-sets"
GIVERS = "givers"
FALLBACK_SET = "fallback-set"
NO_SET = ""
"""What an account was stripped to while the set of stripped people is not there: nothing."""


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

    @property
    def account(self) -> PublicUser:
        """The account as it was, as far as that is noted."""
        held = self.assignment
        return PublicUser(
            id=self.remote_id,
            email=self.email,
            first_name=self.first_name,
            last_name=self.last_name,
            role_id=held.role_id,
            primary_team_id=held.primary_team_id,
            secondary_team_ids=tuple(sorted(held.secondary_team_ids)),
            seat_names=None if held.seat_names is None else tuple(sorted(held.seat_names)),
            super_admin=False,
        )

    def is_of_another(self, external_id: str | None) -> bool:
        """Whether somebody else has the address by now: the identity provider calls them by another ``externalId``."""
        return None not in (self.external_id, external_id) and self.external_id != external_id

    def strips(self, user: PublicUser) -> bool:
        """Whether an account still is as stripping left it, whatever the configuration says today."""
        return self.stripped_to is not None and user.roles == {self.stripped_to}

    def took_from(self, user: PublicUser) -> bool:
        """Whether stripping took from an account, as it is, what is noted here."""
        return self.strips(user) or self.bares(user)

    @property
    def is_unfinished(self) -> bool:
        """Whether everything was taken away but HubSpot's minimum, and more was to be."""
        return self.stripped_to == NO_SET

    def bares(self, user: PublicUser) -> bool:
        """Whether an account still is as stripping left it while the set of stripped people was not there."""
        return self.is_unfinished and not user.roles and not assignment_of(user).team_ids


class AccountRecords:
    """The connector's durable notes about accounts.

    :param now: Seconds since the epoch.
    """

    def __init__(self, state: ConnectorState, now: Callable[[], float] = time.time) -> None:
        self._state = state
        self._now = now

    async def bury(self, user: PublicUser, external_id: str | None, stripped_to: str | None = None) -> None:
        """Note what an account holds; durable on return, so that nothing is taken away before.

        What a stripped account held before it was stripped is kept: now it holds nothing that is worth noting. What
        groups gave is not noted: the groups of whoever comes back say what that is then.

        :param external_id: What the identity provider calls the person.
        :param stripped_to: The permission set that it is about to be left with, or :data:`NO_SET`.
        """
        kept = await self.tombstone(user.id, user.normal_email)
        if kept is not None and kept.strips(user):
            await self.note_removal(user)
            return
        if stripped_to:
            await self._note_stripped_set(stripped_to)
        if kept is not None and kept.bares(user):
            held, stripped_to = kept.assignment, stripped_to or NO_SET
        else:
            held = by_hand(assignment_of(user), (await self.remembered(user.id)).given)
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
        return (await self.remembered(remote_id)).groups

    async def remembered(self, remote_id: str) -> Remembered:
        """Return the groups that were last set for an account, and what they gave."""
        kept = await self._state.get(f"groups:{remote_id}")
        if kept is None:
            return UNKNOWN
        groups = kept["groups"]
        return Remembered(None if groups is None else tuple(groups), _given(kept, "given"), _given(kept, "found"))

    async def remember_groups(
        self, remote_id: str, groups: Sequence[str], given: Mapping[str, Given] | None = None
    ) -> None:
        """Note which groups an account's assignment stands for.

        :param given: What they gave; ``None``: as it was noted.
        """
        before = await self.remembered(remote_id)
        now = Remembered(tuple(groups), before.given if given is None else given)
        if now != before:
            await self._state.put(f"groups:{remote_id}", {"groups": list(groups), "given": _noted(now.given)})

    async def note_found(self, remote_id: str, found: Mapping[str, Given], before: Remembered) -> None:
        """Note in what aliases somebody whose groups were never set was found.

        :param before: What is noted.
        """
        if found != before.found:
            await self._state.put(f"groups:{remote_id}", {"groups": None, "found": _noted(found)})

    async def givers(self) -> dict[str, str]:
        """Return remote id → name of the groups that ever gave teams or seats to somebody."""
        return dict(await self._state.get(GIVERS) or {})

    async def note_givers(self, named: Mapping[str, str]) -> None:
        """Note that groups gave teams or seats to somebody."""
        known = await self.givers()
        if not named.items() <= known.items():
            await self._state.put(GIVERS, {**known, **named})

    async def fallback_set(self, name: str | None) -> str | None:
        """Return the id of the permission set that a name of the fallback stood for; ``None`` when none is known."""
        kept = await self._state.get(FALLBACK_SET)
        return str(kept["role_id"]) if kept is not None and kept["name"] == name else None

    async def note_fallback_set(self, name: str, role_id: str) -> None:
        """Note what the name of the fallback stands for."""
        if await self.fallback_set(name) != role_id:
            await self._state.put(FALLBACK_SET, {"name": name, "role_id": role_id})

    async def forget_giver(self, remote_id: str) -> None:
        """Forget a group: nobody is in it."""
        known = await self.givers()
        if known.pop(remote_id, None) is not None:
            await self._state.put(GIVERS, known)

    async def note_removal(self, user: PublicUser) -> None:
        """Note when an account was removed, by a digest of its address."""
        await self._state.put(_by_email(user.normal_email), {"remote_id": user.id, "removed_at": self._now()})

    async def note_end(self, remote_id: str) -> None:
        """Note that an account is about to be removed, be it seen or not: for some seconds lists show it after that."""
        await self._state.put(f"ended:{remote_id}", {"at": self._now()})

    async def was_ended(self, remote_id: str) -> bool:
        """Whether the bridge ever removed an account of this id, or was about to."""
        return await self._state.get(f"ended:{remote_id}") is not None


def _given(kept: Mapping[str, Any], name: str) -> dict[str, Given]:
    return {
        group: Given(frozenset(one["teams"]), frozenset(one["seats"]), one.get("role"))
        for group, one in kept.get(name, {}).items()
    }


def _noted(given: Mapping[str, Given]) -> dict[str, Any]:
    return {
        group: {"teams": sorted(one.team_ids), "seats": sorted(one.seat_names), "role": one.role_id}
        for group, one in given.items()
    }


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
