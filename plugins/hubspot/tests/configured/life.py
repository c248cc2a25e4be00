"""One life of a configured connection: what a client, an operator and an administrator of HubSpot do, one by one.

No fault strikes and nothing is at work at the same time, so each answer can be held against what HubSpot shows at that
moment, and in the end everything that is left must be wanted, or told.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import ValidationError

from plugins.hubspot.tests.configured.configurations import FACTORS, settings_of
from plugins.hubspot.tests.configured.judged import RULES, STALE, STATED, Judged
from plugins.hubspot.tests.configured.model import Employee, Known
from plugins.hubspot.tests.configured.portal import BOSS, MARY
from plugins.hubspot.tests.configured.stock import ENTRIES, SEATS, SETS, STRIPPED, TEAMS
from scim_bridge_hubspot.config import HubSpotConfig

EVENTS = 26


class Life(Judged):
    """A life with a configuration."""

    # -- The configuration -------------------------------------------------------------------------------------------

    async def _change(self, settings: dict[str, Any]) -> bool:
        """Write the configuration anew and start the bridge with it; one that contradicts itself is not written."""
        try:
            HubSpotConfig.model_validate(settings)
        except ValidationError:
            return False
        self._configure(settings)
        await self.restart()
        await self.calm()
        return True

    async def calm(self, seconds: float = 60.0) -> None:
        """Let time pass until nothing is on its way."""
        await asyncio.sleep(seconds)

    # -- What is done ------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Live, and judge."""
        try:
            await self.world.start_bridge()
            await self.calm()
            for event in self.script():
                await self._lived(event)
            await self._end()
        finally:
            await self.client.http.aclose()
        oracle = self.world.oracle
        oracle.violations[:] = [one for one in oracle.violations if one.invariant in {*STATED, *RULES}]

    def script(self) -> list[str]:
        """Return what happens: everybody comes and joins, then anything, in any order."""
        weights = {name: weight for name, (weight, _) in EVENTS_BY_NAME.items()}
        drawn = self.random.choices(list(weights), list(weights.values()), k=EVENTS)
        return ["create", "create", "join", "join", *drawn]

    async def _lived(self, event: str) -> None:
        before, pending = self.portal.everybody(), self._unsettled()
        self.counts[event] += 1
        named = await EVENTS_BY_NAME[event][1](self)
        if named is None:
            self.counts[f"{event}: not possible"] += 1
            return
        self._nobody_else(event, named | pending, before)

    def _unsettled(self) -> set[str]:
        return {one.email for one in self.people.values() if one.waits or one.doubt}

    def _one(self, *, there: bool | None = None, active: bool | None = None) -> Employee | None:
        """Draw somebody: known to the bridge or not, active or not."""
        found = [
            one
            for one in self.people.values()
            if (there is None or bool(one.id) == there) and (active is None or one.active == active)
        ]
        return self.random.choice(found) if found else None

    # -- The client --------------------------------------------------------------------------------------------------

    async def create(self) -> set[str] | None:
        """Create somebody; HubSpot shows them in, or the answer says why not."""
        one = self._one(there=False)
        if one is None:
            return None
        answer = await self.client.create(one.email)
        if answer.ok:
            one.id, one.active, one.deleted = str(answer.document["id"]), answer.document.get("active") is True, False
            one.groups, one.doubt, one.waits = set(), set(), False
            self._is_in(one, "a creation")
            self._written(one)
        else:
            one.waits = one.waits or answer.waits or self._hopeless()  # the former creation may be done by and by
            self._excused(answer, "a creation", one, grants=())
        return {one.email}

    async def join(self) -> set[str] | None:
        """Put somebody into a group."""
        one, name = self._one(there=True), self._group_name()
        if one is None or not await self._known(name):
            return None
        known = self.groups[name]
        answer = await self.client.join(known.id, one.id)
        if answer.ok:
            one.groups.add(name)
            one.doubt.discard(name)
            self._holds_what_groups_say(one, f"joining {name}")
            self._written(one)
        elif answer.waits:
            one.doubt.add(name)
        else:
            if answer.status == 404:
                self.groups.pop(name)
            self._excused(answer, f"joining {name}", one, grants=(name,))
        return {one.email}

    async def leave(self) -> set[str] | None:
        """Take somebody out of a group they are in."""
        found = [(one, name) for one in self.people.values() if one.id for name in sorted(one.groups)]
        if not found:
            return None
        one, name = self.random.choice(found)
        answer = await self.client.leave(self.groups[name].id, one.id)
        if answer.ok:
            one.groups.discard(name)
            one.doubt.discard(name)
            self._holds_nothing_of(one, name)
            self._holds_what_groups_say(one, f"leaving {name}")
            one.given |= self.model.grant(self.groups[name]).things
            self._written(one)
        elif answer.waits:
            one.doubt.add(name)
        else:
            self._excused(answer, f"leaving {name}", one, removes=True)
        return {one.email}

    async def deactivate(self) -> set[str] | None:
        """End somebody's access."""
        one = self._one(there=True, active=True)
        return None if one is None else await self._ends(one)

    async def _ends(self, one: Employee) -> set[str]:
        answer = await self.client.active(one.id, active=False)
        one.waits = answer.waits
        if answer.ok:
            one.active = False
            if wrong := self.model.ended(self.portal.held(one.email), self.stripped_ever):
                self.broke("removed-is-out", f"{one.email} {wrong}")
        else:
            self._excused(answer, "a deactivation", one, removes=True)
            one.active, one.waits = False, True  # it stays wanted, refused or not
        return {one.email}

    async def reactivate(self) -> set[str] | None:
        """Give somebody access again."""
        one = self._one(there=True, active=False)
        return None if one is None else await self._returns(one)

    async def _returns(self, one: Employee) -> set[str]:
        before = self.portal.held(one.email)
        answer = await self.client.active(one.id, active=True)
        one.waits = answer.waits
        if answer.ok:
            one.active = True
            self._is_in(one, "a reactivation")
            self._holds_what_groups_say(one, "a reactivation")
            self._has_what_was_given_by_hand(one)
            self._written(one)
        elif answer.waits:
            one.active = True
        else:
            self._excused(answer, "a reactivation", one, grants=tuple(one.groups), before=before)
            out = [self.model.is_out(held, self.stripped_ever) for held in (before, self.portal.held(one.email))]
            if out == [True, False]:
                self.broke("refused-is-not-done", f"{one.email} is in: {answer.status} {answer.detail}")
            one.active = not out[1]
            one.doubt |= one.groups if one.active else set()
        return {one.email}

    async def delete(self) -> set[str] | None:
        """Delete somebody."""
        one = self._one(there=True)
        if one is None:
            return None
        answer = await self.client.send("DELETE", f"/Users/{one.id}")
        one.waits = answer.waits
        if answer.status in {204, 404}:
            one.id, one.active, one.deleted = "", False, True
            one.groups, one.doubt, one.by_hand, one.touched = set(), set(), set(), False
            if (held := self.portal.held(one.email)) is not None:
                self.broke("deleted-is-gone", f"{one.email} is still there: {held}")
        elif not answer.waits:
            self._excused(answer, "a deletion", one, removes=True)
        return {one.email}

    async def rename(self) -> set[str] | None:
        """Change the userName of somebody whose account is active, as it was last seen."""
        one = self._one(there=True, active=True)
        if one is None or one.waits or one.touched:
            return None
        old, new = one.email, f"{self.random.randrange(1000)}.{one.email.rpartition('.')[0]}.example"
        answer = await self.client.call(one.id, new)
        if answer.ok:
            one.email = new
            if self.portal.held(old) is not None:
                self.broke("one-person-one-account", f"{old} is still there, after {new} was confirmed")
            self._is_in(one, "a new userName")
            self._holds_what_groups_say(one, "a new userName")
        elif self.config.rename == "recreate" or answer.status != 400:
            self._excused(answer, "a new userName", one, grants=tuple(one.groups))
        if self.config.rename == "recreate" and answer.waits:
            one.waits, one.touched = True, True
        return {old, new}

    def _group_name(self) -> str:
        names = [*self.config.groups, *SETS[:3]]
        names += TEAMS[:2] if self.config.teams_as_groups else []
        names += SEATS[:2] if self.config.seats_as_groups else []
        return self.random.choice(names)

    async def _known(self, name: str) -> bool:
        """Find or push a group, and note what it stands for."""
        if name in self.groups:
            return True
        kind, key = self._stands_for(name)
        if not kind:
            return False
        found = await self.client.group(name)
        if found:
            self.groups[name] = Known(found, kind, key)
        return bool(found)

    def _stands_for(self, name: str) -> tuple[str, str]:
        if name in self.config.groups:
            return "alias", name
        for kind in ("role", "team", "seat"):
            for id_ in self.portal.ids(kind, name):
                return kind, id_
        return "", ""

    # -- The administrator of HubSpot --------------------------------------------------------------------------------

    async def entry_renamed(self) -> set[str] | None:
        """Rename a permission set, team or seat."""
        name = self.random.choice(self._entries())
        new = self.renamed.pop(name, "") or f"{name} {self.random.randrange(100)}"
        if not self.portal.hubspot.ui_rename(name, new):
            return None
        if new not in ENTRIES:
            self.renamed[new] = name
        self.last_renamed = (name, new)
        self.world.note(f"by hand: {name} is renamed {new}")
        for one in self.people.values():  # a seat's name is all there is of it
            one.by_hand = {new if thing == name else thing for thing in one.by_hand}
        await self._passes()
        return set()

    async def entry_deleted(self) -> set[str] | None:
        """Delete one."""
        name = self.random.choice(self._entries())
        if not self.portal.hubspot.ui_delete(name):
            return None
        self.renamed.pop(name, None)
        self.world.note(f"by hand: {name} is deleted")
        await self._passes()
        return {one.email for one in self.people.values()} | {MARY, BOSS}

    def _entries(self) -> list[str]:
        """Return what the configuration names more often than the rest."""
        named = [one for one in (*ENTRIES, *self.renamed) if f'"{one}"' in repr(self.portal.settings).replace("'", '"')]
        return [*ENTRIES, *self.renamed, *named, *named, *named]

    async def _passes(self) -> None:
        if self.random.random() < 0.7:
            await asyncio.sleep(STALE)

    async def seats_run_out(self) -> set[str] | None:
        """Let there be no seat of a kind beyond those that are held, or enough again."""
        pool = self.portal.hubspot.seats.get(self.random.choice(SEATS))
        if pool is None:
            return None
        held = sum(pool.name in each.seats for each in self.portal.everybody().values())
        pool.total = held if pool.total != held else held + 50
        self.world.note(f"by hand: there are {pool.total} seats {pool.name}")
        return set()

    async def deactivated_by_hand(self) -> set[str] | None:
        """Deactivate somebody in HubSpot's pages."""
        found = [one for one in self.people.values() if (held := self.portal.held(one.email)) and held.usable]
        if not found:
            return None
        one = self.random.choice(found)
        self.portal.hubspot.ui_deactivate(one.email)
        one.touched = True
        self.world.note(f"by hand: {one.email} is deactivated")
        return {one.email}

    async def reactivated_by_hand(self) -> set[str] | None:
        """Undo that."""
        found = [one for one in self.people.values() if one.touched and self.portal.held(one.email)]
        if not found:
            return None
        one = self.random.choice(found)
        self.portal.hubspot.ui_reactivate(one.email)
        if not one.active:
            one.waits = True  # until the next comparison
        one.touched = False
        self.world.note(f"by hand: {one.email} is reactivated")
        return {one.email}

    async def time_passes(self) -> set[str] | None:
        """Let everything be compared."""
        await asyncio.sleep(1000)
        return {one.email for one in self.people.values() if one.touched}

    # -- The operator ------------------------------------------------------------------------------------------------

    async def mode_switched(self) -> set[str] | None:
        """End access in another way, with whoever is inactive."""
        return await self._redrawn("mode")

    async def back_in_another_mode(self) -> set[str] | None:
        """Let somebody who was given things by hand back when accesses end in another way than theirs did."""
        found = [one for one in self.people.values() if one.by_hand and one.id and one.active]
        found = [one for one in found if not (one.touched or one.waits)]
        if not found:
            return None
        one = self.random.choice(found)
        named = await self._ends(one)
        if one.active or one.waits:
            return named
        named |= await self._redrawn("mode") or set()
        await asyncio.sleep(1000)
        return named | (set() if one.waits else await self._returns(one))

    async def aliases_changed(self) -> set[str] | None:
        """Let the aliases grant something else, or be gone."""
        return await self._redrawn("aliases")

    async def part_changed(self) -> set[str] | None:
        """Change another part of the configuration."""
        return await self._redrawn(self.random.choice(["fallback", "privileged", "several_roles", "seats", "teams"]))

    async def _redrawn(self, part: str) -> set[str] | None:
        readings = [one for one in FACTORS[part] if one != self.parts[part]]
        self.parts = {**self.parts, part: self.random.choice(readings)}
        settings = settings_of(self.parts, self.random)
        if part != "aliases":
            settings["groups"] = self.portal.settings["groups"]
        return await self._restarted(settings)

    async def barred(self) -> set[str] | None:
        """Forbid a set that people may hold."""
        return await self._restarted({**self.portal.settings, "privileged": [self.random.choice(SETS[1:3])]})

    async def stripped_otherwise(self) -> set[str] | None:
        """Strip people to another set."""
        strip = self.portal.settings.get("strip")
        if not strip:
            return None
        other = next(name for name in STRIPPED if name != strip["permission_set"])
        return await self._restarted({**self.portal.settings, "strip": {**strip, "permission_set": other}})

    async def restarted(self) -> set[str] | None:
        """Stop and start."""
        return await self._restarted(dict(self.portal.settings))

    async def _restarted(self, settings: dict[str, Any]) -> set[str] | None:
        if not await self._change(settings):
            return None
        self.world.note(f"configured: {settings}")
        return {one.email for one in self.people.values()}


