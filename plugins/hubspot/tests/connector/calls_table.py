"""Measures how many calls to HubSpot each SCIM operation costs, and writes the table into the guide.

Run ``python -m plugins.hubspot.tests.connector.calls_table`` to write it; a test checks that it is up to date. Measured
with what a running bridge has in memory: permission sets, teams and the token's owner are asked once in minutes.
"""

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plugins.hubspot.tests.connector.portals import ADA, SCIM_URL, World, person, role, world
from scim_bridge.connections import BoundConnector
from scim_bridge.testing.virtual_time import run_virtually
from scim_bridge_hubspot.sightings import SEEN_SECONDS

GUIDE = Path(__file__).parents[4] / "docs" / "hubspot.md"
BEGIN, END = "<!-- calls: begin -->", "<!-- calls: end -->"


SEEN = "seen in the last minute"
LOOKED_UP = "looked up or listed before"
ALIAS = {"permission_set": "Sales", "secondary_teams": ["EMEA"]}


@dataclass(frozen=True, slots=True)
class Cost:
    """What one operation costs.

    :param calls: What was sent, in order, ids masked.
    """

    operation: str
    calls: tuple[str, ...]


def masked(path: str) -> str:
    """Return a path without what changes from run to run."""
    return re.sub(r"/(\d{6,}|[^/]+@[^/]+)$", "/{id}", path).replace("/settings/users/2026-03", "users")


class Meter:
    """Counts the calls of one portal."""

    def __init__(self, portal: World) -> None:
        self._portal = portal
        self.costs: list[Cost] = []

    async def measure(self, operation: str, call: Callable[[], Awaitable[object]]) -> None:
        """Run an operation and note its calls."""
        before = self._portal.hubspot.calls.total
        await call()
        made = [item for item in self._portal.hubspot.calls if item.number > before]
        self.costs.append(Cost(operation, tuple(f"{item.method} {masked(item.path)}" for item in made)))


def portal_with(**settings: Any) -> World:
    """Return a portal with permission sets and two people who were there before."""
    portal = world()
    for name in ("Sales", "Ops", "No access"):
        portal.hubspot.add_role(name)
    portal.hubspot.add_person("hand@corp.example")
    portal.hubspot.add_person("other@corp.example", roles=["Sales"])
    portal.settings = settings
    return portal


async def warm(portal: World, connector: BoundConnector) -> None:
    """Let the connector ask what it asks once."""
    await connector.list_groups(None, 100)
    await connector.set_user_groups(portal.hubspot.member("other@corp.example").id, person("other@corp.example"), [])


async def later() -> None:
    """Let time pass until nothing is remembered of what was seen, and permission sets still are."""
    await asyncio.sleep(SEEN_SECONDS + 1)


