"""What happens: what identity providers are told by their administrators, and what goes wrong meanwhile."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from scim_bridge.cli.demo.bridge import BridgeProcess
from scim_bridge.cli.demo.portal import Call, Portal
from scim_bridge.testing.clients import IdentityProvider, Person, Progress, RequestFailedError
from scim_bridge.testing.clients.directory import PATCH
from scim_bridge.testing.clients.session import listed

ADMIN_ROUNDS = 5
"""How often administrators press the retry button before they give up."""


@dataclass(slots=True)
class Tenant:
    """One connection: who pushes, where to.

    :param id: The connection's id.
    :param title: Who pushes, for people.
    :param group_names: Permission sets that the identity provider pushes groups for.
    :param retried: How many failed pushes an administrator resubmitted.
    """

    id: str
    title: str
    provider: IdentityProvider
    portal: Portal
    people: list[Person]
    group_names: Sequence[str]
    retried: int = 0


@dataclass(slots=True)
class Trouble:
    """Something that goes wrong with HubSpot during a chapter.

    :param connection: Whose HubSpot.
    :param title: What happens, for people.
    :param fault: The fields of the emulator's fault.
    :param fired: How often it happened.
    """

    connection: str
    title: str
    fault: dict[str, Any]
    fired: int = 0

    def struck(self, call: Call) -> bool:
        """Tell whether a call met this trouble."""
        method = self.fault.get("method")
        status = self.fault.get("status", 500)
        same = call.fault == self.fault["kind"] and method in {None, call.method}
        return same and (call.fault != "error" or call.status == status)


@dataclass(frozen=True, slots=True)
class Chapter:
    """A part of the story.

    :param title: What administrators do.
    :param change: Tells an identity provider.
    :param troubles: What goes wrong with HubSpot.
    :param kill: Whether the bridge is killed when the first identity provider is half done.
    :param invitations: Whether people accept HubSpot's invitations first.
    """

    title: str
    change: Callable[[Tenant, Random], None]
    troubles: list[Trouble] = field(default_factory=list)
    kill: bool = False
    invitations: bool = False


# -- What administrators do --------------------------------------------------------------------------------------------


def assign_people(tenant: Tenant, _random: Random) -> None:
    """Give everybody access."""
    for person in tenant.people:
        tenant.provider.assign(person)


def push_groups(tenant: Tenant, random: Random) -> None:
    """Push groups; nobody is in two, for HubSpot's API gives a person one permission set."""
    shuffled = random.sample(tenant.people, len(tenant.people))
    share = len(tenant.group_names)
    for position, name in enumerate(tenant.group_names):
        tenant.provider.push_group(name, shuffled[position::share])


def move_members(tenant: Tenant, random: Random) -> None:
    """Move a third of each group to the next one, and take somebody out of every group."""
    groups = {name: tenant.provider.group(name).members for name in tenant.group_names}
    moving = {name: sorted(members)[:: 3 + random.randrange(2)] for name, members in groups.items()}
    names = list(tenant.group_names)
    for name, following in zip(names, [*names[1:], names[0]], strict=True):
        groups[following] = groups[following] | set(moving[name])
        groups[name] = groups[name] - set(moving[name])
    known = {person.id: person for person in tenant.people}
    for name, members in groups.items():
        kept = sorted(members)[1:]
        tenant.provider.set_members(name, [known[one] for one in kept])


