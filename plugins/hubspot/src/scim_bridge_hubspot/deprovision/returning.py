"""By which account somebody who returns is let in, and what they get back if they were not quite out."""

from collections.abc import Sequence
from dataclasses import replace

from scim_bridge.errors import RemoteInvalidValueError, RemoteNotFoundError
from scim_bridge.models import User
from scim_bridge_hubspot.accounts import Accounts
from scim_bridge_hubspot.errors import NoSeatError
from scim_bridge_hubspot.holding import held_by
from scim_bridge_hubspot.resources import address_of
from scim_bridge_hubspot.wire import Assignment, PublicUser, assignment_of


async def is_left_behind(accounts: Accounts, account: PublicUser, user: User) -> bool:
    """Whether a person who returns is not let in by the account they had: its address was changed by hand.

    It is another one if the address was given to somebody else, or has an account of its own by now.
    """
    address = address_of(user)
    if account.normal_email == address:
        return False
    kept = await accounts.records.tombstone(account.id, address)
    another = kept is not None and kept.is_of_another(user.external_id)
    return another or await accounts.find(address) is not None


async def give_back(accounts: Accounts, user: PublicUser, groups: Sequence[str], held: Assignment) -> PublicUser:
    """Give a returning person what groups come to, on top of the teams and seats they had, where these still are.

    :param held: What they held, by the tombstone.
    """
    try:
        return await accounts.apply_groups(user, groups, held)
    except NoSeatError:
        seats = await accounts.inventory.unsold(held.seat_names, assignment_of(user).seat_names)
        if seats == held.seat_names:
            raise
        accounts.logger.warning("a seat of a returning person is not free: the account comes back without it")
        return await give_back(accounts, user, groups, replace(held, seat_names=seats))
    except RemoteInvalidValueError:
        if not held.team_ids and not held.seat_names:
            raise
        if (left := await accounts.inventory.left_of(held)) != held:
            return await give_back(accounts, user, groups, left)
    accounts.logger.warning("teams or seats of a returning person are refused; the account comes back without them")
    return await accounts.apply_groups(user, groups, Assignment(seat_names=assignment_of(user).seat_names))


async def take_back(accounts: Accounts, remote_id: str) -> None:
    """Give back what a removal took that could not be finished, and that nobody wants any more; none is success."""
    kept = await accounts.records.tombstone(remote_id, "")
    if kept is None or not kept.is_unfinished:
        return
    try:
        account = await accounts.guarded(remote_id)
    except RemoteNotFoundError:
        return
    if kept.bares(account):
        mapper = await accounts.inventory.mapper()
        held = held_by(mapper, account, await accounts.records.remembered(remote_id))
        await give_back(accounts, account, held, kept.assignment)
    await accounts.records.unbury(remote_id)