async def lifecycle() -> list[Cost]:
    """Measure the life of an account that is removed on deactivation."""
    portal = portal_with(rename="recreate", precedence=("Ops",), groups={"Sales EMEA": ALIAS})
    portal.hubspot.add_team("EMEA")
    meter = Meter(portal)
    sales, ops = (role(portal.hubspot.role_named(name)) for name in ("Sales", "Ops"))
    async with portal.connector() as connector:
        await warm(portal, connector)
        new = person("new@corp.example", groups=[sales])
        await meter.measure("create, with a group", lambda: connector.create_user(new))
        await meter.measure("look a userName up (nobody has it)", lambda: connector.find_user(ADA))
        await meter.measure(f"create, with a group, {LOOKED_UP}", lambda: connector.create_user(person(groups=[sales])))
        hand = person("hand@corp.example")
        await meter.measure("create, adopting an account", lambda: connector.create_user(hand))
        portal.hubspot.ui_activate(ADA)
        ada = portal.hubspot.member(ADA).id
        renamed = person(given="Augusta")
        await meter.measure("rename", lambda: connector.update_user(ada, person(), renamed))
        await connector.set_user_groups(ada, renamed, [])
        await meter.measure(f"add to a group, {SEEN}", lambda: connector.set_user_groups(ada, renamed, [sales]))
        await connector.set_user_groups(ada, renamed, [])
        await later()
        await meter.measure("add to a group", lambda: connector.set_user_groups(ada, renamed, [sales]))
        await meter.measure("add to a second group", lambda: connector.set_user_groups(ada, renamed, [sales, ops]))
        await later()
        await connector.set_user_groups(ada, renamed, [sales, ops])
        await meter.measure("leave one of two groups", lambda: connector.set_user_groups(ada, renamed, [sales]))
        await meter.measure("change the group", lambda: connector.set_user_groups(ada, renamed, [ops]))
        await meter.measure("set the group again", lambda: connector.set_user_groups(ada, renamed, [ops]))
        alias = [ops, "alias:Sales EMEA"]
        await meter.measure(f"add to an alias, {SEEN}", lambda: connector.set_user_groups(ada, renamed, alias))
        await meter.measure("leave the alias", lambda: connector.set_user_groups(ada, renamed, [ops]))
        await meter.measure("leave the last group", lambda: connector.set_user_groups(ada, renamed, []))
        await meter.measure("deactivate (remove)", lambda: connector.deactivate_user(ada, renamed))
        back = person(given="Augusta", groups=[ops])
        await meter.measure("reactivate (remove)", lambda: connector.reactivate_user(ada, back))
        await meter.measure("delete", lambda: connector.delete_user(ada))
        await meter.measure("list 100 accounts (first page)", lambda: connector.list_users(None, 100))
        other = portal.hubspot.member("other@corp.example").id
        before, moved = person("other@corp.example"), person("moved@corp.example")
        await meter.measure("another userName (recreate)", lambda: connector.update_user(other, before, moved))
        anew = portal.hubspot.member("moved@corp.example").id
        await meter.measure("another userName (recreate): the old account", lambda: connector.finish_user(anew))
    return meter.costs


async def deprovisioning(mode: str, **settings: Any) -> list[Cost]:
    """Measure the other ways to deactivate."""
    portal = portal_with(deprovision=mode, **settings)
    meter = Meter(portal)
    other, user = portal.hubspot.member("other@corp.example").id, person("other@corp.example")
    ops = role(portal.hubspot.role_named("Ops"))
    async with portal.connector() as connector:
        await warm(portal, connector)
        await connector.set_user_groups(other, user, [])
        await later()
        await meter.measure(f"add to a group ({mode})", lambda: connector.set_user_groups(other, user, [ops]))
        await connector.set_user_groups(other, user, [role(portal.hubspot.role_named("Sales"))])
        await meter.measure(f"deactivate ({mode})", lambda: connector.deactivate_user(other, user))
        back = person("other@corp.example", groups=[ops])
        await meter.measure(f"reactivate ({mode})", lambda: connector.reactivate_user(other, back))
    return meter.costs


async def measured() -> list[Cost]:
    """Measure everything, each part on a portal of its own."""
    costs = await lifecycle()
    costs += await deprovisioning("strip", strip={"permission_set": "No access"})
    costs += await deprovisioning("scim", scim_token="scim-emulator", scim_url=SCIM_URL)
    return costs


def table(costs: list[Cost]) -> str:
    """Return the costs as a Markdown table."""
    rows = [(cost.operation, len(cost.calls), ", ".join(f"`{call}`" for call in cost.calls)) for cost in costs]
    lines = [f"| {operation} | {number} | {calls} |" for operation, number, calls in rows]
    return "\n".join(["| operation | calls | which |", "|---|---|---|", *lines])


def with_table(guide: str, costs: list[Cost]) -> str:
    """Return the guide with the table between its markers."""
    head, _, rest = guide.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{table(costs)}\n{END}{tail}"


def main() -> None:
    """Write the table."""
    costs = run_virtually(measured())
    GUIDE.write_text(with_table(GUIDE.read_text("utf-8"), costs), "utf-8")
    sys.stdout.write(table(costs) + "\n")


if __name__ == "__main__":
    asyncio.set_event_loop(None)
    main()
