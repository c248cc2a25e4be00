"""By which account somebody who returns is let in."""

from scim_bridge.models import User
from scim_bridge_hubspot.accounts import Accounts
from scim_bridge_hubspot.resources import address_of
from scim_bridge_hubspot.wire import PublicUser


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
