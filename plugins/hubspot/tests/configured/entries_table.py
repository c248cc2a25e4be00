"""Tries what happens when an entry of the configuration is renamed or deleted in HubSpot, and writes it into the guide.

Run ``python -m plugins.hubspot.tests.configured.entries_table`` to write it; a test checks that it is up to date.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from plugins.hubspot.tests.configured.stock import stock
from plugins.hubspot.tests.connector.portals import ADA, SCIM_URL, World, person, world
from scim_bridge.connections import BoundConnector
from scim_bridge.errors import RemoteInvalidValueError, RemoteUnavailableError
from scim_bridge.testing.virtual_time import run_virtually

GUIDE = Path(__file__).parents[4] / "docs" / "hubspot.md"
BEGIN, END = "<!-- entries: begin -->", "<!-- entries: end -->"
EVE = "eve@corp.example"
ALIAS = "alias:Sales EMEA"
STALE = 600.0

MODES: dict[str, dict[str, Any]] = {
    "remove": {"deprovision": "remove"},
    "strip": {"deprovision": "strip", "strip": {"permission_set": "No access", "seat": "View"}},
    "scim": {"deprovision": "scim", "scim_token": "scim-emulator", "scim_url": SCIM_URL},
}
SETTINGS: dict[str, Any] = {
    "api_version": "2026-09-beta",
    "groups": {
        "Sales EMEA": {
            "permission_set": "Sales",
            "primary_team": "EMEA",
            "secondary_teams": ["APAC"],
            "seats": ["Paid"],
        }
    },
    "fallback_permission_set": "Viewer",
    "fallback_seat": "Core",
    "precedence": ["Sales", "Support"],
    "seat_rules": {"Support": ["Core", "Paid"]},
    "privileged": ["Sales Manager"],
}
ENTRIES = {
    "permission set of an alias": "Sales",
    "team of an alias": "EMEA",
    "seat of an alias": "Paid",
    "permission set that is a group": "Marketing",
    "`fallback_permission_set`": "Viewer",
    "`fallback_seat`": "Core",
    "`strip.permission_set`": "No access",
    "`strip.seat`": "View",
    "set in `seat_rules`, `precedence`": "Support",
    "set in `privileged`": "Sales Manager",
}
"""What is renamed or deleted, by what the configuration says of it."""

OF_STRIP = {"No access", "View"}
OF_NOBODY = {"Viewer", "Core"}
"""What people have who are in no group."""
HEADINGS = (
    "the entry",
    "mode",
    "in HubSpot it is",
    "who has it",
    "joining",
    "leaving",
    "`active = false`",
    "`active = true`",
)


async def tried(mode: str, entry: str, change: str) -> tuple[str, ...]:
    """Return what becomes of somebody whom the entry gives something, in words."""
    portal = world()
    stock(portal.hubspot)
    marketing = f"role:{portal.hubspot.role_named('Marketing').id}"
    groups = [] if entry in OF_NOBODY else [marketing] if entry == "Marketing" else [ALIAS]
    async with portal.connector(**SETTINGS, **MODES[mode]) as connector:
        ada = await connector.create_user(person(ADA))
        eve = await connector.create_user(person(EVE))
        await connector.set_user_groups(ada.remote_id, person(), groups)
        if change == "renamed":
            portal.hubspot.ui_rename(entry, "Other")
        else:
            portal.hubspot.ui_delete(entry)
        before = portal.account()
        await asyncio.sleep(STALE)
        words = [await _holding(portal, connector, ada.remote_id, groups, before)]
        words.append(await _told(lambda: connector.set_user_groups(eve.remote_id, person(EVE), groups)))
        words.append(await _told(lambda: connector.set_user_groups(ada.remote_id, person(), [])))
        words.append(await _told(lambda: connector.deactivate_user(ada.remote_id, person())))
        words.append(await _told(lambda: connector.reactivate_user(ada.remote_id, person())))
    return tuple(words)


async def _holding(portal: World, connector: BoundConnector, remote_id: str, groups: list[str], before: Any) -> str:
    """Write the person's groups again, as a comparison does, and tell what became of what they had."""
    told = await _told(lambda: connector.set_user_groups(remote_id, person(), groups))
    account = portal.account()
    fallback = account.roles == ("Viewer",) != before.roles
    kept = "keeps what there is" if account == before else "has the fallback" if fallback else f"has {account}"
    return kept if told == "done" else f"{kept}; told {told}"


async def _told(call: Callable[[], Awaitable[object]]) -> str:
    try:
        await call()
    except RemoteInvalidValueError:
        return "400, naming it"
    except RemoteUnavailableError:
        return "429 until it is mended"
    return "done"


async def rows() -> list[tuple[str, ...]]:
    """Try everything; ways to end access that do not differ share a row."""
    made = []
    for told, entry in ENTRIES.items():
        for change in ("renamed", "deleted"):
            by_mode = {
                mode: await tried(mode, entry, change) for mode in MODES if mode == "strip" or entry not in OF_STRIP
            }
            for outcome in dict.fromkeys(by_mode.values()):
                modes = [mode for mode, other in by_mode.items() if other == outcome]
                named = "all" if len(modes) == len(MODES) else ", ".join(f"`{mode}`" for mode in modes)
                made.append((told, named, change, *outcome))
    return made


def table(made: list[tuple[str, ...]]) -> str:
    """Return rows as a Markdown table; rows that say the same of both changes are one."""
    merged: dict[tuple[str, ...], list[str]] = {}
    for told, mode, change, *outcome in made:
        merged.setdefault((told, mode, *outcome), []).append(change)
    lines = [
        f"| {' | '.join((told, mode, ' or '.join(changes), *outcome))} |"
        for (told, mode, *outcome), changes in merged.items()
    ]
    return "\n".join([f"| {' | '.join(HEADINGS)} |", "|---" * len(HEADINGS) + "|", *lines])


def with_table(guide: str, made: list[tuple[str, ...]]) -> str:
    """Return the guide with the table between its markers."""
    head, _, rest = guide.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{table(made)}\n{END}{tail}"


def main() -> None:
    """Write the table."""
    made = run_virtually(rows())
    GUIDE.write_text(with_table(GUIDE.read_text("utf-8"), made), "utf-8")
    sys.stdout.write(table(made) + "\n")


if __name__ == "__main__":
    asyncio.set_event_loop(None)
    main()
