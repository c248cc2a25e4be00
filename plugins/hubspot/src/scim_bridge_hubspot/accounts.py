"""What is done to one account, each step guarded before and verified after."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from scim_bridge.errors import (
    ConnectorError,
    RemoteConflictError,
    RemoteForbiddenError,
    RemoteInvalidValueError,
    RemoteNotFoundError,
    RemoteUnavailableError,
)
from scim_bridge.models import User

from .client import HubSpotClient
from .config import HubSpotConfig
from .deactivated import DeactivatedAccounts
from .errors import BareNotFoundError, NamesNotAcceptedError, NoSeatError
from .evidence import is_of_groups, only_gives, shows
from .given import Given, Remembered, together
from .guard import Guard
from .inventory import InventoryReader
from .mapping import Mapper, Resolution
from .presence import Presence
from .records import AccountRecords
from .recreations import Recreations
from .resources import address_of, groups_of, names_of
from .sightings import MADE_SECONDS
from .wire import Assignment, Clearing, PublicUser, assignment_body, assignment_of, clears, difference, matches

CLEARINGS: tuple[Clearing, ...] = ("null", "omitted", "empty")
"""The ways to say "no value", tried in this order until a re-read shows that one worked."""

SEAT_RELEASE_SECONDS = 60.0
"""For how long after a removal HubSpot may still count the seat as taken (seen live, once)."""

LEFTOVER_SECONDS = 2.0
"""When to look again whether an account that is about to be removed is gone."""

SEAT_ATTEMPTS = 5
SEAT_PAUSE_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Accounts:
    """Reads and changes single accounts, with the parts of a connection that this takes."""

    client: HubSpotClient
    presence: Presence
    config: HubSpotConfig
    inventory: InventoryReader
    guard: Guard
    deactivated: DeactivatedAccounts
    records: AccountRecords
    recreations: Recreations
    logger: logging.Logger

    # -- Reading -----------------------------------------------------------------------------------------------------

    async def guarded(self, remote_id: str, *, word_suffices: bool = False) -> PublicUser:
        """Read an account that is about to be changed.

        :param word_suffices: Whether HubSpot's own word is enough that it is not there; see :mod:`.presence`.
        :raises RemoteNotFoundError: When it is not there.
        :raises RemoteForbiddenError: When it must not be changed.
        """
        user = await self.presence.user(remote_id, word_suffices=word_suffices)
        await self.guard.check(user)
        return user

    async def find(self, user_name: str, *, as_written: bool = False) -> PublicUser | None:
        """Return the account of an e-mail address.

        :param as_written: Ask for the address as it is written, too: HubSpot may regard case.
        """
        normal = user_name.strip().lower()
        if "@" not in normal:  # no address, so nobody's; and it might name another route
            return None
        for spelling in dict.fromkeys((normal, user_name.strip()) if as_written else (normal,)):
            try:
                return await self.presence.user_by_email(spelling)
            except RemoteNotFoundError:
                continue
        self.client.sightings.missed(normal)
        return None

    # -- Creating ----------------------------------------------------------------------------------------------------

    async def enrol(
        self,
        user: User,
        held: Assignment | None = None,
        *,
        replaces: str | None = None,
        before_making: Callable[[], Awaitable[None]] | None = None,
    ) -> tuple[PublicUser, bool]:
        """Return the account of a person, creating it if there is none.

        It is created with what ``user.groups`` comes to, on top of what the person held before, if told.

        :param held: Teams and seats of a returning person that no group manages.
        :param replaces: The account that this one takes the place of.
        :param before_making: Called when nothing but the POST is left to do.
        :returns: The account, and whether it existed.
        :raises RemoteUnavailableError: While the account of this address is another person's second one, about to go.
        :raises RemoteConflictError: When it exists and may not be adopted, or HubSpot hides it.
        :raises RemoteInvalidValueError: When the userName is no e-mail address; HubSpot is not asked.
        """
        address = address_of(user)
        # What is noted of a second account says that it is the bridge's own: who is there has to be known before.
        asks = replaces is not None or not self.client.sightings.is_nobodys(address)
        found = await self.find(address) if asks else None
        await self.refuse_leftover(address, replaces)
        reactivates = self.config.deprovision == "scim"
        if found is not None and (reactivates or not await self.deactivated.contains(found)):
            return await self._adopted(found), True
        if found is not None:
            await self.guard.check(found)
        groups = await self.inventory.known(groups_of(user))
        mapper = await self.inventory.complete(groups)
        resolution = mapper.resolve(groups, held or Assignment(), asked=groups)
        mapper.refuse_unallowed(resolution.assignment, Assignment())
        if before_making is not None:
            await before_making()
        try:
            return await self._invite(user, resolution.assignment), False
        except (RemoteConflictError, RemoteInvalidValueError, RemoteNotFoundError, BareNotFoundError) as error:
            return await self._after_refusal(user, held, error, replaces, mapper)

    async def refuse_leftover(self, address: str, replaces: str | None = None) -> None:
        """Refuse to take an account for a person's that is another's, about to be removed.

        It is asked after each look at the account: the change of userName may have begun meanwhile.

        :raises RemoteUnavailableError: While it is not removed.
        """
        note = await self.recreations.at(address)
        if note is not None and note.old != replaces:
            raise RemoteUnavailableError(
                "HubSpot's account of this address is left over from a change of userName, and about to be removed",
                ambiguous=False,
                retry_after=LEFTOVER_SECONDS,
            )

    async def _invite(self, user: User, wanted: Assignment) -> PublicUser:
        """Send the POST; again only while a seat that was given back is not free yet, and the person still absent."""
        body: dict[str, Any] = {
            "email": address_of(user),
            "sendWelcomeEmail": self.config.send_welcome_email,
            **{name: value for name, value in names_of(user).items() if value},
            **assignment_body(wanted, Assignment()),
        }
        since = await self.records.seconds_since_removal(body["email"])
        fresh = since is not None and since < SEAT_RELEASE_SECONDS
        for attempt in range(SEAT_ATTEMPTS if fresh else 1):
            if attempt:
                await asyncio.sleep(SEAT_PAUSE_SECONDS)
                if await self.find(body["email"]) is not None:
                    raise RemoteConflictError("somebody else has just created this account")
            try:
                made = await self.client.create_user(body)
            except NoSeatError:
                continue
            if matches(made, wanted):
                self.client.sightings.saw(made, seconds=MADE_SECONDS)
            return made
        if fresh:
            raise RemoteUnavailableError(
                "HubSpot has not freed the seat of the removed account yet", ambiguous=False, retry_after=5.0
            )
        raise NoSeatError(await self.inventory.seats_told(wanted))

    async def _after_refusal(
        self, user: User, held: Assignment | None, error: ConnectorError, replaces: str | None, mapper: Mapper
    ) -> tuple[PublicUser, bool]:
        """Find out why a POST was refused: HubSpot's answer to a duplicate is not documented, 400 or 409."""
        if isinstance(error, NoSeatError):
            raise error
        found = await self.find(str(user.user_name))
        if found is None and isinstance(error, RemoteConflictError):
            found = await self.presence.search(str(user.user_name))
        await self.refuse_leftover(address_of(user), replaces)
        if found is not None:
            await self.refuse_deactivated(found)
            return await self._adopted(found), True
        if isinstance(error, RemoteConflictError):
            raise RemoteConflictError(
                "HubSpot has an account of this address that it does not show; it may be deactivated: look for it there"
            )
        if held is not None and (left := await self.inventory.left_of(held)) != held:
            return await self.enrol(user, left, replaces=replaces)
        if held is not None and (held.team_ids or held.seat_names):
            self.logger.warning("teams or seats of a returning person are refused; creating the account without them")
            return await self.enrol(user, replaces=replaces)
        if await self.inventory.changed(mapper):
            return await self.enrol(user, held, replaces=replaces)
        raise error if isinstance(error, BareNotFoundError) else RemoteInvalidValueError(error.detail)

    async def refuse_deactivated(self, user: PublicUser) -> None:
        """Refuse to call an account active that somebody deactivated in HubSpot's pages.

        :raises RemoteForbiddenError: When it is deactivated.
        """
        if await self.deactivated.contains(user):
            raise RemoteForbiddenError(
                "this account is deactivated in HubSpot, and its API cannot reactivate it: do that in HubSpot"
            )

    async def _adopted(self, user: PublicUser) -> PublicUser:
        await self.guard.check(user)
        if self.config.adopt == "never":
            raise RemoteConflictError('HubSpot already has this account, and the configuration says adopt = "never"')
        return user

    # -- Changing ----------------------------------------------------------------------------------------------------

    async def assign(
        self,
        user: PublicUser,
        wanted: Assignment,
        names: Mapping[str, str] | None = None,
        *,
        asked: Collection[str] = (),
    ) -> PublicUser:
        """Write a complete assignment, and return the account as it then is: as read, or by an answer that suffices.

        :param asked: The permission sets that the person's groups ask for; see :mod:`.evidence`.
        :raises RemoteUnavailableError: When HubSpot accepted it and shows something else.
        """
        refusal: ConnectorError | None = None
        accepted = False
        seen = user
        believes = only_gives(await self.inventory.mapper(), user, wanted, asked)
        for clearing in CLEARINGS if clears(wanted, assignment_of(user)) else CLEARINGS[:1]:
            try:
                body = {**assignment_body(wanted, assignment_of(seen), clearing), **(names or {})}
                answer = await self._put(seen, body)
            except NoSeatError:
                raise NoSeatError(await self.inventory.seats_told(wanted)) from None
            except NamesNotAcceptedError:
                raise
            except RemoteInvalidValueError as error:
                refusal = error
                continue
            if believes and answer is not None and shows(answer, user, wanted, names or {}):
                self.client.sightings.saw(answer)
                return answer
            accepted, seen = True, await self.client.user(user.id)
            if matches(seen, wanted):
                return seen
        if refusal is not None and not accepted:
            raise refusal
        raise RemoteUnavailableError(
            "HubSpot accepted the change but does not show it: " + difference(seen, wanted), ambiguous=True
        )

    async def _put(self, user: PublicUser, body: Mapping[str, Any]) -> PublicUser | None:
        try:
            return await self.client.replace_user(user.id, body)
        except (RemoteNotFoundError, BareNotFoundError) as error:
            # HubSpot may answer 404 for a set or a team that is gone; the account itself is asked.
            await self.presence.user(user.id)
            if isinstance(error, BareNotFoundError) and await self.inventory.holds(body):
                raise
            raise RemoteInvalidValueError(
                "HubSpot finds the account but not what it should have: the permission set or a team is gone, or the "
                "account is deactivated"
            ) from None

    async def seen_lately(self, remote_id: str, groups: Sequence[str]) -> PublicUser | None:
        """Return an account as it was seen a moment ago, if that suffices to give it what groups come to.

        Whatever HubSpot refuses of it is to be tried again after a look.
        """
        user = self.client.sightings.of(remote_id)
        if user is None or await self.guard.reason(user) or await self.records.tombstone(user.id, user.normal_email):
            return None
        mapper = await self.inventory.mapper()
        if not all(mapper.exists(group) for group in groups):
            return None
        before = await self.records.remembered(user.id)
        asked = set(groups).difference(before.groups or (), before.found)
        resolution = mapper.resolve(groups, assignment_of(user), asked=asked, given=before.known)
        gives = only_gives(mapper, user, resolution.assignment, resolution.roles) and is_of_groups(resolution)
        return user if gives and not resolution.satisfied_by(user) else None

    async def apply_groups(self, user: PublicUser, groups: Sequence[str], held: Assignment | None = None) -> PublicUser:
        """Give an account exactly what groups come to, with as few calls as that takes.

        :param held: What the person held before, instead of what the account holds now.
        :raises RemoteForbiddenError: By the guard's and the mapping's rules.
        :raises RemoteInvalidValueError: When a group no longer exists; what the others come to is done before.
        """
        remembered = await self.records.remembered(user.id)
        asked = set(groups).difference(remembered.groups or (), remembered.found)
        known = await self.inventory.known(groups, asked)
        before = await self.inventory.mapper()
        try:
            user = await self._resolve(user, known, held, asked.intersection(known), remembered)
        except RemoteInvalidValueError:
            if not await self.inventory.changed(before):
                raise
            known = await self.inventory.known(groups, asked)
            user = await self._resolve(user, known, held, asked.intersection(known), remembered)
        if len(known) < len(groups):
            gone = ", ".join(sorted(set(groups) - set(known)))
            raise RemoteInvalidValueError(f"HubSpot no longer has, or the configuration no longer maps: {gone}")
        return user

    async def _resolve(
        self,
        user: PublicUser,
        groups: Sequence[str],
        held: Assignment | None,
        asked: Collection[str],
        remembered: Remembered,
    ) -> PublicUser:
        """Write what groups that exist come to, unless the account holds it already, and note it.

        What is about to be given is noted before: whoever never learns whether it was, has to take it some day.
        """
        mapper = await self.inventory.complete(asked)
        before = remembered.known
        resolution = mapper.resolve(groups, held or assignment_of(user), asked=asked, given=before)
        if not resolution.satisfied_by(user):
            self.guard.refuse_collapse(user, mapper)
            mapper.refuse_unallowed(resolution.assignment, assignment_of(user))
            if remembered.groups is not None or resolution.given:
                both = {
                    group: before.get(group, Given()) | resolution.given.get(group, Given())
                    for group in {*before, *resolution.given}
                }
                await self.remember(user.id, remembered.groups or (), both)
            user = await self._assign_unsold(user, resolution, mapper, grants=bool(asked) or held is not None)
        await self.remember(user.id, groups, resolution.given)
        return user

    async def _assign_unsold(
        self, user: PublicUser, resolution: Resolution, mapper: Mapper, *, grants: bool
    ) -> PublicUser:
        """Write what groups come to; no removal waits for a seat: it is done without those that are not free.

        :param grants: Whether it gives something new; that is refused without its seat.
        """
        wanted = resolution.assignment
        try:
            return await self.assign(user, wanted, asked=resolution.roles)
        except NoSeatError as error:
            held = assignment_of(user)
            taken = replace(wanted, seat_names=(wanted.seat_names or frozenset()) & (held.seat_names or frozenset()))
            if mapper.bar(taken, held) is not None:
                taken = replace(taken, role_id=None)
            owed = together(resolution.given).seat_names - (held.seat_names or frozenset())
            done = matches(user, taken)
            if grants or wanted.seat_names is None or (done and owed):
                raise
            self.logger.warning("something is taken from somebody, and a seat is not given: %s", error.detail)
            return user if done else await self.assign(user, taken)

    async def remember(self, user_id: str, groups: Sequence[str], given: Mapping[str, Given]) -> None:
        """Note which groups an account's assignment stands for, and what each gave."""
        if given:
            names = (await self.inventory.mapper()).groups()
            await self.records.note_givers({group: names[group] for group in given if group in names})
        await self.records.remember_groups(user_id, groups, given)

    async def delete(self, user_id: str) -> None:
        """Remove an account for good, and forget what was kept of it.

        HubSpot is told to remove whom it does not show, too: they may be deactivated, or its answer wrong.

        :raises RemoteForbiddenError: When it must not be changed.
        """
        with suppress(RemoteNotFoundError):
            await self.records.note_removal(await self.guarded(user_id, word_suffices=True))
        if not await self.remove(user_id):
            raise RemoteUnavailableError("HubSpot accepted the removal but still shows the account")
        await self.records.forget(user_id)

    async def remove(self, user_id: str) -> bool:
        """Remove an account, be it seen or not, and make sure that it is gone.

        :returns: ``False`` when HubSpot still shows it.
        """
        await self.records.note_end(user_id)
        confirmed = await self.client.remove_user(user_id)
        try:
            await self.presence.user(user_id, word_suffices=confirmed)
        except RemoteNotFoundError:
            return True
        return False
