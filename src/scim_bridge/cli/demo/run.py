"""The demonstration from its beginning to its end."""

import asyncio
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import httpx2
from rich.console import Console

from scim_bridge.cli.demo import report
from scim_bridge.cli.demo.bridge import BridgeProcess, write_configuration
from scim_bridge.cli.demo.people import GUEST, people_of
from scim_bridge.cli.demo.portal import Members, Portal, remote_snapshot, start_portal
from scim_bridge.cli.demo.processes import ProcessGroup, process_group
from scim_bridge.cli.demo.report import Ending
from scim_bridge.cli.demo.stage import Stage, explore
from scim_bridge.cli.demo.story import Chapter, Storyteller, Tenant, chapters, try_to_end_a_super_admin
from scim_bridge.testing.clients import (
    EntraClient,
    GenericClient,
    IdentityProvider,
    OktaClient,
    Schedule,
    differences,
    snapshot_of,
)
from scim_bridge.testing.clients.session import list_all

CLIENTS = {"okta": "okta", "entra": "entra", "generic": "generic"}
"""The preset of client quirks, by connection id."""

GROUPS = {
    "okta": ("Sales", "Marketing", "Support", "Read Only"),
    "entra": ("Sales", "Support"),
    "generic": ("Marketing", "Read Only"),
}
"""The groups of each identity provider: permission sets that HubSpot has."""

STORY_SECONDS = 240.0
"""How long the story may take; a second more for each person."""

SETTLE_SECONDS = 40.0
"""How long after the last answer HubSpot may take; large groups are answered before their additions are done."""

POLL_SECONDS = 0.2

PLAIN_WIDTH = 120
"""Columns of what is written to a file or a pipe."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a demonstration is like.

    :param seed: Makes people, moves, ids.
    :param people: How many people Okta has; the others have fewer.
    :param quick: Whether HubSpot is down for a moment only.
    :param keep: Whether everything stays up afterwards.
    :param tamper: Whether HubSpot is changed behind the bridge's back at the end.
    """

    seed: int
    people: int = 40
    quick: bool = False
    keep: bool = False
    tamper: bool = False


