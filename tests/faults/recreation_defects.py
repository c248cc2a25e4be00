"""Planted defects of what makes a person anew: ``python -m tests.faults.recreations --defect <name>`` shows one."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from scim_bridge.models import User
from scim_bridge_hubspot import connector
from scim_bridge_hubspot.accounts import Accounts
from scim_bridge_hubspot.recreations import Recreation, Recreations
from scim_bridge_hubspot.wire import Assignment, PublicUser
from tests.faults.defects import Defects, listed_in, plant

DEFECTS: Defects = {}
"""Each defect by its name; calling it plants it in this process."""

defect = listed_in(DEFECTS)


@defect
def noted_when_it_is_made() -> None:
    """Ours: the second account of a person is noted once it is there, not before it is made."""
    original = Accounts.enrol

    async def enrol(
        self: Accounts, user: User, held: Assignment | None = None, *, replaces: str | None = None, **_: Any
    ) -> tuple[PublicUser, bool]:
        return await original(self, user, held, replaces=replaces)

    plant(Accounts, "enrol", enrol)


@defect
def one_of_two_is_ended() -> None:
    """Ours: who has two accounts for the moment loses the one that is known, and keeps the other."""

    async def end(*ends: Callable[[], Awaitable[object]]) -> None:
        await ends[-1]()

    plant(connector, "end_all", end)


@defect
def found_is_made() -> None:
    """Ours: an account that somebody made by hand is removed with a change of userName that is given up."""
    original = Recreations.put

    async def put(self: Recreations, note: Recreation) -> None:
        await original(self, replace(note, found=False))

    plant(Recreations, "put", put)


FOUND = ("--start", "another userName that was made by hand", "--then", "back")
FINDERS: dict[str, tuple[str, ...]] = {
    "noted_when_it_is_made": ("--strike", "after", "--then", "deactivate"),
    "one_of_two_is_ended": ("--then", "deactivate"),
    "found_is_made": FOUND,
}
"""Which rounds find each of them soon."""
