"""One life of a configured connection: what a client, an operator and an administrator of HubSpot do, one by one.

No fault strikes and nothing is at work at the same time, so each answer can be held against what HubSpot shows at that
moment, and in the end everything that is left must be wanted, or told.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

from pydantic import ValidationError

from plugins.hubspot.tests.configured.client import Answer, Client
from plugins.hubspot.tests.configured.configurations import FACTORS, settings_of
from plugins.hubspot.tests.configured.model import Employee, Known, Model
from plugins.hubspot.tests.configured.portal import BOSS, HANK, MARY, ConfiguredPortal, Held
from plugins.hubspot.tests.configured.stock import ENTRIES, SEATS, SETS, STRIPPED, TEAMS
from scim_bridge.config import GuardSettings
from scim_bridge.testing.simulation import History, Violation
from scim_bridge.testing.simulation.ending import Ending
from scim_bridge.testing.simulation.witness import CONNECTION
from scim_bridge.testing.simulation.world import World
from scim_bridge_hubspot.config import HubSpotConfig

PEOPLE = ("ada@corp.example", "bob@corp.example", HANK)
STATED = frozenset({"I3", "I9", "error"})
STALE = 400.0
"""Seconds after which the connector asks anew what there is."""
EVENTS = 26


class Life(History):
    """A life with a configuration.

    :param parts: The readings of its parts.
    """

    parts: dict[str, str]

    def __init__(self, world: World, **options: Any) -> None:
        super().__init__(world, **options)
        assert isinstance(world.remote, ConfiguredPortal)
        world.clients.clear()
        world.preset = "generic"
        world.options["guard"] = GuardSettings(mass_change=False)
        self.portal: ConfiguredPortal = world.remote
        self.random = Random(f"{world.seed}/life")
        self.client = Client(world)
        self.people = {email: Employee(email) for email in PEOPLE}
        self.groups: dict[str, Known] = {}
        self.renamed: dict[str, str] = {}
        self.stripped_ever: set[str] = set()
        self.told: list[str] = []
        hank = self.portal.held(HANK)
        self.people[HANK].by_hand |= (hank.teams | hank.seats) if hank else set()
        self.config = HubSpotConfig.model_validate(dict(self.portal.settings))
        self.model = Model(self.portal, self.config)
        self._configure(self.portal.settings)

    # -- The configuration -------------------------------------------------------------------------------------------

    def _configure(self, settings: Any) -> None:
        self.portal.settings = settings
        self.config = HubSpotConfig.model_validate(dict(settings))
        self.model = Model(self.portal, self.config)
        self.stripped_ever |= self.model.stripped

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
        listening = Listening(self.told)
        root, disabled, level = logging.getLogger(), logging.root.manager.disable, logging.root.level
        logging.disable(logging.NOTSET)
        root.addHandler(listening)
        root.setLevel(logging.INFO)
        try:
            await self.world.start_bridge()
            await self.calm()
            for event in self.script():
                await self._lived(event)
            await self._end()
        finally:
            root.removeHandler(listening)
            root.setLevel(level)
            logging.disable(disabled)
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

    def broke(self, rule: str, detail: str) -> None:
        """Note that a rule was broken."""
        self.world.note(f"BROKEN {rule}: {detail}")
        at = asyncio.get_running_loop().time()
        self.world.oracle.violations.append(Violation(rule, at, detail))

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
        else:
            one.waits = one.waits or answer.waits
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
        elif answer.waits:
            one.doubt.add(name)
        else:
            self._excused(answer, f"leaving {name}", one, removes=True)
        return {one.email}

    async def deactivate(self) -> set[str] | None:
        """End somebody's access."""
        one = self._one(there=True, active=True)
        if one is None:
            return None
        answer = await self.client.active(one.id, active=False)
        one.waits = answer.waits
        if answer.ok:
            one.active = False
            if wrong := self.model.ended(self.portal.held(one.email), self.stripped_ever):
                self.broke("removed-is-out", f"{one.email} {wrong}")
        elif answer.waits:
            one.active, one.midway = False, True
        else:
            self._excused(answer, "a deactivation", one, removes=True)
        return {one.email}

    async def reactivate(self) -> set[str] | None:
        """Give somebody access again."""
        one = self._one(there=True, active=False)
        if one is None:
            return None
        before = self.portal.held(one.email)
        answer = await self.client.active(one.id, active=True)
        one.waits = answer.waits
        if answer.ok:
            one.active = True
            self._is_in(one, "a reactivation")
            self._holds_what_groups_say(one, "a reactivation")
            if one.groups or not one.midway:
                self._has_what_was_given_by_hand(one)
            one.midway = False
        elif answer.waits:
            one.active = True
        else:
            self._excused(answer, "a reactivation", one, grants=tuple(one.groups), before=before)
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
        """Change somebody's userName."""
        one = self._one(there=True, active=True)
        if one is None or one.waits:
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

    # -- Each answer, held against HubSpot ----------------------------------------------------------------------------

    def _is_in(self, one: Employee, what: str) -> None:
        held = self.portal.held(one.email)
        if one.active and self.model.is_out(held, self.stripped_ever):
            self.broke("said-in-is-in", f"{what} was confirmed, and {one.email} has {held}")

    def _holds_nothing_of(self, one: Employee, name: str) -> None:
        """After a confirmed removal, nothing that only this group gave is left."""
        held = self.portal.held(one.email)
        if held is None or not held.usable or not one.active:
            return
        grant = self.model.grant(self.groups[name])
        others = self._granted(one)
        left = (held.things & grant.things) - others.things - one.by_hand - self._floor()
        if left:
            self.broke("left-is-left", f"{one.email} left {name} and still has {self._names(left)}")

    def _holds_what_groups_say(self, one: Employee, what: str) -> None:
        """Whoever is in groups has what they give, as far as it is there and may be given."""
        held = self.portal.held(one.email)
        if held is None or not one.active or one.touched or one.doubt or one.waits:
            return
        grant = self._granted(one)
        seats = grant.seats if self.config.has_seats else frozenset()
        lacking = (grant.teams - held.teams) | (seats - held.seats)
        free = {role for role in grant.roles if not self.model.barred(role, held.seats)}
        if free and not held.roles & grant.roles:
            lacking |= free
        if lacking:
            self.broke(
                "member-has-it", f"{what}: {one.email} is in {sorted(one.groups)}, without {self._names(lacking)}"
            )

    def _has_what_was_given_by_hand(self, one: Employee) -> None:
        """Whoever returns has the teams and seats that no group manages, where these still are."""
        held, hubspot = self.portal.held(one.email), self.portal.hubspot
        if held is None:
            return
        there = {thing for thing in one.by_hand if thing in hubspot.teams or thing in hubspot.seats}
        if lost := there - held.things - self._managed():
            self.broke("hands-are-kept", f"{one.email} came back without {self._names(lost)}, given by hand")

    def _nobody_else(self, event: str, named: set[str], before: dict[str, Held]) -> None:
        """Only who is named may have changed; a rename of an entry changes nobody."""
        for email, held in self.portal.everybody().items():
            was = before.get(email)
            if email in named or was is None:
                continue
            named_anew = {*self.renamed, *self.renamed.values()}
            if lost := was.things - held.things - self._floor() - named_anew:
                self.broke("nobody-else", f"{event}: {email} lost {self._names(lost)}")
        for email in before.keys() - self.portal.everybody().keys() - named:
            self.broke("nobody-else", f"{event}: {email} is gone")

    def _excused(
        self,
        answer: Answer,
        what: str,
        one: Employee,
        *,
        grants: tuple[str, ...] = (),
        removes: bool = False,
        before: Held | None = None,
    ) -> None:
        """Whoever refuses has a reason that HubSpot, or the configuration, bears out."""
        told, tier = answer.detail, self.portal.hubspot.profile
        if answer.waits or answer.status == 404:
            return
        unsupported = self.config.deprovision == "scim" and not tier.scim
        if unsupported or one.touched or one.waits:
            return
        if removes:
            self.broke("removal-never-refused", f"{what} of {one.email}: {answer.status} {told}")
            return
        grants = (*grants, *sorted(one.doubt))
        broken = [
            name for group in grants if group in self.groups for name in self.model.grant(self.groups[group]).gone
        ]
        gone = [
            group for group in grants if group not in self.groups or not self.model.grant(self.groups[group]).exists
        ]
        roles = self._granted(one, grants).roles
        held = self.portal.held(one.email) or before
        seats = held.seats if held else frozenset()
        reasons = {
            "USER_LIMIT_REACHED": len(self.portal.hubspot.members) >= tier.max_users,
            "HubSpot has no": bool(broken),
            "no longer has": bool(gone),
            "HubSpot has nothing named": bool(gone),
            "no free seat": any(f'"{seat}" (0 left)' in told for seat in self.portal.hubspot.seats),
            "deactivated in HubSpot": held is not None and not held.usable,
            "privileged": any(self.model.barred(role, seats) == "privileged" for role in roles),
            "seat_rules": any(self.model.barred(role, seats) == "seat_rules" for role in roles),
            'adopt = "never"': self.config.adopt == "never" and held is not None,
            "already": self.config.adopt == "never" and held is not None,
        }
        if not any(words in told and true for words, true in reasons.items()):
            self.broke("refusals-are-true", f"{what} of {one.email}: {answer.status} {told}")

    # -- In the end --------------------------------------------------------------------------------------------------

    async def _end(self) -> None:
        """Let everything come to rest as it is, and judge what is left."""
        await asyncio.sleep(STALE)
        await self.restart()
        await asyncio.sleep(1000)
        ending = Ending(self.world, self.restart, self.counts)
        if not any(one.waits for one in self.people.values()) and not self._hopeless():
            await ending.settle()
        users = {str(user["userName"]).lower(): user for user in await self.client.all("Users")}
        for email, held in self.portal.everybody().items():
            if email == self.portal.hubspot.owner.email or self._hopeless():
                continue
            user = users.get(email)
            if user is None:
                self.broke("somebody-manages-it", f"{email} has an account that no User stands for: {held}")
            elif user.get("active") is False and not self.model.is_out(held, self.stripped_ever):
                self.broke("reads-are-true", f"{email} is shown inactive and has {held}")
            elif (
                user.get("active") is True
                and self.model.is_out(held, self.stripped_ever)
                and email not in self._touched()
            ):
                self.broke("reads-are-true", f"{email} is shown active and has {held}")
        for one in self.people.values():
            await self._judge(one)

    def _touched(self) -> set[str]:
        return {one.email for one in self.people.values() if one.touched or one.waits}

    def _hopeless(self) -> bool:
        """Whether HubSpot lacks what the mode needs, so that nothing can be done about anybody."""
        stripless = self.config.deprovision == "strip" and len(self.model.stripped) != 1
        return stripless or (self.config.deprovision == "scim" and not self.portal.hubspot.profile.scim)

    async def _judge(self, one: Employee) -> None:
        held = self.portal.held(one.email)
        if one.touched or one.waits or self._hopeless():
            return
        if one.deleted and held is not None:
            self.broke("deleted-is-gone", f"{one.email} is there in the end: {held}")
        if not one.id or held is None:
            return
        if not one.active:
            if not self.model.is_out(held, self.stripped_ever):
                self.broke("removed-is-out", f"{one.email} gets in at the end: {held}")
            return
        self._holds_what_groups_say(one, "in the end")
        granted = self._granted(one)
        extra = held.things - granted.things - one.by_hand - self._floor()
        if extra and not one.doubt and not await self._is_told(one, extra):
            self.broke("nothing-untold", f"{one.email} has {self._names(extra)} and is in {sorted(one.groups)}")

    async def _is_told(self, one: Employee, extra: frozenset[str]) -> bool:
        """Whether explain, or a comparison, tells of something that no group gives."""
        process = self.world.listening()
        assert process is not None
        assert process.bridge is not None
        bridge = process.bridge

        async def ask() -> list[str]:
            connector = bridge.provisioning(CONNECTION).connector
            person = self.portal.hubspot.member(one.email)
            found = await connector.get_user(person.id)
            groups = [str(group.value) for group in found.resource.groups or ()]
            explanation = await connector.explain_user(person.id, found.resource, groups)
            comparison = await bridge.reconcilers[CONNECTION].run(apply=False)
            return [*explanation.notes, *(thing for drift in comparison.drifts for thing in drift.subject)]

        told = await asyncio.get_running_loop().create_task(ask(), context=process.context.copy())
        return all(any(thing in line or self._names({thing})[0] in line for line in told) for thing in extra)

    # -- What is known -----------------------------------------------------------------------------------------------

    def _granted(self, one: Employee, more: tuple[str, ...] = ()) -> Any:
        return self.model.grants(self.groups[name] for name in {*one.groups, *more} if name in self.groups)

    def _floor(self) -> frozenset[str]:
        """What people have whose groups grant nothing: the fallbacks, and the seat that HubSpot gives itself."""
        seats = {self.config.fallback_seat or "", self.portal.hubspot.default_seat or ""}
        return self.model.fallback | frozenset(seats - {""})

    def _managed(self) -> frozenset[str]:
        config = self.config
        teams = frozenset(self.portal.hubspot.teams) if config.teams_as_groups else frozenset()
        seats = frozenset(self.portal.hubspot.seats) if config.seats_as_groups else frozenset()
        aliases = self.model.grants(Known("", "alias", name) for name in config.groups)
        configured = {seat for grant in config.groups.values() for seat in grant.seats}
        return teams | seats | aliases.teams | aliases.seats | configured

    def _names(self, ids: Any) -> list[str]:
        hubspot = self.portal.hubspot
        return sorted(getattr(hubspot.roles.get(id_) or hubspot.teams.get(id_), "name", id_) for id_ in ids)


class Listening(logging.Handler):
    """Keeps the lines of a log."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__(logging.INFO)
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        if record.name.startswith("scim_bridge"):
            self._lines.append(record.getMessage())


RULES = frozenset(
    {
        "said-in-is-in",
        "removed-is-out",
        "deleted-is-gone",
        "left-is-left",
        "member-has-it",
        "hands-are-kept",
        "nobody-else",
        "removal-never-refused",
        "refusals-are-true",
        "one-person-one-account",
        "somebody-manages-it",
        "reads-are-true",
        "nothing-untold",
    }
)
"""What is held against every life."""

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
    "the mode is switched": (1.0, Life.mode_switched),
    "the aliases are changed": (0.7, Life.aliases_changed),
    "another part is changed": (1.0, Life.part_changed),
    "a set is barred": (0.7, Life.barred),
    "the stripped get another set": (0.7, Life.stripped_otherwise),
    "the bridge is restarted": (0.3, Life.restarted),
}
"""What happens, how often, and by what."""