async def run(options: Options, console: Console | None = None, *, story: Sequence[Chapter] | None = None) -> bool:
    """Give the demonstration.

    :param story: What happens; the whole story by default.
    :returns: Whether HubSpot ended up as the identity providers said, and every failure happened.
    :raises ProcessFailedError: When a process does not start.
    """
    console = console or Console()
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    story = chapters(outage_seconds=3.0 if options.quick else 6.0) if story is None else story
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, signal.raise_signal, signal.SIGINT)
    began = time.monotonic()
    console.print(f"scim-bridge demo, seed {options.seed}")
    async with _scene(options) as scene:
        before = {tenant.id: await tenant.portal.snapshot() for tenant in scene.tenants}
        console.print(f"started 3 HubSpot emulators and the bridge in {time.monotonic() - began:.1f} s")
        await _tell(story, scene, console, options)
        await _settle(scene.tenants)
        refusal = await try_to_end_a_super_admin(scene.tenants[0])
        if options.tamper:
            await _tamper(scene.tenants[0])
        outcomes = [await _outcome(tenant, before[tenant.id]) for tenant in scene.tenants]
        ending = Ending(outcomes, story, scene.bridge.kills, scene.bridge.down_seconds, refusal)
        report.show(console, ending)
        verdict = "[bold green]HubSpot is as the identity providers said" if ending.succeeded else "[bold red]FAILED"
        console.print(f"{verdict}[/] · seed {options.seed} · {time.monotonic() - began:.1f} s")
        if options.keep:
            await explore(console, scene.directory, scene.bridge, scene.tenants, scene.tokens)
    return ending.succeeded


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that runs.

    :param directory: Where configuration, database and logs are.
    :param tokens: The bearer token of each connection.
    """

    directory: Path
    bridge: BridgeProcess
    tenants: list[Tenant]
    tokens: dict[str, str]


@asynccontextmanager
async def _scene(options: Options) -> AsyncIterator[Scene]:
    """Start everything, for the length of a ``with`` block."""
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="scim-bridge-demo-")))
        processes = await stack.enter_async_context(process_group(directory))
        portals = await _portals(stack, processes, options.seed)
        bridge = BridgeProcess(processes, write_configuration(directory, CLIENTS, portals))
        await bridge.start()
        minted = await asyncio.gather(*map(bridge.create_token, portals))
        tokens = dict(zip(portals, minted, strict=True))
        numbers = {"okta": options.people, "entra": options.people // 2, "generic": options.people // 4}
        tenants = []
        for name, portal in portals.items():
            url = f"{bridge.url}/{name}/scim/v2"
            http = await stack.enter_async_context(httpx2.AsyncClient(base_url=url))
            random = Random(f"{options.seed}/{name}")  # noqa: S311 - as above
            title, provider = _provider(name, http, f"Bearer {tokens[name]}", random)
            people = people_of(name, max(4, numbers[name]), random)
            tenants.append(Tenant(name, title, provider, portal, people, GROUPS[name]))
        yield Scene(directory, bridge, tenants, tokens)


async def _portals(stack: AsyncExitStack, processes: ProcessGroup, seed: int) -> dict[str, Portal]:
    numbered = enumerate(CLIENTS, start=1)
    started = await asyncio.gather(
        *(start_portal(processes, name, number=number, seed=seed) for number, name in numbered)
    )
    for portal in started:
        stack.push_async_callback(portal.close)
        await portal.in_pages(
            "add_person", email=GUEST.user_name, first_name=GUEST.given_name, last_name=GUEST.family_name
        )
    return dict(zip(CLIENTS, started, strict=True))


def _provider(name: str, http: httpx2.AsyncClient, authorization: str, random: Random) -> tuple[str, IdentityProvider]:
    """Return a simulated identity provider, with a name for people."""
    if name == "okta":
        return "Okta", OktaClient(http, authorization=authorization, random=random, fresh_retry_after=True)
    if name == "entra":
        schedule = Schedule(cycle=1.0, escrow=(1.0, 2.0, 4.0))
        return "Entra ID", EntraClient(http, authorization=authorization, random=random, schedule=schedule)
    return "AccessOwl-like", GenericClient(http, authorization=authorization, random=random)


async def _tell(story: Sequence[Chapter], scene: Scene, console: Console, options: Options) -> None:
    """Let everything happen; what takes too long is given up, and the table shows what is missing."""
    chance = Random(options.seed)  # noqa: S311 - a demonstration must be repeatable
    with Stage(console) as stage:
        teller = Storyteller(scene.tenants, scene.bridge, chance, stage.watch)
        try:
            async with asyncio.timeout(STORY_SECONDS + options.people):
                for chapter in story:
                    with stage.chapter(chapter.title, scene.tenants):
                        await teller.tell(chapter)
        except TimeoutError:
            console.print(f"[bold red]given up[/]; the log of the bridge ends:\n{scene.bridge.last_words()}")


async def _settle(tenants: Sequence[Tenant]) -> None:
    """Wait until HubSpot is as the identity providers want it, or the time for that is over."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        snapshots = await asyncio.gather(*(tenant.portal.snapshot() for tenant in tenants))
        pairs = zip(tenants, snapshots, strict=True)
        if not any(differences(tenant.provider, remote_snapshot(members)) for tenant, members in pairs):
            return
        await asyncio.sleep(POLL_SECONDS)


async def _outcome(tenant: Tenant, before: Members) -> report.Outcome:
    """Compare an identity provider with its HubSpot, and with what the bridge serves."""
    session = tenant.provider.session
    after, calls = await tenant.portal.snapshot(), await tenant.portal.calls()
    users = await list_all(session, "/Users", count=100)
    served = snapshot_of(users, await list_all(session, "/Groups", count=100))
    return report.outcome(tenant, before, after, served, calls)


async def _tamper(tenant: Tenant) -> None:
    """Remove somebody in HubSpot's pages whom the identity provider wants there."""
    chosen = min(tenant.provider.assigned)
    await tenant.portal.in_pages("remove", email=tenant.provider.people[chosen].user_name)
