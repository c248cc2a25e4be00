"""Planted defects of the kinds that were met at the edges: each took back would be found by a rule of the promises.

``python -m tests.faults.cases --defect <name>`` shows one by one command.
"""

from collections.abc import AsyncIterator, Callable
from typing import Any

from scim_bridge import upstream
from scim_bridge.errors import RemoteNotFoundError
from scim_bridge.models import Lane
from scim_bridge.provisioning import groups, intake, observation, plan, recorder, succession, users
from scim_bridge.provisioning.guard import Guard
from scim_bridge.provisioning.roster import Rosters
from scim_bridge.provisioning.steps import Portions
from scim_bridge.store import resources
from scim_bridge.store.rows import State
from scim_bridge_hubspot import accounts
from scim_bridge_hubspot.accounts import Accounts
from scim_bridge_hubspot.client import HubSpotClient
from scim_bridge_hubspot.errors import BareNotFoundError
from scim_bridge_hubspot.presence import Presence
from scim_bridge_hubspot.wire import PublicUser
from tests.faults.defects import Defects, listed_in, plant

DEFECTS: Defects = {}
"""Each defect by its name; calling it plants it in this process."""
FINDERS: dict[str, str] = {}
"""The rule that has to find each."""


def found_by(rule: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Return a decorator that puts a defect on the list."""

    def listed(defect: Callable[[], None]) -> Callable[[], None]:
        FINDERS[defect.__name__] = rule
        return listed_in(DEFECTS)(defect)

    return listed


@found_by("removed-is-out")
def any_404_is_an_absence() -> None:
    """Ours: whatever answers 404 has proven that somebody is gone."""

    async def user(self: Presence, user_id: str, *, word_suffices: bool = False) -> PublicUser:
        try:
            return await self._client.user(user_id)
        except BareNotFoundError as error:
            raise RemoteNotFoundError("HubSpot has no such account") from error

    plant(Presence, "user", user)


@found_by("road-is-no-refusal")
def the_road_refuses() -> None:
    """Ours: whatever a gateway or an edge answers is told as HubSpot's refusal."""
    plant(upstream, "about", lambda _response, _own_error: upstream.About.OBJECT)


@found_by("removed-is-out")
def what_was_seen_is_so() -> None:
    """Ours: of somebody who was last seen to be out, nothing is asked before it is said again."""
    plant(users.UserIntake, "_may_have_returned", lambda _self, _row: False)


@found_by("guard-kept")
def a_guard_knows_the_name_of_the_moment() -> None:
    """Ours: whoever waits for a group is not counted when it takes a guarded name."""

    def changed(self: groups.GroupIntake, tx: Any, row: Any, group: Any) -> Any:
        return self.intake.store(tx, row, group, lane=Lane.UPDATE, matters=self.intake.matters(row, group))

    plant(groups.GroupIntake, "_changed", changed)


@found_by("reads-are-true")
def a_page_is_the_whole() -> None:
    """Ours: what is held is looked for among the first that wait."""

    def held(self: Guard, tx: Any) -> list[Any]:
        return [row for row in resources.ledger(tx, self.connection_id, limit=5) if row.state is State.HELD]

    plant(Guard, "held", held)


@found_by("nothing-unasked")
def whoever_is_wanted_is_made() -> None:
    """Ours: an account that is not there is made, whatever a client wrote about it."""

    def entry(_desired: plan.Desired, seen: plan.Seen) -> plan.Step:
        return plan.Step.REACTIVATE_USER if seen.known else plan.Step.CREATE_USER

    vars(plan)["_entry"] = entry


@found_by("left-is-left")
def a_loss_is_believed() -> None:
    """Ours: HubSpot's answer that somebody lost something is not followed by a look."""
    vars(accounts)["only_gives"] = lambda *_, **__: True


@found_by("named-only")
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


@found_by("one-id-one-person")
def an_address_is_a_person() -> None:
    """Ours: somebody else with the same address gets the id and the groups of whoever had it before."""
    vars(users)["_is_somebody_else"] = lambda _row, _user: False


@found_by("not-absent-then-taken")
def nobody_stands_for_it() -> None:
    """Ours: that another resource stands for the same account is seen when the account has been made."""

    def standing(_tx: Any, _row: Any, _remote_id: str) -> None:
        return None

    for module in (succession, intake, observation, recorder):
        if "standing" in vars(module):
            vars(module)["standing"] = standing


@found_by("left-is-left")
def whom_nobody_saw_in_it_is_out() -> None:
    """Ours: whoever was never seen in a group is taken for one who is not in it, and nothing is sent."""
    plant(groups.GroupIntake, "_unseen", lambda _self, _tx, _row, _named: [])


@found_by("reads-are-true")
def a_group_that_nobody_read_is_empty() -> None:
    """Ours: where members are on the group, a comparison does not learn who is in it."""
    nobody: tuple[Any, ...] = ()

    async def differences(_self: Rosters, **_options: Any) -> AsyncIterator[Any]:
        for one in nobody:
            yield one

    plant(Rosters, "differences", differences)


@found_by("accepted-is-done")
def every_attempt_begins_anew() -> None:
    """Ours: a call is given all members that are left, whatever became of the last one."""
    plant(Portions, "cut", lambda _self, situation: situation)