def change_attributes(tenant: Tenant, random: Random) -> None:
    """Give some a new family name, and others a new title."""
    chosen = random.sample(tenant.people, max(4, len(tenant.people) // 3))
    for position, person in enumerate(chosen):
        if position % 2:
            tenant.provider.update(person, title="Director", department="Operations")
        else:
            family = f"{person.family_name}-{random.choice('ABCDEFG')}lvarez"
            tenant.provider.update(person, family_name=family, display_name=f"{person.given_name} {family}")


def deactivate_people(tenant: Tenant, random: Random) -> None:
    """End the access of a quarter."""
    for person in random.sample(tenant.people, max(2, len(tenant.people) // 4)):
        tenant.provider.unassign(person)


def reactivate_people(tenant: Tenant, _random: Random) -> None:
    """Give half of those access again."""
    left = [person for person in tenant.people if person.id not in tenant.provider.assigned]
    for person in left[::2]:
        tenant.provider.reassign(person)


def chapters(*, outage_seconds: float) -> list[Chapter]:
    """Return the story.

    :param outage_seconds: How long HubSpot is down.
    """
    outage = {"kind": "error", "status": 503, "times": None, "seconds": outage_seconds}
    return [
        Chapter(
            "People are assigned",
            assign_people,
            [
                Trouble(
                    "okta",
                    "429, the rate limit",
                    {"kind": "rate_ten_secondly", "times": 3, "retry_after": 1, "method": "POST", "nth": 2},
                ),
                Trouble(
                    "okta",
                    "creation done, answer lost",
                    {"kind": "drop_after", "times": 2, "method": "POST", "nth": 7},
                ),
                Trouble("entra", "connection dropped", {"kind": "drop_before", "times": 3, "nth": 4}),
                Trouble(
                    "generic",
                    "500 to a creation that was done",
                    {"kind": "error", "status": 500, "times": 1, "method": "POST", "commit": True, "nth": 2},
                ),
            ],
            kill=True,
        ),
        Chapter(
            "Groups are pushed",
            push_groups,
            [
                Trouble("okta", "answer ends half way", {"kind": "half", "times": 2, "method": "PUT", "nth": 3}),
                Trouble("generic", "HTML instead of JSON", {"kind": "content_type", "times": 1, "method": "PUT"}),
            ],
            kill=True,
        ),
        Chapter(
            "People move between groups",
            move_members,
            [
                Trouble(one, f"503 for {outage_seconds:.0f} s: HubSpot is down", dict(outage))
                for one in ("okta", "entra")
            ],
        ),
        Chapter("Names and titles change", change_attributes, invitations=True),
        Chapter(
            "People leave",
            deactivate_people,
            [
                Trouble("okta", "500", {"kind": "error", "status": 500, "times": 2, "method": "DELETE"}),
                Trouble("entra", "removal done, answer lost", {"kind": "drop_after", "times": 1, "method": "DELETE"}),
            ],
        ),
        Chapter("People come back", reactivate_people),
    ]


# -- How it is told ----------------------------------------------------------------------------------------------------

Watch = Callable[[Tenant, Progress], None]
"""Told of every push that ended."""


class Storyteller:
    """Lets a chapter happen at all identity providers at once.

    :param random: Who moves, who leaves.
    :param watch: Told of every push.
    """

    def __init__(self, tenants: Sequence[Tenant], bridge: BridgeProcess, random: Random, watch: Watch) -> None:
        self.tenants = tenants
        self.bridge = bridge
        self._random = random
        self._watch = watch
        self._up = asyncio.Event()

    async def tell(self, chapter: Chapter) -> None:
        """Let a chapter happen, until every identity provider has nothing left to push."""
        self._up.set()
        if chapter.invitations:
            await asyncio.gather(*(accept_invitations(tenant) for tenant in self.tenants))
        for tenant in self.tenants:
            chapter.change(tenant, self._random)
        before = {tenant.id: await tenant.portal.count() for tenant in self.tenants}
        portals = {tenant.id: tenant.portal for tenant in self.tenants}
        for trouble in chapter.troubles:
            await portals[trouble.connection].break_down(**trouble.fault)
        half_done = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for tenant in self.tenants:
                group.create_task(self._push(tenant, half_done))
            if chapter.kill:
                group.create_task(self._kill(half_done))
        for tenant in self.tenants:
            await tenant.portal.repair()
            calls = await tenant.portal.calls(since=before[tenant.id])
            count(calls, [trouble for trouble in chapter.troubles if trouble.connection == tenant.id])

    async def _push(self, tenant: Tenant, half_done: asyncio.Event) -> None:
        """Push until nothing is left; administrators resubmit what failed for good while the bridge was away."""
        first = tenant is self.tenants[0]

        def watch(progress: Progress) -> None:
            if first and progress.done >= progress.outstanding:
                half_done.set()
            self._watch(tenant, progress)

        await tenant.provider.run_until_idle(watch)
        for _ in range(ADMIN_ROUNDS):
            if not tenant.provider.tasks:
                return
            await self._up.wait()
            tenant.retried += len(tenant.provider.tasks)
            tenant.provider.admin_retry()
            await tenant.provider.run_until_idle(watch)

    async def _kill(self, half_done: asyncio.Event) -> None:
        await half_done.wait()
        self._up.clear()
        await self.bridge.kill_and_restart()
        self._up.set()


async def accept_invitations(tenant: Tenant) -> None:
    """Let everybody who was invited accept; before that, HubSpot changes nobody's name."""
    for email in await tenant.portal.snapshot():
        await tenant.portal.in_pages("activate", email=email)


async def try_to_end_a_super_admin(tenant: Tenant) -> str | None:
    """Tell the bridge, as an identity provider, to end a Super Admin's access.

    :returns: The answer when it was the refusal it should be, else ``None``.
    """
    members = await tenant.portal.snapshot()
    name = min(email for email, member in members.items() if member["super_admin"])
    session = tenant.provider.session
    query = [("filter", f'userName eq "{name}"')]
    user = listed(await session.send("GET", "/Users", query=query))[0]
    body = {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "active", "value": False}]}
    try:
        await session.send("PATCH", f"/Users/{user['id']}", body=body)
    except RequestFailedError as error:
        return f"{name}: {error}" if error.status == 403 else None
    return None


def count(calls: Iterable[Call], troubles: Iterable[Trouble]) -> None:
    """Add up how often each trouble happened."""
    for call in calls:
        for trouble in troubles:
            trouble.fired += trouble.struck(call)
