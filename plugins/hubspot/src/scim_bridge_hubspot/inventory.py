"""Reads what the account has to give, and keeps it for a few minutes."""

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from scim_bridge.errors import RemoteForbiddenError, RemoteInvalidValueError
from scim_bridge.upstream import urgent

from .bindings import Inventory
from .client import HubSpotClient
from .config import HubSpotConfig
from .errors import MissingScopeError, NoPermissionSetsError
from .identity import Identity
from .mapping import Mapper
from .records import AccountRecords
from .wire import Assignment, PermissionSet

FRESH_SECONDS = 300.0
"""For how long permission sets, teams and seats are taken to be what they were; a miss asks again at once."""


class InventoryReader:
    """Keeps the account's permission sets, teams and seats. Time is the running loop's."""

    def __init__(
        self,
        client: HubSpotClient,
        config: HubSpotConfig,
        identity: Identity,
        records: AccountRecords,
        logger: logging.Logger,
    ) -> None:
        self._logger = logger
        self._records = records
        self._client = client
        self._config = config
        self._identity = identity
        self._lock = asyncio.Lock()
        self._kept: tuple[float, Mapper] | None = None

    async def mapper(self, *, fresh: bool = False) -> Mapper:
        """Return the mapper of the current inventory.

        :param fresh: Ask HubSpot even if it was asked a moment ago.
        :raises RemoteCredentialsError: When a configured feature needs a scope that the token lacks.
        """
        async with self._lock:
            now = asyncio.get_running_loop().time()
            if fresh or self._kept is None or now - self._kept[0] > FRESH_SECONDS:
                with urgent():
                    self._kept = (now, await self._mapped(await self._read()))
            return self._kept[1]

    async def _mapped(self, inventory: Inventory) -> Mapper:
        name, records = self._config.fallback_permission_set, self._records
        made = Mapper(self._config, inventory, await records.givers(), await records.fallback_set(name))
        if name is not None and made.fallback_role is not None:
            await records.note_fallback_set(name, made.fallback_role)
        return made

    async def forget(self, remote_id: str) -> None:
        """Forget a group that the configuration no longer maps."""
        await self._records.forget_giver(remote_id)
        if self._kept is not None:
            self._kept[1].unmapped.pop(remote_id, None)

    async def complete(self, asked: Collection[str]) -> Mapper:
        """Return the mapper; HubSpot is asked again before an alias is taken to name something that is not there.

        :param asked: The groups that are to be granted.
        :raises RemoteInvalidValueError: When one of them is such an alias; the message names the entry.
        """
        mapper = await self.mapper()
        try:
            mapper.refuse_incomplete(asked)
        except RemoteInvalidValueError:
            mapper = await self.mapper(fresh=True)
            mapper.refuse_incomplete(asked)
        return mapper

    async def known(self, groups: Sequence[str], asked: Collection[str] = ()) -> tuple[str, ...]:
        """Return those of some groups that exist; HubSpot is asked again before one is taken to be gone.

        :param asked: The groups that are to be granted: those that the configuration no longer maps cannot be.
        """
        mapper = await self.mapper()
        if not all(mapper.exists(group) for group in groups):
            mapper = await self.mapper(fresh=True)
        refused = mapper.unmapped.keys() & set(asked)
        return tuple(group for group in groups if mapper.exists(group) and group not in refused)

    async def changed(self, since: Mapper) -> bool:
        """Ask HubSpot again, and tell whether it has other things by now than a write was made for.

        :param since: What the write was made by; what is kept may be newer, for others ask, too.
        """
        return (await self.mapper(fresh=True)).inventory != since.inventory

    async def holds(self, body: Mapping[str, Any]) -> bool:
        """Ask HubSpot again, and tell whether it has the permission set and the teams that a write names."""
        inventory = (await self.mapper(fresh=True)).inventory
        named = {body.get("roleId")}
        if self._config.manages_teams:  # those that hands gave are sent back as they are, and not read
            named |= {body.get("primaryTeamId"), *(body.get("secondaryTeamIds") or ())}
        return named - {None, ""} <= {one.id for one in inventory.permission_sets} | {one.id for one in inventory.teams}

    async def there(self, held: Assignment) -> tuple[frozenset[str], frozenset[str]]:
        """Return which of the teams and seats that somebody held HubSpot has; what it does not tell counts as there."""
        teams, seats = held.team_ids, held.seat_names or frozenset()
        with suppress(MissingScopeError, RemoteForbiddenError):
            teams &= {team.id for team in await self._client.teams()} if teams else frozenset()
        if seats and self._config.has_seats:
            with suppress(MissingScopeError, RemoteForbiddenError):
                seats &= {seat.name for seat in await self._client.seats()}
        return teams, seats

    async def seats_told(self, wanted: Assignment) -> str:
        """Ask HubSpot, and return the refusal of an assignment for whose seats there is none free."""
        name = (await self.mapper()).set_name(wanted.role_id) if wanted.role_id else "no permission set"
        seen = await self._client.seats() if self._config.manages_seats else ()
        left = {seat.name: seat.remaining_seats for seat in seen}
        seats = ", ".join(
            f'"{seat}" ({left[seat]} left)' if left.get(seat) is not None else f'"{seat}"'
            for seat in sorted(wanted.seat_names or ())
        )
        return f'HubSpot has no free seat for "{name}" with {seats or "its default seat"}; buy or free one'

    async def left_of(self, held: Assignment) -> Assignment:
        """Ask HubSpot, and return of what somebody held the teams and seats that it still has."""
        teams, seats = await self.there(held)
        gone = held.team_ids - teams
        if gone or (held.seat_names or frozenset()) - seats:
            self._logger.warning("HubSpot no longer has some teams or seats of a returning person: they are left out")
        return replace(
            held,
            primary_team_id=None if held.primary_team_id in gone else held.primary_team_id,
            secondary_team_ids=held.secondary_team_ids - gone,
            seat_names=None if held.seat_names is None else held.seat_names & seats,
        )

    async def unsold(self, wanted: frozenset[str] | None, has: frozenset[str] | None) -> frozenset[str] | None:
        """Ask HubSpot, and return which of the seats that somebody is to have they can have.

        :param has: What they have; that is the answer when nothing else is known to be free, or to be sold.
        """
        sold = {seat.name for seat in await self._client.seats() if seat.remaining_seats == 0} - (has or frozenset())
        left = (wanted or frozenset()) - sold
        return has if not left or left == wanted else left

    async def _read(self) -> Inventory:
        return Inventory(
            permission_sets=tuple(await self._permission_sets()),
            teams=tuple(await self._client.teams()) if self._config.manages_teams else (),
            seats=tuple(await self._client.seats()) if self._config.manages_seats else (),
            scopes=(await self._identity.owner()).scopes,
        )

    async def _permission_sets(self) -> list[PermissionSet]:
        """Return the permission sets; none on a tier without them, which HubSpot answers in several ways."""
        try:
            return await self._client.permission_sets()
        except MissingScopeError:
            raise
        except (NoPermissionSetsError, RemoteForbiddenError):
            return []
