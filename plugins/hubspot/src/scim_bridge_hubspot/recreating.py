"""Two accounts for one moment: a person is made anew under another address, or comes back under another id.

No API of HubSpot changes an address, and whoever was removed is invited anew. Either leaves, for a moment, two accounts
of which the bridge's core knows one. So it is noted durably before the second one is made, and the note stays until one
is left:

1. *note* which account is to be replaced, and by which address;
2. *make* the new one, with everything that the old one holds, or find the one there is, which is not written;
3. answer it as unfinished: the core takes it for the person's, and gives it what it lacks;
4. *finish*: hand over what adoption left, remove the other one, forget the note.

Every step may be the last that this process takes. Whichever account the core goes on with is the one that stays, so
whatever a client wants meanwhile, the other one is removed. An account that the bridge has only found, and that the
core has not taken, is nobody's leftover and stays.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from scim_bridge.errors import (
    ConnectorError,
    RemoteForbiddenError,
    RemoteInvalidValueError,
    RemoteNotFoundError,
)
from scim_bridge.models import User

from .accounts import Accounts
from .given import by_hand
from .holding import held_by
from .records import Tombstone
from .recreations import Recreation
from .resources import address_of, groups_of
from .wire import Assignment, PublicUser, assignment_of


class Recreating:
    """Takes the steps, the same ones whatever the way of deprovisioning."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self.notes = accounts.recreations

    async def rename(self, account: PublicUser, person: User) -> tuple[PublicUser, bool]:
        """Return the account of a person under the address of ``person``, beside the one they have.

        :param person: What they are to be; ``groups`` what they hold.
        :returns: The account, and whether it was there before; then it is not written.
        :raises ConnectorError: When there is none; nothing is left of the attempt, unless it may have taken effect.
        """
        address = address_of(person)
        note = await self.notes.of(account.id)
        if note is not None and note.new == account.id and not note.gone:
            former = await self._accounts.find(address)
            if former is not None and former.id == note.old:  # back to the address that is about to be given up
                await self._accounts.guard.check(former)
                await self.notes.put(Recreation(account.id, account.normal_email, address, former.id))
                return former, False
        if note is not None and (note.new == account.id or note.address != address):
            await self.finish(account.id)
            account = await self._accounts.guarded(account.id)
        held = await self._by_hand(account)
        return await self._make(Recreation(account.id, account.normal_email, address), person, held)

    async def come_back(self, remote_id: str, person: User, kept: Tombstone | None) -> PublicUser:
        """Return the account of a person whose former one is not there; one that somebody made is left as it is.

        :param kept: What the former account held; nothing of it is given to somebody else who has the address by now.
        """
        held = kept.assignment if kept and not kept.is_of_another(person.external_id) else Assignment()
        address = address_of(person)
        note = await self.notes.of(remote_id)
        if note is not None and (note.old != remote_id or note.address != address):
            await self.finish(remote_id)
        account, _ = await self._make(
            Recreation(remote_id, kept.email if kept else "", address, gone=True), person, held
        )
        await self._accounts.records.unbury(remote_id)
        return account

    async def _make(self, note: Recreation, person: User, held: Assignment) -> tuple[PublicUser, bool]:
        before = await self.notes.of(note.old)
        noted = False

        async def make_a_note() -> None:
            nonlocal noted
            noted = True
            await self.notes.put(note)

        try:
            account, existed = await self._accounts.enrol(person, held, replaces=note.old, before_making=make_a_note)
            existed = existed and (before is None or before.found)  # else an earlier attempt made it
            if existed and not note.gone:
                await self._refuse_impossible(account, person)
        except ConnectorError as error:
            if noted and not error.ambiguous:
                await self.notes.drop(note)
            raise
        if account.id == note.old or (existed and note.gone):
            await self.notes.drop(note)
        else:
            await self.notes.put(replace(note, new=account.id, found=existed))
        if not existed:
            await self._accounts.records.remember_groups(account.id, groups_of(person))
        return account, existed

    async def _refuse_impossible(self, found: PublicUser, person: User) -> None:
        """Refuse, before either account is touched, to take over one that cannot be given what the person has.

        :raises RemoteForbiddenError: By the guard's and the mapping's rules.
        """
        accounts = self._accounts
        groups = await accounts.inventory.known(groups_of(person))
        mapper = await accounts.inventory.complete(groups)
        accounts.guard.refuse_collapse(found, mapper)
        held = assignment_of(found)
        mapper.refuse_unallowed(mapper.resolve(groups, held, asked=groups).assignment, held)

    async def successor(self, remote_id: str) -> PublicUser | None:
        """Return the account that was made in the place of one that is not there, if there is one."""
        note = await self.notes.of(remote_id)
        if note is None or note.old != remote_id:
            return None
        if note.found:
            await self.notes.drop(note)
            return None
        try:
            if note.new is not None:
                return await self._accounts.presence.user(note.new)
            account = await self._accounts.find(note.address)
        except RemoteNotFoundError:
            account = None
        if account is None:
            await self.notes.drop(note)  # nothing came of it
        elif account.id != remote_id:
            await self.notes.put(replace(note, new=account.id))
        return account

    async def finish(self, remote_id: str) -> None:
        """Remove the other account of a person; none is success.

        :param remote_id: The one that stays.
        :raises RemoteForbiddenError: When the other one must not be changed.
        """
        note = await self.notes.of(remote_id)
        if note is None:
            return
        other = note.other(remote_id)
        if remote_id == note.old:
            if note.new is None:
                made = await self._accounts.find(note.address)
                other = None if made is None or made.id == remote_id else made.id
            if note.found:
                other = None
        elif note.found and other is not None:
            await self._hand_over(other, remote_id)
        if other is not None:
            await self._accounts.delete(other)
        await self.notes.drop(note)

    async def _by_hand(self, account: PublicUser) -> Assignment:
        """Return what an account holds without what its groups gave it: the groups give that again."""
        return by_hand(assignment_of(account), (await self._accounts.records.remembered(account.id)).given)

    async def _hand_over(self, former_id: str, account_id: str) -> None:
        """Give an account that was found the teams which the former one holds and no group manages."""
        accounts = self._accounts
        try:
            former = await self._by_hand(await accounts.guarded(former_id, word_suffices=True))
            account = await accounts.guarded(account_id)
        except RemoteNotFoundError:
            return
        kept = await accounts.records.tombstone(account_id, account.normal_email)
        if kept is not None and kept.took_from(account):  # their access has ended: what is given would let them in
            return
        held = assignment_of(account)
        primary = held.primary_team_id or former.primary_team_id
        teams = (held.team_ids | former.team_ids) - {primary or ""}
        if teams == held.secondary_team_ids and primary == held.primary_team_id:
            return
        mapper, remembered = await accounts.inventory.mapper(), await accounts.records.remembered(account_id)
        groups = held_by(mapper, account, remembered)
        try:
            await accounts.apply_groups(
                account, groups, replace(held, primary_team_id=primary, secondary_team_ids=teams)
            )
        except (RemoteInvalidValueError, RemoteForbiddenError) as error:
            accounts.logger.warning("the teams of a former account are not handed over: %s", error.detail)


async def end_all(*ends: Callable[[], Awaitable[object]]) -> None:
    """End the access of several accounts: each is tried, whatever became of the one before.

    :raises ConnectorError: The first failure.
    """
    failures: list[ConnectorError] = []
    for end in ends:
        try:
            await end()
        except ConnectorError as error:
            failures.append(error)
    if failures:
        raise failures[0]
