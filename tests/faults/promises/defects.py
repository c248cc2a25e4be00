"""Planted defects of the kinds that were met at the edges: each took back would be found by a rule of the promises.

``python -m tests.faults.cases --defect <name>`` shows one by one command.
"""

from typing import Any

from scim_bridge import upstream
from scim_bridge.errors import RemoteNotFoundError
from scim_bridge.provisioning import intake, observation, outcomes, succession, users
from scim_bridge_hubspot.accounts import Accounts
from scim_bridge_hubspot.client import HubSpotClient
from scim_bridge_hubspot.errors import BareNotFoundError
from scim_bridge_hubspot.presence import Presence
from scim_bridge_hubspot.wire import PublicUser
from tests.faults.defects import Defects, listed_in, plant

DEFECTS: Defects = {}
"""Each defect by its name; calling it plants it in this process."""

defect = listed_in(DEFECTS)


@defect
def any_404_is_an_absence() -> None:
    """Ours: whatever answers 404 has proven that somebody is gone."""

    async def user(self: Presence, user_id: str, *, word_suffices: bool = False) -> PublicUser:
        try:
            return await self._client.user(user_id)
        except BareNotFoundError as error:
            raise RemoteNotFoundError("HubSpot has no such account") from error

    plant(Presence, "user", user)


@defect
def the_road_refuses() -> None:
    """Ours: whatever a gateway or an edge answers is told as HubSpot's refusal."""
    plant(upstream, "about", lambda _response, _own_error: upstream.About.OBJECT)


@defect
def any_record_is_theirs() -> None:
    """Ours: whoever's record comes, they are the one who is removed."""
    original, read = Accounts.remove, dict[str, str]()

    async def user(self: HubSpotClient, user_id: str) -> PublicUser:
        found = await self._read_member(user_id, {})
        read[user_id] = found.id
        return found

    async def remove(self: Accounts, user_id: str) -> bool:
        return await original(self, read.pop(user_id, user_id))

    plant(HubSpotClient, "user", user)
    plant(Accounts, "remove", remove)


@defect
def an_address_is_a_person() -> None:
    """Ours: somebody else with the same address gets the id and the groups of whoever had it before."""
    vars(users)["_is_somebody_else"] = lambda _row, _user: False


@defect
def nobody_stands_for_it() -> None:
    """Ours: that another resource stands for the same account is seen when the account has been made."""

    def standing(_tx: Any, _row: Any, _remote_id: str) -> None:
        return None

    for module in (succession, intake, observation, outcomes):
        if "standing" in vars(module):
            vars(module)["standing"] = standing
