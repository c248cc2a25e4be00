"""The end of a history: all is well, everybody finishes, and what is wanted is compared with what there is."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any

from scim_bridge.store.comparison import fold
from scim_bridge.testing.clients import IdentityProvider, Person
from tests.faults.simulation.world import Client, World

SETTLE_WITHIN = 700.0
"""Virtual seconds after which nothing may be pending once all is well: the longest back-off is ten minutes."""

ROUNDS = 6
"""How often the administrator may press the button of what failed for good."""


class Ending:
    """Brings a history to its end.

    :param restart: Restarts the bridge, which compares everything at its start.
    :param counts: Takes what administrators had to do.
    """

    def __init__(self, world: World, restart: Callable[[], Awaitable[None]], counts: Counter[str]) -> None:
        self.world = world
        self.counts = counts
        self._restart = restart
        self.reminders: list[Callable[[], Any]] = []
        self.unlinked: set[str] = set()
        """People whose link an identity provider dropped when it gave up, and with it what it said of their groups."""

    async def come(self) -> None:
        """Let everybody finish, then compare what is wanted with what there is."""
        world = self.world
        await self.settle()
        self._compare_desired()
        for _ in range(ROUNDS):
            for client in world.clients:
                client.work()
                await client.done()
            if not self._take_back() and not self._press_the_button():
                break
        await self.settle()
        await self._restart()  # compares everything at its start
        await asyncio.sleep(60)
        await self.settle()
        self._compare_wanted()
        await self._compare_plan()
        world.oracle.check_audit()

    def _press_the_button(self) -> bool:
        """Let administrators resubmit what failed, and end what an identity provider forgot it had begun."""
        pressed = False
        for client in self.world.clients:
            provider = client.provider
            if provider.tasks or getattr(provider, "disabled", False):
                self.counts["failed for good"] += len(provider.tasks)
                for task in provider.tasks:
                    self.world.note(f"admin task {task}")
                    self.unlinked.add(task.subject)
                provider.admin_retry()
                pressed = True
            for person in list(provider.people.values()):
                pressed = self._remind(client, person) or pressed
        return pressed

    def _remind(self, client: Client, person: Person) -> bool:
        """Let an administrator do and undo again what a client never heard was done, and so has forgotten.

        The bridge did what it was asked; no client can be made to take back what it does not know it said. The same
        goes for what somebody gave by hand before the account or the group was taken over.
        """
        provider, name, oracle = client.provider, fold(person.user_name), self.world.oracle
        desire = self.world.witness.desire(name)

        def forgotten(group: str) -> bool:
            return (name, group) in oracle.unheard or name in oracle.touched or person.id in self.unlinked

        reminded = False
        if person.id not in provider.assigned and desire.active and forgotten(""):
            provider.assign(person)
            self.reminders.append(partial(provider.unassign, person))
            reminded = True
        for group in provider.groups.values():
            wanted = person.id in group.members and person.id in provider.believed
            if (group.name in desire.groups) != wanted and desire.active and forgotten(group.name):
                do, undo = provider.add_member, provider.remove_member
                if wanted:
                    do, undo = undo, do
                do(group.name, person)
                self.reminders.append(partial(undo, group.name, person))
                reminded = True
        self.counts["forgotten"] += reminded
        return reminded

    def _take_back(self) -> bool:
        """Want again what reminders pretended not to want."""
        reminders, self.reminders = self.reminders, []
        for take_back in reminders:
            take_back()
        return bool(reminders)

    async def settle(self) -> None:
        """Wait until the bridge has nothing left to do (I3)."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + SETTLE_WITHIN + max(0.0, -self.world.weather.skew.total_seconds())
        while any(state == "pending" for _, _, state, refusal in self.world.witness.unsettled()):
            if loop.time() > deadline:
                left = [
                    f"{kind} {name} ({refusal})"
                    for kind, name, state, refusal in self.world.witness.unsettled()
                    if state == "pending"
                ]
                self.world.oracle.violated(
                    "I3", f"still pending after {SETTLE_WITHIN:.0f} calm seconds: {', '.join(left)}"
                )
                return
            await asyncio.sleep(1.0)

    def _compare_desired(self) -> None:
        """Check that what was durably desired is there, unless a hand undid it since (I3, I6)."""
        oracle = self.world.oracle
        for _, person in self._people():
            name = fold(person.user_name)
            desire, holding = self.world.witness.desire(name), self.world.remote.holding(name)
            if name in oracle.touched and oracle.touched[name] >= oracle.worked_on.get(name, -1.0):
                continue
            if name in oracle.touched:
                continue
            if desire.ids and desire.active != holding.active:
                oracle.violated("I6", f"{name}: desired is {desire}, there is {holding}")

    def _compare_wanted(self) -> None:
        """Check that the remote system is what the identity providers want (I6)."""
        for provider, person in self._people():
            groups = {group.name for group in provider.groups.values() if person.id in group.members}
            if fold(person.user_name) in self.world.oracle.touched:  # what came with an account made by hand stays
                pushed = {group.name for group in provider.groups.values()}
                groups |= self.world.witness.desire(fold(person.user_name)).groups - pushed
            wanted = self.world.remote.come_to(groups) if person.id in provider.assigned else frozenset()
            active = person.id in provider.assigned
            holding = self.world.remote.holding(person.user_name)
            if not active and not self.world.witness.desire(fold(person.user_name)).owned:
                continue  # made by hand, and never spoken of: none of the identity provider's business
            if active and not holding.active and fold(person.user_name) in self.world.oracle.touched:
                continue  # whoever was removed by hand stays out until a client asks for the account anew
            privileges = holding.privileges if holding.active else frozenset()
            if active != holding.active or wanted != privileges:
                self.world.oracle.violated(
                    "I6",
                    f"{person.user_name}: wanted is {active} {sorted(wanted)},"
                    f" there is {holding.active} {sorted(privileges)}",
                )
            for path, value in holding.attributes if active else ():
                if person.attributes.get(path, "") != value:
                    self.world.oracle.violated(
                        "I6", f"{person.user_name}: {path} is {value!r}, wanted is {person.attributes.get(path)!r}"
                    )

    def _people(self) -> Iterator[tuple[IdentityProvider, Person]]:
        for client in self.world.clients:
            for person in client.provider.people.values():
                yield client.provider, person

    async def _compare_plan(self) -> None:
        """Check that a comparison finds nothing to do (I6)."""
        process = self.world.listening()
        if process is None or process.bridge is None:
            raise AssertionError("the bridge has died although all is well")
        for reconciler in process.bridge.reconcilers.values():
            work = reconciler.run(apply=False)
            comparison = await asyncio.get_running_loop().create_task(work, context=process.context.copy())
            left = [one for one in comparison.drifts if one.drift != "unmanaged" and not one.is_missing_account]
            if left:
                self.world.oracle.violated("I6", f"the plan is not empty: {left}")
