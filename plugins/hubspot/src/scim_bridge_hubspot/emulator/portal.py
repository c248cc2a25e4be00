"""The state of one HubSpot portal, the rules that hold whatever API is used, and what people do in HubSpot's pages."""

import random
import time
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from .entries import Entries
from .limits import Limits
from .paging import Pager
from .profiles import PROFILES, Profile
from .records import ALL_SCOPES, Account, Membership, OAuthApp, Person, Role, SeatPool, Team, Token, TokenKind
from .switches import Switches
from .wire import RefusalError, invalid

OWNER_EMAIL = "owner@portal.example"
"""The Super Admin that every portal has from the start; the default token is theirs."""


class Portal(Entries):
    """A portal. HubSpot's API handlers and the ``ui_`` actions of tests change it.

    :param clock: Monotonic seconds, for limits and the expiry of tokens.
    :param now: Seconds since the epoch, for dates on the wire.
    :param seed: Makes ids, the order of lists and correlation ids.
    """

    token = "pat-na1-emulator"
    """A private app's token with every scope."""

    scim_token = "scim-emulator"
    """The token of HubSpot's own SCIM server."""

    portal_id = 4242001
    app_id = 700100

    def __init__(
        self,
        *,
        switches: Switches | None = None,
        profile: Profile | str = "enterprise",
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        seed: int = 0,
    ) -> None:
        self.switches = switches or Switches()
        self.profile = PROFILES[profile] if isinstance(profile, str) else profile
        self.clock = clock
        self.now = now
        self.random = random.Random(seed)
        self.pager = Pager(seed, self.switches.limit_over_cap, self.switches.page_size_cap)
        self.people: dict[str, Person] = {}
        self.roles: dict[str, Role] = {}
        self.teams: dict[str, Team] = {}
        self.seats: dict[str, SeatPool] = {}
        self.tokens: dict[str, Token] = {}
        self.limits = Limits(clock, self.profile, self.switches)
        self.default_seat: str | None = None
        self.oauth_apps: dict[str, OAuthApp] = {}
        self.owner = self.add_person(OWNER_EMAIL, super_admin=True, first_name="Olivia", last_name="Owner")
        self.add_token(self.token)
        self.add_token(self.scim_token, kind="scim", scopes=())

    # -- Looking up --------------------------------------------------------------------------------------------------

    def find(self, email: str) -> Person | None:
        """Return whoever has this address, in whatever case, member or not."""
        folded = email.lower()
        return next((person for person in self.people.values() if person.email.lower() == folded), None)

    def member(self, email: str) -> Person:
        """Return the person of an address.

        :raises KeyError: When HubSpot never knew them.
        """
        person = self.find(email)
        if person is None:
            raise KeyError(email)
        return person

    @property
    def members(self) -> list[Person]:
        """Everybody in the portal, deactivated or not."""
        return [person for person in self.people.values() if person.membership is not None]

    def snapshot(self) -> dict[str, Account]:
        """Return what every member has, by lower-cased address; removed people are absent."""
        return {person.email.lower(): self.account(person) for person in self.members}

    def account(self, person: Person) -> Account:
        """Return what a person has; nothing when removed."""
        membership = person.membership or Membership(deactivated=True)
        team = self.teams.get(membership.primary_team_id or "")
        return Account(
            active=not membership.deactivated,
            roles=tuple(sorted(self.roles[role_id].name for role_id in membership.role_ids)),
            primary_team=team.name if team else None,
            secondary_teams=tuple(sorted(self.teams[team_id].name for team_id in membership.secondary_team_ids)),
            seats=tuple(sorted(membership.seat_names)),
            first_name=person.first_name,
            last_name=person.last_name,
            super_admin=membership.super_admin,
        )

    def remaining(self, pool: SeatPool) -> int | None:
        """Return how many seats are free. A deactivated member's seat does not count (DOC); ``None`` is no limit."""
        if pool.total is None:
            return None
        memberships = (person.membership for person in self.people.values())
        held = sum(pool.name in each.seat_names for each in memberships if each and not each.deactivated)
        return max(0, pool.total - held - len(pool.released))

    def team_members(self, team: Team) -> tuple[list[str], list[str]]:
        """Return the ids of a team's primary and of its secondary members."""
        held = [(person.id, person.membership) for person in self.people.values() if person.membership]
        primary = [person_id for person_id, membership in held if membership.primary_team_id == team.id]
        return primary, [person_id for person_id, membership in held if team.id in membership.secondary_team_ids]

    # -- Rules -------------------------------------------------------------------------------------------------------

    def join(self, email: str) -> tuple[Person, Membership]:
        """Make whoever has this address a member, with the id they always had."""
        person = self.find(email)
        if person is None:
            person = Person(
                id=self.new_id(10_000_000, 99_999_999),
                email=email.lower() if self.switches.email_stored == "lower" else email,
                owner_id=int(self.new_id(100_000_000, 999_999_999)),
                crm_id=self.new_id(10**11, 10**12 - 1),
                created_at=self.now(),
            )
            self.people[person.id] = person
        kept = person.former is not None and person.former.activated and self.switches.readd_activation == "kept"
        membership = Membership(activated=kept)
        person.membership, person.former, person.listed = membership, None, 0
        self.touch(person)
        return person, membership

    def leave(self, person: Person) -> None:
        """Remove a member: reads miss them at once; lists and seats may lag."""
        membership = person.membership
        if membership is None:
            return
        for name in membership.seat_names if self.switches.seat_lag_creates else ():
            if name in self.seats and not membership.deactivated:
                self.seats[name].released.append(self.switches.seat_lag_creates)
        person.former, person.membership, person.listed = membership, None, self.switches.list_lag_reads
        self.touch(person)

    def assign_roles(self, membership: Membership, role_ids: Iterable[str]) -> None:
        """Give a membership these sets; one that is itself Super Admin makes a Super Admin."""
        membership.role_ids = list(role_ids)
        if any(self.roles[role_id].super_admin for role_id in membership.role_ids):
            membership.super_admin = True

    def take_seats(self, names: Iterable[str], holder: Membership | None = None) -> list[str]:
        """Return the seats to give, after making sure that each is free.

        :param holder: Whose seats of the same name are theirs already.
        :raises RefusalError: 400 when a seat does not exist or none is left.
        """
        chosen = list(dict.fromkeys(names))
        for name in chosen:
            if name not in self.seats:
                raise invalid(f"Seat {name} does not exist", "seatNames")
            mine = holder is not None and name in holder.seat_names
            if not mine and self.remaining(self.seats[name]) == 0:
                raise no_seat()
        return chosen

    def settle_seats(self) -> None:
        """Count one creation towards the end of every seat's lag."""
        for pool in self.seats.values():
            pool.released = [left - 1 for left in pool.released if left > 1]

    def touch(self, person: Person) -> None:
        """Note that a record changed."""
        person.updated_at = self.now()

    def new_id(self, low: int, high: int) -> str:
        """Return an id that nothing has yet."""
        while True:
            candidate = str(self.random.randint(low, high))
            if candidate not in self.people and candidate not in self.roles and candidate not in self.teams:
                return candidate

    def correlation_id(self) -> str:
        """Return the id of one answer."""
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def timestamp(self, seconds: float | None = None) -> str:
        """Return a date as HubSpot writes it."""
        moment = datetime.fromtimestamp(self.now() if seconds is None else seconds, UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    # -- What an administrator does in HubSpot's pages, for tests and demonstrations -----------------------------------

    def add_token(
        self,
        value: str,
        *,
        scopes: Iterable[str] = ALL_SCOPES,
        creator: str = OWNER_EMAIL,
        kind: TokenKind = "private_app",
        expires_at: float | None = None,
    ) -> Token:
        """Make a token; a second one of the same value replaces the first."""
        granted = frozenset(scopes)
        if kind == "service_key" and self.switches.service_key_scopes == "withheld":
            granted = frozenset(scope for scope in granted if not scope.startswith("settings."))
        made = Token(value, granted, self.member(creator).id, kind, expires_at)
        self.tokens[value] = made
        return made

    def add_oauth_app(
        self,
        client_id: str,
        client_secret: str,
        *,
        refresh_token: str,
        code: str | None = None,
        scopes: Iterable[str] = ALL_SCOPES,
        installer: str = OWNER_EMAIL,
    ) -> OAuthApp:
        """Install an OAuth app.

        :param refresh_token: The one the installation gave.
        :param code: An authorization code that is still to be exchanged.
        """
        app = OAuthApp(client_id, client_secret, frozenset(scopes), self.member(installer).id, {refresh_token})
        app.codes.update({code} if code else ())
        self.oauth_apps[client_id] = app
        return app

    def add_role(
        self,
        name: str,
        *,
        requires_billing_write: bool = False,
        super_admin: bool = False,
        seat: str | None = None,
    ) -> Role:
        """Make a permission set. Names need not be unique."""
        role = Role(self.new_id(1_000, 999_999), name, requires_billing_write, super_admin, seat)
        self.roles[role.id] = role
        return role

    def add_team(self, name: str, parent: Team | None = None) -> Team:
        """Make a team."""
        team = Team(self.new_id(1_000, 999_999), name, parent.id if parent else None)
        self.teams[team.id] = team
        return team

    def add_seat_pool(
        self, name: str, total: int | None = None, *, description: str = "", default: bool = False
    ) -> SeatPool:
        """Buy seats of a kind.

        :param default: Whether a creation that names no seat gets one of these.
        """
        pool = self.seats[name] = SeatPool(name, total, description)
        if default:
            self.default_seat = name
        return pool

    def add_person(
        self,
        email: str,
        *,
        roles: Iterable[Role | str] = (),
        super_admin: bool = False,
        activated: bool = True,
        first_name: str = "",
        last_name: str = "",
        primary_team: Team | None = None,
        secondary_teams: Iterable[Team] = (),
        seats: Iterable[str] = (),
    ) -> Person:
        """Make a member by hand. ``roles`` are permission sets or their names."""
        person, membership = self.join(email)
        person.first_name, person.last_name = first_name or person.first_name, last_name or person.last_name
        membership.activated, membership.super_admin = activated, super_admin
        membership.primary_team_id = primary_team.id if primary_team else None
        membership.secondary_team_ids = [team.id for team in secondary_teams]
        membership.seat_names = list(seats)
        self.ui_assign_roles(email, *roles)
        return person

    def role_named(self, name: str) -> Role:
        """Return the first permission set of a name.

        :raises KeyError: When there is none.
        """
        for role in self.roles.values():
            if role.name == name:
                return role
        raise KeyError(name)

    def ui_assign_roles(self, email: str, *roles: Role | str) -> None:
        """Give a member exactly these permission sets, several if need be."""
        person = self.member(email)
        if person.membership is None:
            raise KeyError(email)
        chosen = [role if isinstance(role, Role) else self.role_named(role) for role in roles]
        self.assign_roles(person.membership, [role.id for role in chosen])
        self.touch(person)

    def ui_activate(self, email: str) -> None:
        """Let a member accept the invitation."""
        self._membership(email).activated = True

    def ui_deactivate(self, email: str) -> None:
        """Switch a member's access off, keeping everything they have."""
        self._membership(email).deactivated = True

    def ui_reactivate(self, email: str) -> None:
        """Switch a member's access on again."""
        self._membership(email).deactivated = False

    def ui_remove(self, email: str) -> None:
        """Remove a member from the portal."""
        self.leave(self.member(email))

    def ui_super_admin(self, email: str, *, super_admin: bool) -> None:
        """Make a member a Super Admin, or take that from them."""
        self._membership(email).super_admin = super_admin

    def ui_change_email(self, email: str, new_email: str) -> None:
        """Change a person's address, as only people can.

        :raises ValueError: When another HubSpot user has the new one (DOC).
        """
        person, other = self.member(email), self.find(new_email)
        if other is not None and other is not person:
            raise ValueError(f"{new_email} belongs to another HubSpot user")
        person.email = new_email
        self.touch(person)

    def _membership(self, email: str) -> Membership:
        person = self.member(email)
        if person.membership is None:
            raise KeyError(email)
        self.touch(person)
        return person.membership


def no_seat() -> RefusalError:
    """Return the refusal of a creation or an assignment for which no seat is left (LIVE)."""
    marker = "AppUserErrors.NO_SEAT_AVAILABLE_FOR_ROLE_COMBINATION"
    return RefusalError(
        400,
        "No seat is available for this combination of roles",
        sub_category=marker,
        errors=[{"message": "No seat is available", "code": marker, "subCategory": marker}],
        nests=True,
    )
