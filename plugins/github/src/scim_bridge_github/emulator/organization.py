"""The state of an emulated organisation: people, memberships, invitations and teams."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self, get_args, get_type_hints

WEEK = 7 * 24 * 3600.0
"""Seconds after which an invitation that nobody accepted has failed."""

OWNER_LOGIN = "owner"
"""The first owner, whose token is used."""


class UnknownSwitchError(ValueError):
    """There is no switch of this name, or it has no such reading; the message lists what there is."""


@dataclass(frozen=True, slots=True)
class Switches:
    """How GitHub behaves where a connector has to be right under each of several behaviours."""

    accepts: Literal["at_once", "by_hand"] = "by_hand"
    """Whether whoever is invited accepts at once, as no person does, or when a test says so."""

    forbidden: Literal["403", "404"] = "404"
    """How the organisation's members are kept from a token that may not see them. GitHub hides by 404."""

    limit_status: Literal["403", "429"] = "403"
    """The status that tells a rate limit; GitHub documents both."""

    renamed: Literal["404", "301"] = "404"
    """What the organisation's former logins answer."""

    secondary: Literal["retry_after", "message"] = "retry_after"
    """Whether a secondary limit says how long to wait, or only that it is one."""

    leave_unknown: Literal["404", "204"] = "404"
    """What taking somebody out of a team answers who is not in it."""

    @classmethod
    def choices(cls) -> dict[str, tuple[str, ...]]:
        """Return the readings of every switch."""
        return {name: get_args(kind) for name, kind in get_type_hints(cls).items()}

    def changed(self, assignments: Iterable[str]) -> Self:
        """Return these switches with some changed, each as ``NAME=VALUE``. :raises UnknownSwitchError: see there."""
        values: dict[str, Any] = {}
        for one in assignments:
            name, _, value = one.partition("=")
            known = self.choices()
            if value not in known.get(name, ()):
                raise UnknownSwitchError(f"{one!r}; switches: {known}")
            values[name] = value
        return replace(self, **values)


@dataclass(slots=True)
class Person:
    """Somebody at GitHub, whether or not they have to do with the organisation."""

    id: int
    login: str
    type: str = "User"


@dataclass(slots=True)
class Member:
    """A membership, or an invitation while ``invited_at`` says since when."""

    role: str
    invited_at: float | None = None


@dataclass(slots=True)
class Team:
    """A team; ``members`` has the role of each person by id."""

    id: int
    name: str
    members: dict[int, str] = field(default_factory=dict)
    parent: int | None = None

    @property
    def slug(self) -> str:
        """The name as it stands in URLs."""
        return "-".join("".join(c if c.isalnum() else " " for c in self.name.lower()).split())


class Organization:
    """An organisation with one owner.

    :param now: Seconds since the epoch: invitations fail after a week.
    """

    def __init__(self, login: str, *, now: Callable[[], float]) -> None:
        self.id = 4242
        self.login = login
        self.former: list[str] = []
        """Logins that it had before."""
        self.people: dict[int, Person] = {}
        self.members: dict[int, Member] = {}
        self.failed: list[int] = []
        """Ids of people whose invitation nobody accepted in time."""
        self.teams: dict[int, Team] = {}
        self.now = now
        self._minted = 1000
        self.owner = self.person(OWNER_LOGIN)
        self.members[self.owner.id] = Member("admin")

    def rename(self, login: str) -> None:
        """Give the organisation another login."""
        self.former.append(self.login)
        self.login = login

    def mint(self) -> int:
        """Return a new id."""
        self._minted += 1
        return self._minted

    def person(self, login: str, *, kind: str = "User") -> Person:
        """Return the person of a login, who is made when there is none."""
        found = self.find(login)
        if found is None:
            found = Person(self.mint(), login, kind)
            self.people[found.id] = found
        return found

    def find(self, login: str) -> Person | None:
        """Return the person of a login."""
        return next((one for one in self.people.values() if one.login.casefold() == login.casefold()), None)

    def add_member(self, login: str, role: str = "member") -> Person:
        """Make somebody a member by hand."""
        person = self.person(login)
        self.members[person.id] = Member(role)
        return person

    def add_team(self, name: str, *logins: str, parent: Team | None = None) -> Team:
        """Make a team by hand."""
        members = {self.person(one).id: "member" for one in logins}
        team = Team(self.mint(), name, members, None if parent is None else parent.id)
        self.teams[team.id] = team
        return team

    def invite(self, person: Person, role: str) -> None:
        """Invite somebody."""
        self.members[person.id] = Member(role, self.now())

    def accept(self, login: str) -> None:
        """Let somebody accept their invitation."""
        self.members[self.person(login).id].invited_at = None

    def remove(self, person: Person) -> None:
        """End a membership or an invitation, and with it those in teams."""
        del self.members[person.id]
        for team in self.teams.values():
            team.members.pop(person.id, None)

    def expire(self) -> None:
        """Let invitations fail that are a week old."""
        for id_, member in list(self.members.items()):
            if member.invited_at is not None and self.now() - member.invited_at >= WEEK:
                self.remove(self.people[id_])
                self.failed.append(id_)

    def below(self, team: Team) -> list[Team]:
        """Return the teams right below a team."""
        return [one for one in self.teams.values() if one.parent == team.id]

    def all_members(self, team: Team) -> dict[int, tuple[str, bool]]:
        """Return role, and whether it is inherited, of everybody in a team or in one below it."""
        found = {id_: (role, True) for child in self.below(team) for id_, (role, _) in self.all_members(child).items()}
        return found | {id_: (role, False) for id_, role in team.members.items()}

    def snapshot(self) -> dict[str, Any]:
        """Return who is in, who is invited, and who is in which team, by login and name."""
        self.expire()

        def logins(*, invited: bool) -> dict[str, str]:
            found = self.members.items()
            return {self.people[id_].login: one.role for id_, one in found if (one.invited_at is not None) == invited}

        teams = {one.name: sorted(self.people[id_].login for id_ in one.members) for one in self.teams.values()}
        return {"members": logins(invited=False), "invited": logins(invited=True), "teams": teams}