EVENTS_BY_NAME: dict[str, tuple[float, Callable[[Life], Awaitable[set[str] | None]]]] = {
    "create": (2.0, Life.create),
    "join": (5.0, Life.join),
    "leave": (4.0, Life.leave),
    "deactivate": (2.5, Life.deactivate),
    "reactivate": (3.0, Life.reactivate),
    "delete": (0.7, Life.delete),
    "rename": (1.0, Life.rename),
    "an entry is renamed": (3.0, Life.entry_renamed),
    "an entry is deleted": (0.7, Life.entry_deleted),
    "somebody is deactivated by hand": (0.7, Life.deactivated_by_hand),
    "somebody is reactivated by hand": (0.7, Life.reactivated_by_hand),
    "time passes": (1.0, Life.time_passes),
    "seats run out": (1.5, Life.seats_run_out),
    "the mode is switched": (1.0, Life.mode_switched),
    "somebody is back in another mode": (0.7, Life.back_in_another_mode),
    "the aliases are changed": (0.7, Life.aliases_changed),
    "another part is changed": (1.0, Life.part_changed),
    "a set is barred": (0.7, Life.barred),
    "the stripped get another set": (0.7, Life.stripped_otherwise),
    "the bridge is restarted": (0.3, Life.restarted),
}
"""What happens, how often, and by what."""
