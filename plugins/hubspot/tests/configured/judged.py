"""What is held against every life of a configured connection: each answer, everybody else, what is left in the end."""

import asyncio
from random import Random
from typing import Any

from plugins.hubspot.tests.configured.client import Answer, Client
from plugins.hubspot.tests.configured.model import Employee, Known, Model
from plugins.hubspot.tests.configured.portal import HANK, ConfiguredPortal, Held
from scim_bridge.config import GuardSettings
from scim_bridge_hubspot.config import HubSpotConfig
from tests.faults.simulation import History, Violation
from tests.faults.simulation.ending import Ending
from tests.faults.simulation.witness import CONNECTION
from tests.faults.simulation.world import World

PEOPLE = ("ada@corp.example", "bob@corp.example", HANK)
STATED = frozenset({"I3", "I9", "error"})
STALE = 400.0
"""Seconds after which the connector asks anew what there is."""

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
        "refused-is-not-done",
        "one-person-one-account",
        "somebody-manages-it",
        "reads-are-true",
        "nothing-untold",
    }
)
"""What is held against every life."""


class Judged(History):
    """A history of people in a configured portal, with what is known of them and what may not be broken.

    :param parts: The readings of its configuration's parts.
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
        self.last_renamed = ("", "")
        self.stripped_ever: set[str] = set()
        self.fallback_seats: set[str] = set()
        hank = self.portal.held(HANK)
        self.people[HANK].by_hand |= (hank.teams | hank.seats) if hank else set()
        self.config = HubSpotConfig.model_validate(dict(self.portal.settings))
        self.model = Model(self.portal, self.config)
        self._configure(self.portal.settings)

    def _configure(self, settings: Any) -> None:
        self.portal.settings = settings
        self.config = HubSpotConfig.model_validate(dict(settings))
        self.model = Model(self.portal, self.config)
        self.stripped_ever |= self.model.stripped
        self.fallback_seats |= {seat for seat in (self.config.fallback_seat,) if seat}

    def broke(self, rule: str, detail: str) -> None:
        """Note that a rule was broken."""
        self.world.note(f"BROKEN {rule}: {detail}")
        at = asyncio.get_running_loop().time()
        self.world.oracle.violations.append(Violation(rule, at, detail))

    # -- Each answer, held against HubSpot ----------------------------------------------------------------------------

    def _is_in(self, one: Employee, what: str) -> None:
        held = self.portal.held(one.email)
        if one.active and self.model.is_out(held, self.stripped_ever) and not self._hopeless():
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

    def _written(self, one: Employee) -> None:
        """After a write of what somebody holds, nothing that groups manage, gave, or are, is theirs by hand."""
        one.given |= self._granted(one).things
        if (held := self.portal.held(one.email)) is not None:
            one.given |= held.things & self._are_groups()
            one.by_hand -= (self._managed() | one.given) - held.things

    def _has_what_was_given_by_hand(self, one: Employee) -> None:
        """Whoever returns has the teams and seats that no group manages, where these still are."""
        held, hubspot = self.portal.held(one.email), self.portal.hubspot
        if held is None:
            return
        if not self.config.has_seats:  # this version of the API can neither read nor give them
            one.by_hand -= hubspot.seats.keys()
        there = {thing for thing in one.by_hand if thing in hubspot.teams or thing in hubspot.seats}
        sold = {seat for seat in there if self._is_out_of(seat)}
        one.by_hand -= sold - held.seats
        there -= sold
        if lost := there - held.things - self._managed() - one.given:
            self.broke("hands-are-kept", f"{one.email} came back without {self._names(lost)}, given by hand")

    def _nobody_else(self, event: str, named: set[str], before: dict[str, Held]) -> None:
        """Only who is named may have changed; a rename of an entry changes nobody."""
        for email, held in self.portal.everybody().items():
            was = before.get(email)
            if email in named or was is None:
                continue
            named_anew = {*self.renamed, *self.renamed.values(), *self.last_renamed}
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
        if self._hopeless() or ("SCIM endpoint" in told and not tier.scim) or one.touched or one.waits:
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
            "its default seat": self._is_out_of(self.portal.hubspot.default_seat),
            "deactivated in HubSpot": held is not None and not held.usable,
            "that it does not show": held is not None and not held.usable,
            "privileged": any(self.model.barred(role, seats) == "privileged" for role in roles),
            "seat_rules": any(self.model.barred(role, seats) == "seat_rules" for role in roles),
            'adopt = "never"': self.config.adopt == "never" and held is not None,
            "already": self.config.adopt == "never" and held is not None,
        }
        if not any(words in told and true for words, true in reasons.items()):
            self.broke("refusals-are-true", f"{what} of {one.email}: {answer.status} {told}")

    def _is_out_of(self, seat: str | None) -> bool:
        pool = self.portal.hubspot.seats.get(seat or "")
        return pool is not None and pool.total == sum(seat in one.seats for one in self.portal.everybody().values())

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
        shown = held.things if self.config.has_seats else held.roles | held.teams
        extra = shown - granted.things - one.by_hand - self._floor()
        extra = frozenset(each for each in extra if self.renamed.get(self._names({each})[0]) not in granted.gone)
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
        """What people have whose groups grant nothing: the fallbacks, and the seat that HubSpot gives itself.

        A seat that came as the fallback stays when that is another one.
        """
        fallbacks = {*self.fallback_seats, self.config.fallback_permission_set} - {None}
        renamed = {new for new, old in self.renamed.items() if old in fallbacks}  # stays with those who have it
        sets = frozenset().union(*(self.portal.ids("role", name) for name in renamed))
        seats = {*self.fallback_seats, self.portal.hubspot.default_seat or "", *renamed}
        return self.model.fallback | sets | frozenset(seats - {""})

    def _are_groups(self) -> frozenset[str]:
        teams = frozenset(self.portal.hubspot.teams) if self.config.teams_as_groups else frozenset()
        seats = frozenset(self.portal.hubspot.seats) if self.config.seats_as_groups else frozenset()
        return teams | seats

    def _managed(self) -> frozenset[str]:
        config = self.config
        aliases = self.model.grants(Known("", "alias", name) for name in config.groups)
        configured = {seat for grant in config.groups.values() for seat in grant.seats}
        return self._are_groups() | aliases.teams | aliases.seats | configured

    def _names(self, ids: Any) -> list[str]:
        hubspot = self.portal.hubspot
        return sorted(getattr(hubspot.roles.get(id_) or hubspot.teams.get(id_), "name", id_) for id_ in ids)
